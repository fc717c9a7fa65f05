"""Templates and tables: the text of the artefact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lehr.arithmetic import State
from lehr.artifact import to_json
from lehr.network import Conv2d, Linear, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.targets.c.layout import Layout, smallest_type
from lehr.targets.c.memory import TYPE_BYTES
from lehr.targets.golden import FOLDER, stem
from lehr.targets.templates import environment

LIBRARY = ("lehr_model.c", "lehr_model.h", "lehr_weights.h")
SOURCES = (*LIBRARY, "Makefile", "cortex_m.ld", "host.h", "host_cortex_m.c", "host_stdio.c", "main.c")
DESCRIPTION = "lehr_model.json"
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A constant array of the generated code: its C type, name, entries as C literals, and what it is."""

    c_type: str
    name: str
    values: list[str]
    note: str

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return TYPE_BYTES[self.c_type] * len(self.values)


def weight_table(node: Conv2d | Linear, name: str, note: str, row_type: str = "uint8_t") -> Table:
    """Weights, the outputs of one input value side by side: binary ones as bits, 1 for +1, in rows of whole words; others as bytes."""
    if isinstance(node, Linear):
        ordered = node.weight.T
    else:
        out, per_group, height, width = node.weight.shape
        grouped = node.weight.reshape(node.groups, out // node.groups, per_group, height, width)
        ordered = grouped.transpose(0, 2, 3, 4, 1)
    if node.kind == "binary":
        width = 8 * TYPE_BYTES[row_type]
        signs = np.pad(ordered > 0, [*[(0, 0)] * (ordered.ndim - 1), (0, -ordered.shape[-1] % width)])
        words = np.packbits(signs, bitorder="little").view(f"<u{TYPE_BYTES[row_type]}")
        return Table(row_type, name, [f"0x{word:0{width // 4}x}" for word in words.tolist()], note)
    return Table("int8_t", name, [str(value) for value in ordered.reshape(-1).tolist()], note)


def tables(layout: Layout) -> list[Table]:
    """The constants of every node that is part of the code."""
    made = []
    for name in dict.fromkeys((*layout.scattered, *layout.computed)):
        node, identifier = layout.net.nodes[name], layout.id[name]
        if isinstance(node, (Conv2d, Linear)):
            counters = layout.sliced.get(layout.sums(name))
            row_type = counters.row_type if counters else "uint8_t"
            made.append(weight_table(node, f"weight_{identifier}", f"{name}: {node.weight.size} {node.kind} weights", row_type))
        elif isinstance(node, Neuron):
            constants = [("bias", node.bias)] if node.integrates else [("threshold", node.threshold), ("bias", node.bias)]
            for kind, values in constants:
                c_type = smallest_type(int(values.min()), int(values.max()))
                made.append(Table(c_type, f"{kind}_{identifier}", [str(v) for v in values.tolist()], f"{name}: one {kind} per channel"))
    return made


def render(layout: Layout) -> dict[str, bytes]:
    """All files of the artefact."""
    net, constants = layout.net, tables(layout)
    templates = environment(
        TEMPLATES,
        net=net,
        l=layout,
        tables=constants,
        table_bytes=sum(table.bytes for table in constants),
        largest_index=max(layout.memory.bytes, *(table.bytes for table in constants)),
        largest_layer=max(layout.size(name) for name in net.neurons),
        kind=_kind,
        roundings={state.rounding for neuron in net.neurons.values() for state in _states(neuron) if 0 < state.beta < 1},
        describe=lambda name: _describe(net.nodes[name]),
        stem=lambda name: stem(net, name).removeprefix(f"{FOLDER}/"),
    )
    files = {name: templates.get_template(f"{name}.j2").render().encode() for name in (*SOURCES, "README.md")}
    layers = [{"layer": name, "shape": list(net.shapes[name])} for name in net.neurons]
    return {**files, DESCRIPTION: to_json({"input": list(net.input.shape), "steps": net.steps, "layers": layers})}


def _states(neuron: Neuron) -> list[State]:
    """What a neuron carries from step to step."""
    return [neuron.fields] if neuron.synapse is None else [neuron.fields, neuron.synapse]


def _kind(node: Node) -> str:
    return type(node).__name__


def _describe(node: Node) -> str:
    """A node's parameters in the words of `lehr.nodes` and `lehr.arithmetic`."""
    if isinstance(node, Conv2d):
        shape = " x ".join(map(str, node.weight.shape))
        return f"{shape} {node.kind} weights, stride {node.stride}, padding {node.padding}, dilation {node.dilation}, groups {node.groups}"
    if isinstance(node, SumPool2d):
        return f"sum over {node.kernel}, stride {node.stride}, padding {node.padding}"
    if isinstance(node, Linear):
        return f"{node.weight.shape[0]} x {node.weight.shape[1]} {node.kind} weights"
    assert isinstance(node, Neuron), node
    how = node.fields
    fires = "never fires" if node.integrates else f"reset {how.reset} {how.reset_timing}; fires {how.fires}"
    synapse = "" if node.synapse is None else f"; synapse: {_leak(node.synapse)}, takes the bias: {node.synapse.bias_to == 'synapse'}"
    return f"{_leak(how)}; {fires}; {how.fraction_bits} fraction bits{synapse}"


def _leak(state: State) -> str:
    decay = f"{state.decay_form} {state.decay_numerator}/{1 << state.decay_shift} {state.rounding}"
    return f"leak {decay}, {state.state_bits} bits, {state.overflow}"
