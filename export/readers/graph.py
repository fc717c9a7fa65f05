"""A network as a float graph of NIR that one importer of another tool takes as it is.

It is the second file, beside the exact one.

Thresholds are 1 where a spike sets the membrane to 0: weights and biases carry the scale, which
puts a threshold between two integers, so that "above" and "at or above" agree. It is a float of as
few bits as that takes, for then its products with weights are floats, too, and nothing is rounded.
What such a graph cannot say of the network is said in `notes`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.in_fields import require_fields
from lehr.export.naming import node_name
from lehr.export.readers.importers import Reader, reader_named
from lehr.export.readers.notes import differences
from lehr.export.readers.units import (
    LEAST_DECAY,
    biased_membrane,
    diagonal_fields,
    neuron_fields,
    unit_of,
    weights_fields,
)
from lehr.network import INPUT, OUTPUT, Network
from lehr.nirfile import FOR_READER, ORIGIN
from lehr.nodes import Conv2d, Delay, Flatten, Linear, Neuron, Shape, SumPool2d
from lehr.nodes.registry import fields_of
from lehr.widths import analyse

_STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "IF": ("IF", "LIF", "CubaLIF"),
    "LIF": ("LIF", "CubaLIF"),
    "CubaLIF": ("CubaLIF",),
    "I": ("I", "LI", "CubaLI"),
    "LI": ("LI", "CubaLI"),
    "CubaLI": ("CubaLI",),
}
"""The types that neurons may be written as.

An IF is a LIF that leaks less than floats show, a LIF a CubaLIF whose current is gone in a step.
"""


@dataclass(frozen=True)
class ReaderFile:
    """A network for an importer.

    Attributes:
        title: the importer's name.
        tree: the graph, as the dictionaries of the `nir` package.
        kinds: what each layer of neurons is in it.
        thresholds: the lowest and the highest of each layer that fires, in units of its integer
            membrane.
        notes: what the graph does not say of the network, in sentences.
    """

    title: str
    tree: Mapping[str, Any]
    kinds: Mapping[str, str]
    thresholds: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...]

    @property
    def proven(self) -> bool:
        """Return whether the graph has every spike of the network, for as many steps.

        That holds when it is stepped in double precision.
        """
        return not self.notes

    def to_bytes(self) -> bytes:
        """Return the `.nir` file: the same bytes for equal networks."""
        import nir  # here, as what checks a network's fitness takes neither it nor what it imports

        buffer: Any = io.BytesIO()
        # nir.write asks for no more of a graph
        graph: Any = SimpleNamespace(to_dict=lambda: self.tree)
        nir.write(buffer, graph)
        return bytes(buffer.getvalue())


def for_reader(net: Network, title: str) -> ReaderFile:
    """Write a network in the units of an importer.

    Args:
        net: the network.
        title: the importer's name, one of `READERS`.

    Raises:
        UsageError: when there is no importer of that name.
        NotMappable: naming every node that the importer does not have, or every layer that is not
            in fields.
    """
    reader = reader_named(title)
    require_fields(net)
    kinds = {name: _kind(neuron, net.shapes[name], reader) for name, neuron in net.neurons.items()}
    if missing := list(_missing(net, reader, kinds)):
        raise NotMappable(
            f"{title} does not import {'; nor '.join(missing)}; write the file for another "
            "importer, or for 'nir'"
        )
    graph = _Graph(net, reader, kinds)
    notes = _sentences(net, kinds, title, reader)
    notes += [
        f"{name}: {count:,} of its numbers are rounded to float32"
        for name, count in graph.rounded.items()
    ]
    said = {
        "steps": net.steps,
        "input": net.input.kind,
        "readout": f"{net.readout} of {net.output}",
    }
    origin = {"command": FOR_READER, "reader": title, "network": net.digest, **said}
    tree = {
        "type": "NIRGraph",
        "nodes": graph.nodes,
        "edges": graph.edges,
        "metadata": {"dt": reader.dt, ORIGIN: origin},
    }
    thresholds = {
        name: unit.limits for name, unit in graph.units.items() if unit.threshold is not None
    }
    return ReaderFile(title, tree, kinds, thresholds, tuple(notes))


def _sentences(net: Network, kinds: Mapping[str, str], title: str, reader: Reader) -> list[str]:
    """Say how the layers differ in the importer; layers that differ alike stand together."""
    widths = analyse(net).layers
    layers: dict[str, list[str]] = {}
    for name, neuron in net.neurons.items():
        for difference in differences(neuron, kinds[name], widths[name], net.steps, title, reader):
            layers.setdefault(difference, []).append(name)
    return [f"{', '.join(names)}: {difference}" for difference, names in layers.items()]


def _kind(neuron: Neuron, shape: Shape, reader: Reader) -> str:
    """Return the type that neurons are written as, or would be if the importer had it."""
    leaks = "LI" if neuron.fields.beta < 1 else "I"
    kind = f"{'Cuba' if neuron.synapse else ''}{leaks}{'' if neuron.integrates else 'F'}"
    allowed = reader.neurons if len(shape) == 1 else reader.map_neurons
    return next((other for other in _STANDS_FOR[kind] if other in allowed), kind)


def _missing(net: Network, reader: Reader, kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield what the importer does not have, or not with its meaning."""
    for name in net.order:
        node, shape = net.nodes[name], net.shapes[name]
        if isinstance(node, Neuron):
            allowed = reader.neurons if len(shape) == 1 else reader.map_neurons
            if kinds[name] not in allowed:
                yield f"{name}, {kinds[name]}{'' if len(shape) == 1 else ' of feature maps'}"
            elif biased_membrane(node) and not reader.takes_v_leak:
                yield f"{name}, CubaLIF with a bias of its membrane"
            elif reader.drives_first and node.fields.beta <= LEAST_DECAY:
                yield f"{name}, a decay of {node.fields.beta:g}, not above {LEAST_DECAY:.2f}"
        elif isinstance(node, SumPool2d):
            if "Conv2d" not in reader.nodes:
                yield f"{name}, SumPool2d"
        elif not isinstance(node, Linear) and type(node).__name__ not in reader.nodes:
            yield f"{name}, {type(node).__name__}"
    if net.feedback and not reader.loops:
        yield "the feedback " + ", ".join(
            f"{source} -> {target}" for source, target in sorted(net.feedback)
        )


