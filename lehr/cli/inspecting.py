"""`lehr inspect`: a .nir file, first as it declares itself, then as an integer network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.console import Json, Output, percent, session, shape_text
from lehr.cli.models import read_model
from lehr.cli.options import Model

if TYPE_CHECKING:
    from pathlib import Path

    from lehr.arithmetic import Arithmetic, Synapse
    from lehr.network import Conv2d, Linear, Network, Neuron
    from lehr.nodes import Int32Array, Node
    from lehr.outline import DeclaredNode, Outline
    from lehr.update import Program
    from lehr.widths import LayerWidth

READOUTS = {
    "count_argmax_lowest": "spikes of {} are counted",
    "membrane_last_argmax_lowest": "the last membrane of {} is read out",
    "membrane_sum_argmax_lowest": "the sum of the membranes of {} is read out",
    "membrane_max_argmax_lowest": "the highest membrane of {} is read out",
}


def inspect(
    model: Model,
    structure: Annotated[
        bool,
        typer.Option(
            "--structure",
            help="Only what the file declares: nodes, types, shapes, bytes. No weight is read.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the nodes, shapes and bytes of a .nir file.

    Of an integer network, its arithmetic, widths, synapses and sparsity are shown, too.

    A graph of another tool, which states no integers, is shown as its file declares it, with all
    that lehr quantize would refuse of it.
    """
    with session(as_json) as out:
        from lehr.outline import outline

        declared = outline(model)
        net = read_model(out, model) if declared.exact and not structure else None
        out.facts.update(
            exact=declared.exact,
            origin=dict(declared.origin),
            bytes={
                "file": model.stat().st_size,
                "arrays": sum(node.bytes for node in declared.nodes.values()),
            },
        )
        if net is None:
            _print_declared(out, declared)
            example = ("--calibrate", "IN.npz", "-o", "MODEL.nir")
            out.then(*(("inspect", model) if declared.exact else ("quantize", model, *example)))
            if not declared.exact and not structure:
                _print_refusals(out, model)
        else:
            _print_network(out, declared, net)
            _print_updates(out, net)
            out.then("check", model)
        out.say(
            f"{out.facts['bytes']['file']:,} bytes in the file, {out.facts['bytes']['arrays']:,} "
            "in its arrays"
        )
        for name, value in declared.origin.items():
            out.say(f"origin, {name}: {value}")


def _print_declared(out: Output, declared: Outline) -> None:
    rows = [
        (n, node.kind, ", ".join(node.sources), _declared(node), f"{node.bytes:,}")
        for n, node in declared.nodes.items()
    ]
    out.table(("node", "type", "from", "what is declared", "bytes"), rows)
    if not declared.exact:
        out.say(
            "a graph of floating point: it states no integers (no fixed_point block), and no time "
            "step"
        )
    out.facts["declared"] = {
        name: {
            "type": node.kind,
            "from": node.sources,
            "arrays": {
                field: {"dtype": array.dtype, "shape": array.shape}
                for field, array in node.arrays.items()
            },
            "values": dict(node.values),
            "bytes": node.bytes,
            "weights": node.weights,
        }
        for name, node in declared.nodes.items()
    }
    out.say(
        f"{len(declared.nodes):,} nodes, {sum(node.weights for node in declared.nodes.values()):,} "
        "weights"
    )


def _print_refusals(out: Output, model: Path) -> None:
    """Print the reasons for which `lehr quantize` would refuse a float graph."""
    from lehr.export.nirgraph.foresee import foresee

    refused = foresee(model)
    out.facts["quantize_refuses"] = list(refused)
    if refused:
        out.say("lehr quantize, without options, would refuse it:")
    for reason in refused:
        out.say(f"  {reason}")
    if not refused:
        out.say("nothing was found that lehr quantize refuses")


def _declared(node: DeclaredNode) -> str:
    import numpy as np

    arrays = [
        f"{field} {np.dtype(a.dtype)} {shape_text(a.shape) or 'scalar'}"
        for field, a in node.arrays.items()
        if field not in node.values
    ]
    return ", ".join(
        arrays
        + [
            f"{field} {shape_text(v) if isinstance(v, list) else v}"
            for field, v in node.values.items()
        ]
    )


