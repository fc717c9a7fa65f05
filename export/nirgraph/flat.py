"""A graph of NIR as dictionaries, with the graphs inside it put into the outer one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lehr.errors import FileRefused
from lehr.export.nirgraph.fields import float_node
from lehr.export.nirgraph.graph import FloatNode
from lehr.network import Edge
from lehr.nirfile import about, edges_of
from lehr.refusals import Refusals

DEPTH = 8
"""The most levels that graphs may lie in graphs."""


class FlatGraph:
    """Nodes and edges of a graph and all graphs in it, by their paths, dots between the levels.

    What is wrong with them is kept in `refusals`, each node's first fault.

    Attributes:
        nodes: all but inputs and outputs, and those in which a fault was found.
        unread: these.
        edges: as pairs of paths.
        shapes: that inputs and outputs state, by their paths.
        inputs, outputs: of the outermost graph.
        notes: in sentences.
        refusals: all that was found.
        sound: whether no fault was found but in nodes: without that, the edges are not to be
            believed.
    """

    def __init__(self, tree: Any) -> None:
        self.nodes: dict[str, FloatNode] = {}
        self.unread: list[str] = []
        self.edges: list[Edge] = []
        self.shapes: dict[str, Any] = {}
        self.notes: list[str] = []
        self.refusals = Refusals()
        self.inputs, self.outputs = self._add(tree, "", 0)
        self._drop_passages()
        self.sound = len(self.refusals.reasons) == len(self.unread)

    def _add(self, tree: Any, path: str, depth: int) -> tuple[list[str], list[str]]:
        """Take in a graph, and return the paths of its inputs and of its outputs.

        Raises:
            FileRefused: when it is none.
        """
        here = f"{path}: the graph" if path else "the graph"
        if (
            not isinstance(tree, Mapping)
            or str(tree.get("type")) != "NIRGraph"
            or not isinstance(tree.get("nodes"), Mapping)
        ):
            raise FileRefused(
                f"{here} has no nodes; export it again"
                if path
                else "holds no NIR graph; give a file that a NIR tool wrote"
            )
        if depth > DEPTH:
            raise FileRefused(
                f"{here} lies more than {DEPTH} graphs deep; put its nodes into the outer one"
            )
        nodes: Mapping[str, Any] = tree["nodes"]
        edges: tuple[Edge, ...] = ()
        with self.refusals.collect(), about(f"{here} "):
            edges = edges_of(tree.get("edges", []))
        ends: dict[str, tuple[str, str]] = {}
        ports: dict[str, list[str]] = {"Input": [], "Output": []}
        for name, fields in nodes.items():
            with self.refusals.collect():
                ends[name] = self._node(fields, f"{path}.{name}" if path else name, ports, depth)
        missing = {name: (a, b) for a, b in reversed(edges) for name in (b, a) if name not in nodes}
        for name, (a, b) in missing.items():
            edge_text = f"an edge {a} -> {b}, but no node {name!r}"
            self.refusals.add(
                FileRefused(f"{here} has {edge_text}; add the node or remove the edge")
            )
        for kind, paths in ports.items():
            if not paths or (len(paths) > 1 and (path or kind == "Input")):
                count = f"{len(paths)} nodes of type {kind} ({', '.join(paths) or 'none'})"
                self.refusals.add(FileRefused(f"{here} has {count}; give it one"))
        fed = {ends[b][0] for _, b in edges if b in ends}
        for end in [end for end in ports["Output"] if end not in fed and len(ports["Output"]) > 1]:
            self.refusals.add(
                FileRefused(
                    f"{end} is an output that nothing leads to; remove it or lead a layer to it"
                )
            )
        self.edges += [(ends[a][1], ends[b][0]) for a, b in edges if a in ends and b in ends]
        return ports["Input"], ports["Output"]

    def _node(
        self, fields: Any, at: str, ports: dict[str, list[str]], depth: int
    ) -> tuple[str, str]:
        """Take in a node; return where edges into it end, and where edges out of it start."""
        if not isinstance(fields, Mapping):
            raise FileRefused(f"{at}: holds a value where NIR has fields; remove it")
        if at in self.nodes or at in self.unread or at in self.shapes:
            raise FileRefused(
                f"{at} names two nodes once graphs are put into one another; rename one"
            )
        kind = str(fields.get("type"))
        if kind == "NIRGraph":
            inputs, outputs = self._add(fields, at, depth + 1)
            return (inputs or [at])[0], (outputs or [at])[0]  # where one is missing it was refused
        if kind in ("Input", "Output"):
            ports[kind].append(at)
            self.shapes[at] = fields.get("shape")
            return at, at
        self.unread.append(at)  # until it is read
        with self.refusals.collect(f"{at}: "):
            self.nodes[at], notes = float_node(fields)
            self.notes += [f"{at}: {note}" for note in notes]
            self.unread.remove(at)
        return at, at

    def _drop_passages(self) -> None:
        """Join what leads to a subgraph's input or output with what it leads to."""
        for name in [name for name in self.shapes if name not in (*self.inputs, *self.outputs)]:
            into, out = (
                [a for a, b in self.edges if b == name],
                [b for a, b in self.edges if a == name],
            )
            if name in into:
                self.refusals.add(
                    FileRefused(f"{name} leads to itself; put a neuron layer into the cycle")
                )
            self.edges = [edge for edge in self.edges if name not in edge] + [
                (a, b) for a in into for b in out if name not in (a, b)
            ]
