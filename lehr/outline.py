"""Outline of a NIR graph: its nodes, edges, types, shapes and sizes.

It comes of the walk through the file alone, and no weight is read.

It is the same door as for reading a network (lehr/hdf5.py). The graph may be another tool's: of its
numbers nothing is believed, as nothing is computed with them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
from nir.ir.node import NIRNode

from lehr.errors import FileRefused
from lehr.hdf5 import GRAPH, Declared, read_tree
from lehr.network import Edge
from lehr.nirfile import ORIGIN, about, edges_of
from lehr.nirnodes import BLOCK
from lehr.nodes.registry import NODES
from lehr.refusals import Refusals
from lehr.text import printable

TYPES = frozenset(
    name for name, kind in vars(nir).items() if inspect.isclass(kind) and issubclass(kind, NIRNode)
)
READ_BYTES = 64  # shapes, kernel sizes and scalars; what is larger is an array of the network


@dataclass(frozen=True)
class DeclaredNode:
    """A node of a graph.

    Attributes:
        kind: its type in NIR.
        sources: the nodes with an edge into it.
        arrays: shape and dtype of each field that is an array of numbers.
        values: each field that is a number, text, or a short array of integers.
    """

    kind: str
    sources: tuple[str, ...]
    arrays: Mapping[str, Declared]
    values: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """The bytes that its arrays take in memory."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def weights(self) -> int:
        """The number of numbers in its weight."""
        weight = self.arrays.get("weight")
        return 0 if weight is None else math.prod(weight.shape)


@dataclass(frozen=True)
class Outline:
    """A graph as its file declares it.

    Attributes:
        nodes: by name; those of a graph inside the graph as `outer/inner`.
        exact: whether it states an integer network (a fixed_point block).
        origin: what `lehr.nirfile.write` was told of how the network was made.
    """

    nodes: Mapping[str, DeclaredNode]
    exact: bool
    origin: Mapping[str, Any]


def outline(path: Path) -> Outline:
    """Return the graph that a `.nir` file declares.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no bounded tree of numbers and text, or holds no NIR graph; and
            naming all nodes of a type that NIR does not have, nor lehr where the file states an
            integer network, and all edges that name no node.
    """
    graph = read_tree(path, GRAPH._replace(array_bytes=READ_BYTES)).get("node")
    with about(f"{path}: "):
        if not isinstance(graph, Mapping) or str(graph.get("type")) != "NIRGraph":
            raise FileRefused("holds no NIR graph; give a file that lehr or another NIR tool wrote")
        refusals = Refusals()
        metadata = graph.get("metadata")
        stated = metadata if isinstance(metadata, Mapping) else {}
        origin = stated.get(ORIGIN)
        plain = {
            key: _plain(value)
            for key, value in (origin if isinstance(origin, Mapping) else {}).items()
        }
        exact = isinstance(stated.get(BLOCK), (str, Mapping))
        kinds = TYPES | {kind for node in NODES for kind in node.nir_types} if exact else TYPES
        nodes = dict(_nodes(graph, "", kinds, refusals))
        refusals.raise_all()
        return Outline(
            nodes, exact, {key: value for key, value in plain.items() if value is not None}
        )


def _nodes(
    graph: Mapping[str, Any], prefix: str, kinds: Collection[str], refusals: Refusals
) -> Iterator[tuple[str, DeclaredNode]]:
    nodes = graph.get("nodes")
    nodes = nodes if isinstance(nodes, Mapping) else {}
    edges: tuple[Edge, ...] = ()
    with refusals.collect(prefix and f"{prefix[:-1]}: "), about("the graph "):
        edges = edges_of(graph.get("edges", []))
    for edge in edges:
        for name in [name for name in edge if name not in nodes]:
            refusals.add(
                FileRefused(
                    f"{prefix and prefix[:-1] + ': '}edge {edge[0]} -> {edge[1]} names {name!r}, "
                    "which is no node; add the node or remove the edge"
                )
            )
    for name, fields in nodes.items():
        kind = fields.get("type") if isinstance(fields, Mapping) else None
        if not isinstance(fields, Mapping) or not isinstance(kind, str) or kind not in kinds:
            refusals.add(
                FileRefused(
                    f"{prefix}{name}: is of type {printable(str(kind))[:80]}, which NIR does not "
                    f"have; use {', '.join(sorted(kinds))}"
                )
            )
            continue
        arrays = {key: _array(value) for key, value in fields.items()}
        values = {key: _plain(value) for key, value in fields.items() if key != "type"}
        yield (
            prefix + name,
            DeclaredNode(
                kind,
                tuple(prefix + source for source, target in edges if target == name),
                {key: array for key, array in arrays.items() if array is not None},
                {key: value for key, value in values.items() if value is not None},
            ),
        )
        if kind == "NIRGraph":
            yield from _nodes(fields, f"{prefix}{name}/", kinds, refusals)


def _array(value: Any) -> Declared | None:
    if isinstance(value, np.ndarray):
        return Declared(value.dtype.str, value.shape)
    return value if isinstance(value, Declared) else None


def _plain(value: Any) -> Any:
    """Return a number, text, or a few integers; None where it is none of these."""
    if isinstance(value, np.ndarray):
        return (
            value.tolist()
            if value.dtype.kind in "iu" and value.ndim == 1 and value.size <= READ_BYTES // 8
            else None
        )
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return printable(value)
    return value if isinstance(value, (int, float)) else None
