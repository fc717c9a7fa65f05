"""Shortest list of changes with which a network would map, each way out once.

`check` of a target shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lehr.targets.arithmetics import Problem


@dataclass(frozen=True)
class Change:
    """One thing to do, where it is to be done, and why.

    Attributes:
        hint: what to do.
        nodes: where, in order.
        reason: what stands in the way at the first of them.
    """

    hint: str
    nodes: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.hint} ({', '.join(self.nodes)}: {self.reason})"


def changes(problems: Iterable[Problem]) -> tuple[Change, ...]:
    """Problems by their way out: those with one hint are one change."""
    grouped: dict[str, list[Problem]] = {}
    for problem in problems:
        grouped.setdefault(problem.hint, []).append(problem)
    return tuple(
        Change(hint, tuple(dict.fromkeys(p.node for p in each)), each[0].reason)
        for hint, each in grouped.items()
    )
