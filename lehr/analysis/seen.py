"""Facts about registers, from a record of single statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain

import numpy as np

from lehr.analysis.ground import Record
from lehr.analysis.rows import HIGH, LOW, REACH
from lehr.arithmetic import Int64
from lehr.update import (
    FIRED,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Program,
    Put,
    Statement,
    sources,
    walk,
    written,
)


def span(bounds: Iterable[Int64]) -> tuple[int, int]:
    """Return the lowest and highest of all neurons, and of 0."""
    each = list(bounds)
    return min((0, *(int(b[LOW].min()) for b in each))), max(
        (0, *(int(b[HIGH].max()) for b in each))
    )


@cache
def writers(program: Program) -> Mapping[str, tuple[int, ...]]:
    """Return the numbers of the statements that write each register."""
    numbered = [
        (number, written(s))
        for number, s in enumerate(walk(program.statements), 1)
        if not isinstance(s, ForEachEvent)
    ]
    return {x: tuple(number for number, own in numbered if own == x) for x in program.registers}


@cache
def keeps_count(program: Program) -> bool:
    """Return whether spikes that are added up stay until the end of the step.

    There more than 255 are refused; until then they never become fewer.
    """
    counted = {s.source for s in program.all if isinstance(s, Add) and s.x == FIRED}
    added, in_order = (
        False,
        [s.body * 2 if isinstance(s, ForEachEvent) else (s,) for s in program.statements],
    )
    for s in chain.from_iterable(in_order):
        if isinstance(s, ForEachEvent):
            continue
        if written(s) == FIRED:
            if added and not isinstance(s, Add):
                return False
            added |= isinstance(s, Add)
        elif written(s) in counted and not (isinstance(s, Fire) or s == Put(written(s), 0)):
            return False
    return True


def beyond(record: Record) -> int:
    """Return the first statement in which, or after which, anything comes to REACH, or 0."""
    for number in sorted(record.left):
        if (
            max(
                map(
                    abs,
                    span(kept[number] for kept in (record.terms, record.left) if number in kept),
                )
            )
            >= REACH
        ):
            return number
    return 0


def looked_at(program: Program, record: Record) -> dict[str, list[Int64]]:
    """Return by register what comes to its Bounds and what is written to it.

    What is written just on its way to a Bound does not count.
    """
    looked: dict[str, list[Int64]] = {x: [] for x in program.registers}
    for x, numbers in writers(program).items():
        looked[x] += [record.arrived[number] for number in numbers if number in record.arrived]
        for number in _kept(program).intersection(numbers).intersection(record.left):
            low, high = record.left[number]
            # a register that wraps is anywhere between them, anyway
            for least, most in _wraps(program, x):
                low, high = np.where(low < least, low, 0), np.where(high > most, high, 0)
            looked[x].append(np.stack([low, high]))
    return looked


def _wraps(program: Program, x: str) -> list[tuple[int, int]]:
    """Return the ends between which a register wraps."""
    bounds = [s for s in program.all if isinstance(s, Bound) and s.x == x and s.overflow == "wrap"]
    return [(s.low, s.high) for s in bounds if isinstance(s.low, int) and isinstance(s.high, int)]


@cache
def _kept(program: Program) -> frozenset[int]:
    """Return the numbers of the statements whose result is read, or stays at the end, as it is."""
    kept, number = set(), 0
    for index, s in enumerate(program.statements):
        number += 1
        body, later = (
            (s.body, ()) if isinstance(s, ForEachEvent) else ((s,), program.statements[index + 1 :])
        )
        number += isinstance(s, ForEachEvent)
        for place, inner in enumerate(body):
            wraps = isinstance(inner, Bound) and inner.overflow == "wrap"
            if (
                not isinstance(inner, ForEachEvent)
                and not wraps
                and _is_read(written(inner), (*body[place + 1 :], *later))
            ):
                kept.add(number + place)
        number += len(body) - 1
    return frozenset(kept)


def _is_read(x: str, later: tuple[Statement, ...]) -> bool:
    """Return whether statements take a register as it is before they bound or replace it.

    At the end it is kept as it is.
    """
    for s in later:
        if isinstance(s, ForEachEvent) or x in sources(s) or (isinstance(s, Fire) and s.x == x):
            return True
        replaced = isinstance(s, Fire) or (isinstance(s, Put) and not s.when)
        if written(s) == x and (isinstance(s, Bound) or replaced):
            return False
    return True