class _Graph:
    """Nodes and edges of the graph.

    Attributes:
        nodes: the fields of each, by name.
        edges: pairs of names.
        units: of each layer of neurons.
        rounded: how many numbers of a node float32 cannot hold, where there are any.
    """

    def __init__(self, net: Network, reader: Reader, kinds: Mapping[str, str]) -> None:
        self.net, self.reader = net, reader
        self.nodes: dict[str, Any] = {
            INPUT: {"type": "Input", "shape": np.array(net.input.shape)},
            OUTPUT: {"type": "Output", "shape": np.array(net.shapes[net.output])},
        }
        self.edges = list(net.edges)
        self.rounded: dict[str, int] = {}
        self.units = {
            name: unit_of(neuron, kinds[name], reader, net.steps)
            for name, neuron in net.neurons.items()
        }
        scaled: dict[str, tuple[Float, Float]] = {}
        for name, neuron in net.neurons.items():
            self.nodes[name] = neuron_fields(
                neuron, kinds[name], net.shapes[name], self.units[name], reader
            )
            scaled |= self._scaled(name, neuron)
        for name, node in net.nodes.items():
            taken = net.shapes[net.sources(name)[0]]
            if isinstance(node, (Conv2d, Linear, SumPool2d)) and not self._stays(name):
                ones = np.ones(net.shapes[name][0])
                self._add(name, weights_fields(node, taken, *scaled.get(name, (ones, 0 * ones))))
            elif isinstance(node, Delay):
                self.nodes[name] = {
                    "type": "Delay",
                    "delay": np.full(taken, node.steps * reader.dt),
                }
            elif isinstance(node, (Flatten, SumPool2d)):
                self.nodes[name] = fields_of(node, taken)

    def _stays(self, name: str) -> bool:
        """Return whether a node is a pooling of spikes that the importer has as it is.

        Others become convolutions, which carry scale and bias.
        """
        node = self.net.nodes[name]
        into_neurons = any(target in self.net.neurons for target in self.net.targets(name))
        return (
            isinstance(node, SumPool2d)
            and "SumPool2d" in self.reader.nodes
            and node.padding == (0, 0)
            and not into_neurons
        )

    def _scaled(self, name: str, neuron: Neuron) -> dict[str, tuple[Float, Float]]:
        """Return factor and bias of the weights before neurons, by node.

        Where these weights are not theirs alone, weights of 1 are put between.
        """
        net, unit = self.net, self.units[name]
        factor = unit.drive * 2.0**neuron.fields.fraction_bits
        bias = np.zeros_like(factor) if biased_membrane(neuron) else unit.drive * neuron.bias
        sources = net.sources(name)
        own = all(
            isinstance(net.nodes.get(s), (Conv2d, Linear, SumPool2d)) and net.targets(s) == (name,)
            for s in sources
        )
        early = [source for source in sources if (source, name) not in net.feedback]
        if own and early:
            return {
                source: (factor, bias if source == early[0] else np.zeros_like(bias))
                for source in sources
            }
        if len(net.shapes[name]) not in (1, 3):
            raise NotMappable(
                f"{name}: has shape {list(net.shapes[name])} and no weights of its own before it; "
                "flatten it first"
            )
        between = node_name(f"{name}_scale", {*net.nodes, *self.nodes})
        self._add(between, diagonal_fields(net.shapes[name], factor, bias))
        self.edges = [(a, between) if b == name else (a, b) for a, b in self.edges] + [
            (between, name)
        ]
        return {}

    def _add(self, name: str, fields: dict[str, Any]) -> None:
        """Add weights, in float32."""
        exact = {key: fields[key] for key in ("weight", "bias")}
        self.nodes[name] = fields | {key: value.astype(np.float32) for key, value in exact.items()}
        if count := sum(
            int((self.nodes[name][key] != value).sum()) for key, value in exact.items()
        ):
            self.rounded[name] = count
