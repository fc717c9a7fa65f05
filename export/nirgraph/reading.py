"""Reading a NIR file, whoever wrote it: through the door, then its meaning; subgraphs are put into the graph that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from lehr.errors import FileRefused
from lehr.export.naming import node_name
from lehr.export.nirgraph.fields import float_node, map_shape, shape_of
from lehr.export.nirgraph.graph import Cells, FloatNode, Graph, Scale, Wait
from lehr.export.nirgraph.semantics import LEAST_DT
from lehr.hdf5 import read_tree
from lehr.network import INPUT, OUTPUT, Edge
from lehr.nirfile import about, edges_of
from lehr.nirnodes import Fields
from lehr.nodes import Shape

DEPTH = 8
"""How deep graphs may lie in graphs."""


def read(path: Path) -> Graph:
    """Read a graph from a `.nir` file.

    Raises:
        UsageError: when there is no such file.
        FileRefused: naming the node, the value and the way out, when it is not HDF5, not NIR, or contradicts itself.
    """
    told = read_tree(path).get("node")
    with about(f"{path}: "):
        return _graph(told)


def from_nir(graph: nir.NIRGraph) -> Graph:
    """A graph of the `nir` package.

    Raises:
        FileRefused: as `read`.
    """
    return _graph(graph.to_dict())


def _graph(told: Any) -> Graph:
    flat = _Flat()
    flat.add(told, "")
    flat.drop_passages()
    entry, leave = flat.top
    taken = {entry: INPUT, leave: OUTPUT}
    for source in flat.nodes:
        taken[source] = node_name(source, taken.values())
    nodes: dict[str, FloatNode] = {taken[source]: node for source, node in flat.nodes.items()}
    edges = [(taken[a], taken[b]) for a, b in flat.edges]
    notes = list(flat.notes)
    for last in [a for a, b in edges if b == OUTPUT]:
        if len([b for _, b in edges if b == OUTPUT]) == 1 and last in nodes and not isinstance(nodes[last], Cells):
            notes.append(f"{last} comes before the output and is no neuron: its values are read out by a layer that keeps nothing")
            added = node_name(f"{last}.readout", taken.values())
            edges = [(last, added) if edge == (last, OUTPUT) else edge for edge in edges] + [(added, OUTPUT)]
            nodes[added] = Cells("Readout", {}, map_shape(shape_of(flat.shapes[leave], leave)))
    shape = shape_of(flat.shapes[entry], entry)
    if map_shape(shape) != shape:
        notes.append(f"the input is {list(shape)}, and {list(map_shape(shape))} in the network: a map of height 1")
    graph = Graph(nodes, tuple(edges), map_shape(shape), taken, _dt(told), tuple(notes))
    for name, node in nodes.items():
        shape = _stated(node)
        if shape and graph.outline.shapes[name] != shape:
            raise FileRefused(f"{name}: has shape {list(shape)} but gets {list(graph.outline.shapes[name])}; check the layer before it")
    return graph


def _stated(node: FloatNode) -> Shape:
    """The shape of what a node takes, where its own numbers say it; none otherwise."""
    match node:
        case Cells():
            return node.shape
        case Scale():
            return node.scale.shape
        case Wait():
            return node.seconds.shape
        case _:
            return ()


def _dt(told: Mapping[str, Any]) -> float | None:
    """What the graph's metadata says of its step."""
    metadata = told.get("metadata")
    value = metadata.get("dt") if isinstance(metadata, Mapping) else None
    if value is None:
        return None
    number = np.asarray(value)
    if number.dtype.kind not in "iuf" or number.size != 1 or not LEAST_DT <= float(number.item()) <= 1 / LEAST_DT:
        raise FileRefused(f"the graph's metadata has a dt of {value!r}; give seconds above 0")
    return float(number.item())


def _require_graph(told: Any, here: str, path: str, depth: int) -> None:
    if not isinstance(told, Mapping) or str(told.get("type")) != "NIRGraph" or not isinstance(told.get("nodes"), Mapping):
        raise FileRefused(f"{here} has no nodes; export it again" if path else "holds no NIR graph; give a file that a NIR tool wrote")
    if depth > DEPTH:
        raise FileRefused(f"{here} lies more than {DEPTH} graphs deep; put its nodes into the outer one")


class _Flat:
    """Nodes and edges of a graph and all graphs in it, by their paths, dots between the levels.

    Attributes:
        nodes: all but inputs and outputs.
        edges: as pairs of paths.
        shapes: that inputs and outputs state, by their paths.
        top: the outermost graph's input and output.
        notes: in sentences.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, FloatNode] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Any] = {}
        self.top = ("", "")
        self.notes: list[str] = []

    def add(self, told: Any, path: str, depth: int = 0) -> tuple[str, str]:
        """Take in a graph; the paths of its input and its output.

        Raises:
            FileRefused: when it is none, or has not one of each.
        """
        here = f"{path}: the graph" if path else "the graph"
        _require_graph(told, here, path, depth)
        with about(f"{here} "):
            edges = edges_of(told.get("edges", []))
        entry: dict[str, str] = {}
        leave: dict[str, str] = {}
        found: dict[str, list[str]] = {"Input": [], "Output": []}
        for name, fields in told["nodes"].items():
            at = f"{path}.{name}" if path else name
            if not isinstance(fields, Mapping):
                raise FileRefused(f"{at}: holds a value where NIR has fields; remove it")
            entry[name], leave[name] = self._node(fields, at, found, depth)
        for kind, ends in found.items():
            if len(ends) != 1:
                raise FileRefused(f"{here} has {len(ends)} nodes of type {kind} ({', '.join(ends) or 'none'}); give it one")
        for a, b in edges:
            for name in (a, b):
                if name not in entry:
                    raise FileRefused(f"{here} has an edge {a} -> {b}, but no node {name!r}; add the node or remove the edge")
            self.edges.append((leave[a], entry[b]))
        if not path:
            self.top = (found["Input"][0], found["Output"][0])
        return found["Input"][0], found["Output"][0]

    def _node(self, fields: Fields, at: str, found: dict[str, list[str]], depth: int) -> tuple[str, str]:
        kind = fields.get("type")
        if at in self.nodes or at in self.shapes:
            raise FileRefused(f"{at} names two nodes once graphs are put into one another; rename one")
        if kind == "NIRGraph":
            return self.add(fields, at, depth + 1)
        if kind in ("Input", "Output"):
            found[kind].append(at)
            self.shapes[at] = fields.get("shape")
            return at, at
        with about(f"{at}: "):
            self.nodes[at], notes = float_node(fields)
        self.notes += [f"{at}: {note}" for note in notes]
        return at, at

    def drop_passages(self) -> None:
        """Join what leads to a subgraph's input or output with what it leads to."""
        for name in [name for name in self.shapes if name not in self.top]:
            into, out = [a for a, b in self.edges if b == name], [b for a, b in self.edges if a == name]
            if name in into:
                raise FileRefused(f"{name} leads to itself; put a neuron layer into the cycle")
            self.edges = [edge for edge in self.edges if name not in edge] + [(a, b) for a in into for b in out]
