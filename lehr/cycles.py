"""Cycles of a graph, in time that grows with its nodes and edges and at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Neighbours = Callable[[str], Iterable[str]]


def together(names: Iterable[str], targets: Neighbours, sources: Neighbours) -> dict[str, str]:
    """Return for each node one of those on cycles with it, the same for all of them.

    They are those that it can reach and that can reach it.

    Source: Sharir 1981, "A strong-connectivity algorithm and its applications in data flow
    analysis" (Kosaraju's).
    """
    first: dict[str, str] = {}
    for root in reversed(_finished(names, targets)):
        if root in first:
            continue
        first[root], pending = root, [root]
        while pending:
            for before in sources(pending.pop()):
                if before not in first:
                    first[before] = root
                    pending.append(before)
    return first


def _finished(names: Iterable[str], targets: Neighbours) -> list[str]:
    """Return all nodes, each after those that a walk in depth meets behind it."""
    done: list[str] = []
    seen: set[str] = set()
    for root in names:
        if root in seen:
            continue
        seen.add(root)
        path = [(root, iter(targets(root)))]
        while path:
            there = next((name for name in path[-1][1] if name not in seen), None)
            if there is None:
                done.append(path.pop()[0])
            else:
                seen.add(there)
                path.append((there, iter(targets(there))))
    return done
