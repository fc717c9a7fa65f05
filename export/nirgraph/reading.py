"""Reading of NIR files, whoever wrote them: checked as files, then read for their meaning.

Subgraphs are put into the graph that holds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from lehr.errors import FileRefused
from lehr.export.naming import node_name
from lehr.export.nirgraph.fields import leading_axis, map_shape, shape_of
from lehr.export.nirgraph.flat import FlatGraph
from lehr.export.nirgraph.graph import Cells, FloatNode, Graph, Weights
from lehr.export.nirgraph.semantics import LEAST_DT
from lehr.export.nirgraph.shapes import LARGEST_LAYER, Fitted, fit, has_batch, same_numbers
from lehr.export.nirgraph.steps import require_neurons
from lehr.hdf5 import read_tree
from lehr.network import INPUT, OUTPUT, Edge
from lehr.nirfile import APPROXIMATE, ORIGIN, about
from lehr.nirnodes import short
from lehr.nodes import Shape
from lehr.refusals import Refusals


def read(path: Path) -> Graph:
    """Read a graph from a `.nir` file.

    Raises:
        UsageError: when there is no such file.
        FileRefused: naming the node, the value and the way out, when it is not HDF5, not NIR, or
            contradicts itself.
    """
    tree = read_tree(path).get("node")
    with about(f"{path}: "):
        return from_tree(tree)


def from_nir(graph: nir.NIRGraph) -> Graph:
    """Read a graph of the `nir` package.

    Raises:
        FileRefused: as `read`.
    """
    return from_tree(graph.to_dict())


def from_tree(tree: Any) -> Graph:
    """Read a graph from dictionaries, as they stand in a file.

    All that is wrong with it is said at once.

    Raises:
        FileRefused: as `read`.
    """
    flat = FlatGraph(tree)
    refusals, notes = flat.refusals, list(flat.notes)
    dt: float | None = None
    stated: Shape = ()
    with refusals.collect():
        dt = _dt(tree)
    with refusals.collect():
        _require_whole(tree)
    for entry in flat.inputs[:1]:
        with refusals.collect():
            stated = shape_of(flat.shapes[entry], entry)
    if not (flat.sound and stated):
        raise refusals.joined()
    named = _Named(flat)
    heads = named.read_out(notes)
    shape, fitted = _fit(named, stated, flat.inputs[0], notes, refusals)
    if refusals:  # what else is known of the numbers is said with it
        for name, node in fitted.nodes.items():
            with refusals.collect(f"{name}: "):
                if isinstance(node, Cells) and node.shape:
                    require_neurons(node)
        raise refusals.joined()
    _note_outputs(flat, named, fitted, notes)
    decides = next(iter(heads.values()), None)
    edges = tuple((a, b) for a, b in named.edges if b != OUTPUT or a == decides)
    graph = Graph(fitted.nodes, edges, shape, named.names, dt, (*notes, *fitted.notes), heads)
    _ = graph.outline  # its cycles and edges are checked
    return graph


class _Named:
    """A flat graph under names that a network may have.

    Attributes:
        names: legal name by the name in the file.
        nodes, unread, edges: by legal names; `output` is where all outputs are.
    """

    def __init__(self, flat: FlatGraph) -> None:
        self.names = dict.fromkeys(flat.inputs, INPUT) | dict.fromkeys(flat.outputs, OUTPUT)
        self._used: set[str] = set()
        for source in (*flat.nodes, *flat.unread):
            self.names[source] = self._name(source)
        self.nodes: dict[str, FloatNode] = {
            self.names[source]: node for source, node in flat.nodes.items()
        }
        self.unread = [self.names[source] for source in flat.unread]
        edges = [(self.names[a], self.names[b]) for a, b in flat.edges]
        # one layer may lead to several outputs
        to_output = dict.fromkeys(edge for edge in edges if edge[1] == OUTPUT)
        self.edges: list[Edge] = [edge for edge in edges if edge[1] != OUTPUT] + list(to_output)

    def read_out(self, notes: list[str]) -> dict[str, str]:
        """Put neurons that keep nothing after what leads to the output without being neurons.

        Returns `Graph.heads`.
        """
        fed = [a for a, b in self.edges if b == OUTPUT]
        in_file = {name: source for source, name in self.names.items()}
        heads: dict[str, str] = {}
        for head in [name for name in fed if name != INPUT or len(fed) == 1]:
            layer = head
            if head in self.nodes and not isinstance(self.nodes[head], Cells):
                notes.append(
                    f"{head} comes before the output and is no neuron: its values are read out by "
                    "a layer that keeps nothing"
                )
                layer = self._name(f"{head}.readout")
                self.edges = [
                    (head, layer) if edge == (head, OUTPUT) else edge for edge in self.edges
                ] + [(layer, OUTPUT)]
                self.nodes[layer] = Cells("Readout", {}, ())
            heads[in_file[head]] = layer
        return heads

    def _name(self, wanted: str) -> str:
        name = node_name(wanted, self._used)
        self._used.add(name)
        return name


def _fit(
    named: _Named, stated: Shape, entry: str, notes: list[str], refusals: Refusals
) -> tuple[Shape, Fitted]:
    """Return the input's shape, and the nodes fitted to it.

    Leading axes of 1 are left out if with them it does not fit.
    """
    first: tuple[Shape, Fitted, Refusals] | None = None
    heard = [named.nodes.get(b) for a, b in named.edges if a == INPUT]
    vector = all(isinstance(node, Weights) and node.weight.ndim == 2 for node in heard)
    for start in range(len(stated)):
        without = stated[start:]
        if len(without) > 3 or (vector and len(without) > 1 and stated[start] == 1):
            continue
        shape, misfits = map_shape(without), Refusals()
        if math.prod(shape) > LARGEST_LAYER:
            refusals.add(
                FileRefused(
                    f"{entry}: shape is {list(shape)}, {math.prod(shape):,} values; the limit is "
                    f"{LARGEST_LAYER:,}: use a smaller input"
                )
            )
            raise refusals.joined()
        fitted = fit(named.nodes, named.edges, shape, misfits, named.unread)
        first = first or (shape, fitted, misfits)
        if not misfits:
            if start:
                notes.append(leading_axis(f"{entry}: shape is {list(stated)}"))
            if shape != without:
                notes.append(
                    f"the input is {list(without)}, and {list(shape)} in the network: a map of "
                    "height 1"
                )
            return shape, fitted
        if stated[start] != 1:
            break
    assert first is not None
    with refusals.collect():
        first[2].raise_all()
    return first[:2]


def _note_outputs(flat: FlatGraph, named: _Named, fitted: Fitted, notes: list[str]) -> None:
    """Say where an output states another shape than comes to it; the edges decide."""
    for leave in flat.outputs:
        value = np.asarray(flat.shapes[leave])
        stated = tuple(int(size) for size in value.ravel()) if value.dtype.kind in "iu" else ()
        sources = [named.names[a] for a, b in flat.edges if b == leave]
        gets = next((fitted.shapes[source] for source in sources if source in fitted.shapes), ())
        if stated and gets and not same_numbers(stated, gets):
            notes.append(
                f"{leave} says shape {list(stated)}, but gets {list(gets)}, which is what counts"
            )
        elif stated and gets and has_batch(stated, gets):
            notes.append(leading_axis(f"{leave}: shape is {list(stated)}"))


def _require_whole(tree: Mapping[str, Any]) -> None:
    """Refuse a file of lehr's whose neurons NIR has no type for.

    Read as the nearest type, they would be other neurons.
    """
    metadata = tree.get("metadata")
    origin = metadata.get(ORIGIN) if isinstance(metadata, Mapping) else None
    lacks = origin.get(APPROXIMATE) if isinstance(origin, Mapping) else None
    if lacks is not None:
        raise FileRefused(
            f"the graph's own types only come near its neurons ({short(lacks)}); use it as it is, "
            "it states integers"
        )


def _dt(tree: Mapping[str, Any]) -> float | None:
    """Return the step that the graph's metadata states, in seconds; None where it states none."""
    metadata = tree.get("metadata")
    value = metadata.get("dt") if isinstance(metadata, Mapping) else None
    if value is None:
        return None
    number = np.asarray(value)
    if (
        number.dtype.kind not in "iuf"
        or number.size != 1
        or not LEAST_DT <= float(number.item()) <= 1 / LEAST_DT
    ):
        raise FileRefused(f"the graph's metadata has a dt of {value!r}; give seconds above 0")
    return float(number.item())
