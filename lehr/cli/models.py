"""`lehr simulate` and `lehr inspect`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.console import Json, percent, session
from lehr.cli.options import InputFile, Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Conv2d, Linear, Network
    from lehr.nodes import Node
    from lehr.simulate import Result

REFERENCE = "reference"


def simulate(
    model: Model,
    inputs: InputFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT.npz", help="Write counts, predictions and traces here.")
    ] = None,
    trace: Annotated[
        list[str] | None, typer.Option("--trace", metavar="NODE", help="Keep spikes and membranes of a layer, or of 'all'.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="'reference', or a target whose tool runs the network: 'onnx', 'c'.")] = REFERENCE,
    as_json: Json = False,
) -> None:
    """Run a network on inputs, exactly: spike counts, predictions and, with labels, accuracy."""
    with session(as_json) as out:
        from lehr import nirfile
        from lehr.atomic import write_bytes
        from lehr.errors import UsageError
        from lehr.npz import npz_bytes, read_samples

        if inputs is None:
            raise UsageError("no input is given; name an .npz file with -i")
        net = nirfile.read(model)
        x, labels = read_samples(inputs)
        traced = tuple(net.neurons) if trace and "all" in trace else tuple(trace or ())
        result = run_engine(engine, net, x, traced)
        if output is not None:
            write_bytes(output, npz_bytes(arrays_of(result)))
        out.table(
            ("layer", "shape", "spike rate", "saturations"),
            [(n, "x".join(map(str, net.shapes[n])), f"{result.rates[n]:.4f}", result.saturations[n]) for n in net.neurons],
        )
        out.facts.update(engine=engine, samples=len(x), rates=dict(result.rates), saturations=dict(result.saturations))
        if labels is not None:
            accuracy = result.accuracy(labels)
            out.say(f"accuracy: {percent(accuracy)} of {len(x):,} samples")
            out.facts["accuracy"] = accuracy
        if output is not None:
            out.say(f"wrote {output}")
            out.facts["output"] = str(output)


def run_engine(engine: str, net: Network, x: npt.NDArray[np.uint8], trace: tuple[str, ...]) -> Result:
    """Simulate with the reference or with a target's own tool."""
    from lehr.simulate import simulate as reference

    if engine == REFERENCE:
        return reference(net, x, trace=trace)
    from lehr.targets import registry
    from lehr.targets.engine import run

    return run(registry.get(engine), net, x, trace)


def arrays_of(result: Result) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `out.npz`."""
    arrays: dict[str, npt.NDArray[Any]] = {"counts": result.counts, "prediction": result.prediction}
    arrays |= {f"spikes.{name}": array for name, array in result.trace.spikes.items()}
    arrays |= {f"membrane.{name}": array for name, array in result.trace.membranes.items()}
    return arrays


def inspect(model: Model, as_json: Json = False) -> None:
    """Show what a .nir file holds: nodes, shapes, arithmetic, widths."""
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr import nirfile
        from lehr.export.widths import analyse
        from lehr.weights import zero_share

        net = nirfile.read(model)
        widths = analyse(net)
        out.say(f"input {shape_text(net.input.shape)} ({net.input.kind}), {net.steps} steps, spikes of {net.output} are counted")
        out.table(
            ("node", "type", "from", "shape", "what it holds"),
            [
                (n, type(net.nodes[n]).__name__, ", ".join(net.sources(n)), shape_text(net.shapes[n]), _contents(net.nodes[n]))
                for n in net.order
            ],
        )
        rows = []
        for name, neuron in net.neurons.items():
            how, width = neuron.arithmetic, widths.layers[name]
            bounds = f"{width.membrane[0]:,}..{width.membrane[1]:,}"
            decay = f"{how.decay_form} {how.decay_numerator}/2^{how.decay_shift}"
            rows.append(
                (
                    name,
                    decay,
                    how.rounding,
                    f"{how.reset}, {how.reset_timing}",
                    how.fires,
                    how.fraction_bits,
                    how.state_bits,
                    how.overflow,
                    bounds,
                )
            )
        out.table(("layer", "decay", "rounding", "reset", "fires", "fraction", "bits", "overflow", "membrane bounds"), rows)
        neurons = sum(math.prod(net.shapes[name]) for name in net.neurons)
        weights = sum(node.weight.size for node in net.weighted.values())
        out.say(f"{neurons:,} neurons, {weights:,} weights; network {net.digest[:16]}")
        out.facts.update(
            network=net.digest,
            input=asdict(net.input),
            steps=net.steps,
            edges=net.edges,
            nodes={n: {"type": type(net.nodes[n]).__name__, "shape": net.shapes[n]} for n in net.order},
            weights={n: {"kind": node.kind, "zero": zero_share(node.weight)} for n, node in net.weighted.items()},
            arithmetic={n: asdict(neuron.arithmetic) for n, neuron in net.neurons.items()},
            widths={n: asdict(width) for n, width in widths.layers.items()},
        )


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as people write it."""
    return "x".join(map(str, shape))


def _contents(node: Node) -> str:
    from lehr.network import Conv2d, Delay, Linear, Neuron, SumPool2d

    match node:
        case Conv2d():
            stride, padding, dilation = (shape_text(pair) for pair in (node.stride, node.padding, node.dilation))
            details = f"stride {stride}, padding {padding}, dilation {dilation}, groups {node.groups}"
            return f"{node.weight.size:,} {_declared(node)}; {shape_text(node.weight.shape)}, {details}"
        case Linear():
            return f"{node.weight.size:,} {_declared(node)}"
        case SumPool2d():
            return f"window {shape_text(node.kernel)}, stride {shape_text(node.stride)}, padding {shape_text(node.padding)}"
        case Delay():
            return f"{node.steps} steps"
        case Neuron():
            return f"threshold {node.threshold.min()}..{node.threshold.max()}, bias {node.bias.min()}..{node.bias.max()}"
        case _:
            return ""


def _declared(node: Conv2d | Linear) -> str:
    """The kind of a node's weights, and how many of them are 0 where any may be."""
    from lehr.weights import zero_share

    return f"{node.kind} weights" if node.kind == "binary" else f"{node.kind} weights, {percent(zero_share(node.weight))} of them 0"
