"""The file: nodes, edges, the exact side, and in which order nodes are evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py


def text(value: Any) -> str:
    """Text of HDF5."""
    return value.decode() if isinstance(value, bytes) else str(value)


def read_graph(
    path: Path,
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]], dict[str, Any]]:
    """The nodes' fields by name, the edges, and the exact side."""
    with h5py.File(path) as file:
        graph: Any = file["node"]
        fields = {
            name: {key: value[()] for key, value in node.items() if key != "metadata"}
            for name, node in graph["nodes"].items()
        }
        edges = [(text(a), text(b)) for a, b in graph["edges"][()]]
        return fields, edges, json.loads(text(graph["metadata"]["fixed_point"][()]))


def ranks_of(edges: list[tuple[str, str]]) -> dict[str, int]:
    """The distance of every node from the input."""
    ranks, queue = {"input": 0}, ["input"]
    for here in queue:
        for a, b in edges:
            if a == here and b not in ranks:
                ranks[b] = ranks[here] + 1
                queue.append(b)
    return ranks


def behind(edges: list[tuple[str, str]], start: str) -> set[str]:
    """The nodes that can be reached from `start`."""
    reached, queue = set[str](), [start]
    for here in queue:
        for a, b in edges:
            if a == here and b not in reached:
                reached.add(b)
                queue.append(b)
    return reached


def feedback_of(edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that carry the value of the step before."""
    ranks = ranks_of(edges)
    return {(a, b) for a, b in edges if ranks[b] <= ranks[a] and a in behind(edges, b)}


def order_of(edges: list[tuple[str, str]], feedback: set[tuple[str, str]]) -> list[str]:
    """Order the nodes so that each comes after all that it hears in the same step.

    It goes in rounds, as the page says.
    """
    now = sorted(
        (a, b) for a, b in edges if a != "input" and b != "output" and (a, b) not in feedback
    )
    listed: dict[str, None] = {}
    for name in sorted({name for edge in edges for name in edge} - {"input", "output"}):
        listed |= dict.fromkeys([name, *(a for a, b in now if b == name)])
    waits = {name: sum(b == name for _, b in now) for name in listed}
    order, ready = list[str](), [name for name in listed if waits[name] == 0]
    while ready:
        order, following = order + ready, []
        for done in ready:
            for target in [b for a, b in now if a == done]:
                waits[target] -= 1
                following += [target] if waits[target] == 0 else []
        ready = following
    return order