def _print_network(out: Output, declared: Outline, net: Network) -> None:
    from dataclasses import asdict

    from lehr.update import Program
    from lehr.weights import zero_share
    from lehr.widths import analyse, facts_of

    widths = analyse(net)
    readout = READOUTS[net.readout].format(net.output)
    out.say(f"input {shape_text(net.input.shape)} ({net.input.kind}), {net.steps} steps, {readout}")
    columns = ("node", "type", "from", "shape", "what it holds", "bytes")
    rows = [
        (
            name,
            declared.nodes[name].kind,
            ", ".join(net.sources(name)),
            shape_text(net.shapes[name]),
            _contents(net.nodes[name]),
        )
        for name in net.order
    ]
    out.table(columns, [(*row, f"{declared.nodes[row[0]].bytes:,}") for row in rows])
    states = [
        row
        for name, neuron in net.neurons.items()
        for row in _states(name, neuron, widths.layers[name])
    ]
    out.table(
        (
            "layer",
            "state",
            "decay",
            "rounding",
            "reset",
            "fires",
            "fraction",
            "bits",
            "overflow",
            "proven bounds",
        ),
        states,
    )
    neurons = sum(math.prod(net.shapes[name]) for name in net.neurons)
    weights = sum(node.weight.size for node in net.weighted.values())
    zero = sum(int((node.weight == 0).sum()) for node in net.weighted.values())
    synapses = {name: _synapses(net, name, node) for name, node in net.weighted.items()}
    sparse = f" ({percent(zero / weights)} of them 0)" if zero else ""
    out.say(
        f"{neurons:,} neurons, {weights:,} weights{sparse}, {sum(synapses.values()):,} synapses; "
        f"network {net.digest[:16]}"
    )
    out.facts.update(
        network=net.digest,
        input=asdict(net.input),
        steps=net.steps,
        readout=net.readout,
        edges=net.edges,
        nodes={
            n: {
                "type": type(net.nodes[n]).__name__,
                "shape": net.shapes[n],
                "bytes": declared.nodes[n].bytes,
            }
            for n in net.order
        },
        weights={
            n: {"kind": node.kind, "zero": zero_share(node.weight), "synapses": synapses[n]}
            for n, node in net.weighted.items()
        },
        arithmetic={
            n: asdict(neuron.fields)
            for n, neuron in net.neurons.items()
            if not isinstance(neuron.arithmetic, Program)
        },
        synapse={
            n: asdict(neuron.synapse)
            for n, neuron in net.neurons.items()
            if neuron.synapse is not None
        },
        widths={n: facts_of(net.neurons[n], width) for n, width in widths.layers.items()},
    )


def _states(name: str, neuron: Neuron, width: LayerWidth) -> list[tuple[Any, ...]]:
    """Return a row for each state of a layer: of a program, for each register but its spikes."""
    from lehr.update import Program
    from lehr.widths import states_of

    if isinstance(neuron.arithmetic, Program):
        return [
            (name, x, *_register(neuron.arithmetic, x), _span(width.registers[x]))
            for x in states_of(neuron).values()
        ]
    rows: list[tuple[Any, ...]] = []
    fields = neuron.fields
    if neuron.synapse is not None and width.synapse is not None:
        bias_columns = (f"bias to the {neuron.synapse.bias_to}", "", "")
        rows.append(
            (
                name,
                "synapse",
                *_leak(neuron.synapse),
                *bias_columns,
                *_width(neuron.synapse, width.synapse),
            )
        )
    reset = "none" if fields.reset == "none" else f"{fields.reset}, {fields.reset_timing}"
    return [
        *rows,
        (
            name,
            "membrane",
            *_leak(fields),
            reset,
            fields.fires,
            fields.fraction_bits,
            *_width(fields, width.membrane),
        ),
    ]


def _register(program: Program, x: str) -> tuple[Any, ...]:
    """Return the decay of a program's register and its width, as columns of the table of states.

    Columns that only fields have are left empty.
    """
    from lehr.programs import widths_of
    from lehr.update import Bound, Leak

    leaks = [s.decay for s in program.all if isinstance(s, Leak) and s.x == x]
    decays = ", ".join(f"{d.form} {d.numerator}/2^{d.shift}" for d in leaks)
    overflow = dict.fromkeys(s.overflow for s in program.all if isinstance(s, Bound) and s.x == x)
    return (
        decays,
        ", ".join(dict.fromkeys(d.rounding for d in leaks)),
        "",
        "",
        "",
        widths_of(program).get(x, ""),
        ", ".join(overflow),
    )


