"""Ground of a width analysis: parameters and inputs of every neuron, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lehr.analysis.rows import HIGH, LOW, REACH, Rows, Where
from lehr.arithmetic import Int64
from lehr.update import INPUT, Source

BUDGET = 400_000


@dataclass
class Record:
    """Bounds of single statements, per neuron: by number, lowest and highest, `[2, neurons]`.

    Attributes:
        arrived: at a Bound.
        left: what a statement wrote.
        terms: what an Add added.
    """

    neurons: int
    arrived: dict[int, Int64] = field(default_factory=dict)
    left: dict[int, Int64] = field(default_factory=dict)
    terms: dict[int, Int64] = field(default_factory=dict)

    def of(self, some: slice) -> Record:
        """Return the record of some of the neurons."""
        parts = (
            {n: bounds[:, some] for n, bounds in kept.items() if n > 0}
            for kept in (self.arrived, self.left, self.terms)
        )
        return Record(some.stop - some.start, *parts)

    def note(self, kept: dict[int, Int64], number: int, at: Int64, bounds: Int64) -> None:
        """Widen the known bounds of a statement by some rows."""
        if number not in kept:
            kept[number] = np.array([[np.iinfo(np.int64).max], [np.iinfo(np.int64).min]]).repeat(
                self.neurons, axis=1
            )
        np.minimum.at(kept[number][LOW], at, bounds[LOW])
        np.maximum.at(kept[number][HIGH], at, bounds[HIGH])


@dataclass(frozen=True)
class Ground:
    """Parameters and inputs of the neurons that rows are about.

    Attributes:
        given: each parameter of each neuron, `[neurons]`.
        drive: bounds of the input: of its sum over a step, and so of each event, `[2, neurons]`.
        events: how many events there are at most in a step, `[neurons]`.
        careful: whether anything can come to REACH, so that every result is checked.
        keys: the registers by which rows are told apart where there are too many of them.
        scale: in a loop over events, the registers that follow the input, and how often they take
            it.
        keeps_count: whether spikes that are added up stay until the end of the step, where more
            than 255 are refused, and never become fewer.
        record: where to write down what statements do; None while it does not count.
        outer: the neurons of the record, where those of this ground are rows of another.
        spent: how many rows of each neuron went through a statement so far, in a list of one;
            beyond BUDGET nothing is looked at closely.
    """

    given: Mapping[str, Int64]
    drive: Int64
    events: Int64
    careful: bool
    keys: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    keeps_count: bool = True
    record: Record | None = None
    outer: Int64 | None = None
    spent: list[int] = field(default_factory=lambda: [0])

    @property
    def is_spent(self) -> bool:
        """True if bounds are to be taken that are quickly had."""
        return self.spent[0] > BUDGET

    def note(
        self, kind: str, number: int, rows: Rows, bounds: Int64, where: Where | None = None
    ) -> None:
        """Write down what a statement did to the rows, or to some of them."""
        assert self.record is not None
        at = rows.at if self.outer is None else self.outer[rows.at]
        bounds = np.broadcast_to(bounds, (2, len(rows)))
        if where is not None:
            at, bounds = at[where], bounds[:, where]
        self.record.note(getattr(self.record, kind), number, at, bounds)

    def recording(self, record: Record) -> Ground:
        """Return the same, with a record."""
        return replace(self, record=record)

    def exact(self, rows: Rows, source: Source) -> Int64 | int:
        """Return the value of a number or parameter, a number or `[rows]`."""
        return source if isinstance(source, int) else rows.given(source, self.given[source])

    @cached_property
    def _positive(self) -> frozenset[str]:
        return frozenset(name for name, values in self.given.items() if values.min(initial=0) >= 0)

    def is_positive(self, source: Source) -> bool:
        """Return whether a number or parameter is nowhere below 0."""
        return source >= 0 if isinstance(source, int) else source in self._positive

    def bounds(self, rows: Rows, source: Source) -> Int64:
        """Return the bounds of any source, `[2, rows]`."""
        if source == INPUT:
            return rows.given(INPUT, self.drive)
        if isinstance(source, str) and source in rows.bounds:
            return rows.of(source)
        value = self.exact(rows, source)
        return np.broadcast_to(np.asarray(value, np.int64), (2, len(rows)))

    def within(self, x: str, rows: Rows, bounds: Int64) -> Int64:
        """Cut bounds of a register off at REACH.

        In a loop, those of its value and of its rest are brought together.
        """
        if self.careful:
            bounds = np.minimum(np.maximum(bounds, -REACH), REACH)
        if bounds.ndim == 2:
            return bounds
        value, rest = bounds
        if scale := self.scale.get(x, 0):
            value, rest = value.copy(), rest.copy()
            drive = rows.given(INPUT, self.drive) * scale
            value[LOW] = np.maximum(value[LOW], rest[LOW] + drive[LOW])
            value[HIGH] = np.minimum(value[HIGH], rest[HIGH] + drive[HIGH])
            rest[LOW] = np.maximum(rest[LOW], value[LOW])
            rest[HIGH] = np.minimum(rest[HIGH], value[HIGH])
            return np.stack([value, rest])
        return np.stack([value, value])


def product(a: Int64, b: Int64 | int, careful: bool) -> Int64:
    """Return `a * b`, cut off at REACH if `careful`."""
    if not careful:
        return a * b
    size = np.abs(a.astype(np.float64) * np.asarray(b, np.float64))
    far = size >= REACH / 2
    exact = np.where(far, 0, a) * b
    return np.asarray(np.where(far, REACH * (np.sign(a) * np.sign(b)), exact), np.int64)


def product_of_bounds(a: Int64, b: Int64, careful: bool) -> Int64:
    """Return the bounds of the product of two values with bounds `[2, rows]`."""
    ends = np.stack([product(a[i], b[j], careful) for i in (LOW, HIGH) for j in (LOW, HIGH)])
    return np.stack([ends.min(axis=0), ends.max(axis=0)])