def _print_updates(out: Output, net: Network) -> None:
    """Print the programs of the neurons, each once."""
    from lehr.update_text import lines_of

    layers: dict[Program, list[str]] = {}
    for name, neuron in net.neurons.items():
        layers.setdefault(neuron.program, []).append(name)
    for program, names in layers.items():
        out.say(f"update of {', '.join(names)}, whose membrane is {program.membrane}:")
        for line in lines_of(program):
            out.say(f"  {line}")
    out.facts["update"] = {
        name: {
            "membrane": neuron.program.membrane,
            "lines": lines_of(neuron.program),
            "parameters": {
                parameter: _limits(neuron.values[parameter])
                for parameter in neuron.program.parameters
            },
            "by_neuron": neuron.per_neuron,
        }
        for name, neuron in net.neurons.items()
    }


def _limits(value: Int32Array) -> tuple[int, int]:
    return int(value.min()), int(value.max())


def _leak(fields: Arithmetic | Synapse) -> tuple[str, str]:
    return (
        f"{fields.decay_form} {fields.decay_numerator}/2^{fields.decay_shift}",
        fields.rounding,
    )


def _width(fields: Arithmetic | Synapse, bounds: tuple[int, int]) -> tuple[int, str, str]:
    return fields.state_bits, fields.overflow, _span(bounds)


def _span(bounds: tuple[int, int]) -> str:
    return f"{bounds[0]:,}..{bounds[1]:,}"


def _synapses(net: Network, name: str, node: Conv2d | Linear) -> int:
    """Count connections: weights other than 0, once for each place that a kernel is put to.

    Places in the padding are counted, too.
    """
    return int((node.weight != 0).sum()) * math.prod(net.shapes[name][1:])


def _contents(node: Node) -> str:
    from lehr.network import Conv2d, Delay, Linear, Neuron, SumPool2d

    match node:
        case Conv2d():
            stride, padding, dilation = (
                shape_text(pair) for pair in (node.stride, node.padding, node.dilation)
            )
            details = (
                f"stride {stride}, padding {padding}, dilation {dilation}, groups {node.groups}"
            )
            return (
                f"{node.weight.size:,} {_weights(node)}; {shape_text(node.weight.shape)}, {details}"
            )
        case Linear():
            return f"{node.weight.size:,} {_weights(node)}"
        case SumPool2d():
            return (
                f"window {shape_text(node.kernel)}, stride {shape_text(node.stride)}, padding "
                f"{shape_text(node.padding)}"
            )
        case Delay():
            return (
                f"{node.steps} steps"
                if isinstance(node.steps, int)
                else f"{node.steps.min()}..{node.longest} steps"
            )
        case Neuron():
            return ", ".join(
                _parameter(node, name)
                for name in node.values
                if name in ("bias", *node.program.parameters)
            )
        case _:
            return ", ".join(_fields(node))


def _fields(node: Node) -> Iterator[str]:
    """Yield each field of a node with what it holds, the ends of an array's numbers."""
    from dataclasses import fields

    arrays = _arrays(node)
    for name in (each.name for each in fields(node)):  # type: ignore[arg-type]
        value = getattr(node, name)
        if name in arrays:
            yield "{} {}..{}".format(name, *arrays[name])
        elif isinstance(value, tuple):
            yield f"{name} {shape_text(value)}"
        elif value:
            yield name if value is True else f"{name} {value}"


def _arrays(node: Node) -> dict[str, tuple[int, int]]:
    """Return the least and greatest of the numbers of each field that is an array."""
    from dataclasses import fields

    values = {each.name: getattr(node, each.name) for each in fields(node)}  # type: ignore[arg-type]
    return {name: _limits(value) for name, value in values.items() if hasattr(value, "min")}


def _parameter(node: Neuron, name: str) -> str:
    low, high = _limits(node.values[name])
    return f"{name} {low}..{high}{' by neuron' if name in node.per_neuron else ''}"


def _weights(node: Conv2d | Linear) -> str:
    """Return the kind of a node's weights, and the share of zeros if any may be 0."""
    from lehr.weights import zero_share

    return (
        f"{node.kind} weights"
        if node.kind == "binary"
        else f"{node.kind} weights, {percent(zero_share(node.weight))} of them 0"
    )
