"""The width analysis of a program: a rule for each kind of statement, over rows of bounds.

Every decay is monotonic, so that it maps bounds to bounds. A Fire, and a Put under a condition,
tell the rows apart that it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lehr.analysis.ground import Ground, product, product_of_bounds
from lehr.analysis.rows import HIGH, LOW, REACH, Rows, Where, codes, joined
from lehr.analysis.sums import MOST_FACTOR, ONE
from lehr.arithmetic import Int64
from lehr.operations import decayed
from lehr.tables import Table
from lehr.update import INPUT, Add, Bound, Fire, Leak, Put, Statement

RULES: Table[Callable[..., Rows]] = Table("the width analysis", "give it a rule for this statement")
MOST_ROWS = 16
"""Rows of one neuron, beyond which they are joined."""
Numbered = tuple[int, Statement]


def run(ground: Ground, rows: Rows, statements: Sequence[Numbered]) -> Rows:
    """Run some statements, each with its number in the program, on rows."""
    for number, statement in statements:
        ground.spent[0] += max(1, len(rows) // max(1, ground.drive.shape[1]))
        rows = RULES[type(statement)](ground, rows, statement, number)
        if len(rows) > MOST_ROWS * ground.drive.shape[1]:
            rows = joined(rows, codes(rows, ground.keys))[0]
    return rows


@RULES.rule(Leak)
def _leak(ground: Ground, rows: Rows, s: Leak, number: int) -> Rows:
    x, k, n = (
        rows.bounds[s.x],
        ground.exact(rows, s.decay.numerator),
        ground.exact(rows, s.decay.shift),
    )
    if ground.careful and s.decay.form == "multiply":
        far = np.abs(x) >= (REACH * 2) // np.maximum(k, 1)
        left = np.where(far, REACH * np.sign(x), decayed(np.where(far, 0, x), s.decay, k, n))
    else:
        left = decayed(x, s.decay, k, n)
    rows.put(s.x, ground.within(s.x, rows, left))
    if ground.record is not None:
        ground.note("left", number, rows, rows.of(s.x))
    return rows


@RULES.rule(Add)
def _add(ground: Ground, rows: Rows, s: Add, number: int) -> Rows:
    term = _term(ground, rows, s)
    bounds = rows.bounds[s.x]
    follows = s.source == INPUT and bool(ground.scale.get(s.x))
    left = bounds + (np.stack([term, np.zeros_like(term)]) if follows else term)
    if rows.sums is not None and bounds.ndim == 2:
        _add_terms(ground, rows, s, np.broadcast_to(term, bounds.shape))
        if (better := rows.sums.bounds(s.x, bounds.shape)) is not None:
            left = np.stack(
                [np.maximum(left[LOW], better[LOW]), np.minimum(left[HIGH], better[HIGH])]
            )
        rows.bounds[s.x] = ground.within(s.x, rows, left)
    else:
        rows.put(s.x, ground.within(s.x, rows, left))
    if ground.record is not None:
        ground.note("terms", number, rows, np.asarray(term))
        ground.note(
            "left",
            number,
            rows,
            rows.of(s.x),
            (rows.of(s.times) != 0).any(axis=0) if s.times else None,
        )
    return rows


def _term(ground: Ground, rows: Rows, s: Add) -> Int64 | int:
    """Return what an Add adds: a number or `[rows]` if that is exact, else bounds `[2, rows]`."""
    term: Int64 | int
    if s.source in rows.bounds or s.source == INPUT:
        term = product(ground.bounds(rows, s.source), 1 << s.shift, ground.careful)
        term = product_of_bounds(term, rows.of(s.times), ground.careful) if s.times else term
    else:
        term = ground.exact(rows, s.source) << s.shift
        if s.times:
            ends = product(rows.of(s.times), term, ground.careful)
            term = (
                ends
                if ground.is_positive(s.source)
                else np.where(np.asarray(term) < 0, ends[::-1], ends)
            )
    if not s.negative:
        return term
    return -term[::-1] if isinstance(term, np.ndarray) and term.ndim == 2 else -term


def _add_terms(ground: Ground, rows: Rows, s: Add, term: Int64) -> None:
    """Add what is known of the source, or of `times`, with its factor to the register's sum."""
    sums = rows.sums
    assert sums is not None
    own = dict(sums.of(s.x, rows.of(s.x)))
    sign = np.full(len(rows), -1 if s.negative else 1, np.int64)
    if not s.times and s.source in rows.bounds:
        sums.add(s.x, own, sums.of(str(s.source), rows.of(str(s.source))), sign << s.shift)
        return
    is_exact = isinstance(s.source, int) or (s.source != INPUT and s.source not in rows.bounds)
    factor = (
        sign * (np.asarray(ground.exact(rows, s.source), np.int64) << s.shift) if is_exact else sign
    )
    if is_exact and not s.times:
        sums.add(s.x, own, {ONE: np.ones_like(sign)}, factor)
    elif is_exact and np.abs(factor).max() <= MOST_FACTOR:
        sums.add(s.x, own, sums.of(s.times, rows.of(s.times)), factor)
    else:
        sums.add(s.x, own, {sums.value(term): np.ones_like(sign)}, np.ones_like(sign))


@RULES.rule(Put)
def _put(ground: Ground, rows: Rows, s: Put, number: int) -> Rows:
    sure: Where | None = None
    if s.when:
        low, high = rows.of(s.when)
        sure = (low > 0) | (high < 0)
        if not (sure | ((low == 0) & (high == 0))).all():
            rows, sure = _split_by_zero(rows, s.when)
    known = None
    if (
        rows.sums is not None
        and (sure is None or sure.all())
        and s.source in rows.bounds
        and rows.bounds[s.x].ndim == 2
    ):
        known = dict(rows.sums.of(str(s.source), rows.of(str(s.source))))
    before, value = rows.bounds[s.x], np.broadcast_to(ground.bounds(rows, s.source), (2, len(rows)))
    left = value if before.ndim == 2 else np.stack([value, _rest(before, value)])
    left = ground.within(s.x, rows, left)
    rows.put(s.x, left if sure is None else np.where(sure, left, before))
    if known is not None and rows.sums is not None:
        rows.sums.terms[s.x] = known
    if ground.record is not None:
        ground.note("left", number, rows, rows.of(s.x), sure)
    return rows


def _rest(before: Int64, value: Int64) -> Int64:
    """Return the bounds of a register without the events so far, once it is given a value.

    Those of before hold if it goes nearer to them.
    """
    (low, high), (rest_low, rest_high) = before
    least = np.where(value[LOW] >= high, np.maximum(rest_low, value[LOW]), value[LOW])
    most = np.where(value[HIGH] <= low, np.minimum(rest_high, value[HIGH]), value[HIGH])
    return np.stack([least, most])


def _split_by_zero(rows: Rows, x: str) -> tuple[Rows, Where]:
    """Split rows by whether a register is below 0, 0, or above it.

    Returns the rows, and whether it is not 0.
    """
    low, high = rows.of(x)
    parts = [
        np.flatnonzero(low < 0),
        np.flatnonzero((low <= 0) & (high >= 0)),
        np.flatnonzero(high > 0),
    ]
    split, sizes = rows.take(np.concatenate(parts)), [len(part) for part in parts]
    low, high = split.of(x)
    _narrow(
        split,
        x,
        np.stack(
            [
                np.maximum(low, np.repeat((-REACH, 0, 1), sizes)),
                np.minimum(high, np.repeat((-1, 0, REACH), sizes)),
            ]
        ),
    )
    return split, np.repeat([True, False, True], sizes)


def _narrow(rows: Rows, x: str, value: Int64) -> None:
    """Give a register narrower bounds of its value."""
    if rows.bounds[x].ndim == 3:
        # a value above some number is so without its negative events as well, and one below some
        # number without its positive ones
        rest = rows.bounds[x][1]
        value = np.stack(
            [
                value,
                np.stack([np.maximum(rest[LOW], value[LOW]), np.minimum(rest[HIGH], value[HIGH])]),
            ]
        )
    rows.put(x, value)


@RULES.rule(Bound)
def _bound(ground: Ground, rows: Rows, s: Bound, number: int) -> Rows:
    low, high = ground.exact(rows, s.low), ground.exact(rows, s.high)
    x, value = rows.bounds[s.x], rows.of(s.x)
    if ground.record is not None:
        ground.note("arrived", number, rows, value)
    out = (value[LOW] < low) | (value[HIGH] > high)
    if x.ndim == 3 or out.any():
        if s.overflow == "saturate":
            left = np.minimum(np.maximum(x, low), high)
        else:
            left = np.where(
                out, np.stack([np.full_like(value[LOW], low), np.full_like(value[LOW], high)]), x
            )
        _keep_inside(ground, rows, s.x, out, left)
    if ground.record is not None:
        ground.note("left", number, rows, rows.of(s.x))
    return rows


def _keep_inside(ground: Ground, rows: Rows, x: str, out: Where, left: Int64) -> None:
    """Give a register what a Bound leaves.

    If it left everything as it was, what is known of the register stays.
    """
    sums = rows.sums
    if sums is None or x not in sums.terms or left.ndim == 3:
        rows.put(x, ground.within(x, rows, left))
        return
    rows.bounds[x] = ground.within(x, rows, left)
    kept = {value: np.where(out, 0, factor) for value, factor in sums.terms[x].items()}
    one = np.ones(len(rows), np.int64)
    sums.add(x, kept, {sums.value(np.where(out, left, 0)): one}, one)


@RULES.rule(Fire)
def _fire(ground: Ground, rows: Rows, s: Fire, number: int) -> Rows:
    gap, x = int(s.test == "gt"), rows.of(s.x)
    least, most = (
        rows.of(s.level)
        if isinstance(s.level, str) and s.level in rows.bounds
        else (ground.exact(rows, s.level),) * 2
    )
    quiet, loud, top = most + (gap - 1), least + (gap - 1), s.up_to * least + (gap - 1)
    still = np.flatnonzero(x[LOW] <= quiet)
    if s.up_to == 1:
        parts, ends = [still, np.flatnonzero(x[HIGH] > loud)], [(None, quiet), (loud, None)]
    else:
        parts = [
            still,
            np.flatnonzero((x[HIGH] > loud) & (x[LOW] <= top)),
            np.flatnonzero(x[HIGH] > top),
        ]
        ends = [(None, quiet), (loud, top), (top, None)]
    sizes = [len(part) for part in parts]
    split = rows if max(sizes) == len(rows) == sum(sizes) else rows.take(np.concatenate(parts))
    value, start = split.of(s.x).copy(), 0
    for part, (below, above) in zip(parts, ends, strict=True):
        own = slice(start, start := start + len(part))
        if below is not None:
            value[LOW, own] = np.maximum(
                value[LOW, own], (below if isinstance(below, int) else below[part]) + 1
            )
        if above is not None:
            value[HIGH, own] = np.minimum(
                value[HIGH, own], above if isinstance(above, int) else above[part]
            )
    _narrow(split, s.x, value)
    if s.up_to == 1:
        split.put(s.into, _like(split.bounds[s.into], np.repeat((0, 1), sizes)))
    else:
        level = np.broadcast_to(np.asarray(least, np.int64), len(rows))[np.concatenate(parts)]
        _count(split, s, sizes, level, gap)
    if ground.record is not None:
        ground.note("left", number, split, split.of(s.into))
    return split


def _like(bounds: Int64, exact: Int64) -> Int64:
    """Return the bounds of an exact value, in the shape of others."""
    filled = np.empty((*bounds.shape[:-1], len(exact)), np.int64)
    filled[...] = exact
    return filled


def _count(rows: Rows, s: Fire, sizes: list[int], level: Int64, gap: int) -> None:
    """Set the count of a Fire on rows on which it is 0, between, or at its most.

    Then x is that times the level, and a rest.
    """
    x = rows.of(s.x)
    between = np.repeat([False, True, False], sizes)
    fixed = np.repeat([0, 0, s.up_to], sizes)
    spikes = np.where(between, np.clip((x - gap) // level, 1, s.up_to - 1), fixed)
    rest = np.where(
        between, np.stack([np.full_like(level, gap), level + gap - 1]), x - spikes[::-1] * level
    )
    rest = np.stack(
        [
            np.maximum(rest[LOW], x[LOW] - spikes[HIGH] * level),
            np.minimum(rest[HIGH], x[HIGH] - spikes[LOW] * level),
        ]
    )
    rows.put(s.into, np.broadcast_to(spikes, rows.bounds[s.into].shape).copy())
    if rows.sums is None or rows.bounds[s.x].ndim == 3:
        return
    one = np.ones_like(level)
    number = rows.sums.value(spikes)
    if s.into != s.x and int(level.max()) <= MOST_FACTOR:
        rows.sums.terms[s.x] = {number: level, rows.sums.value(rest): one}
    rows.sums.terms[s.into] = {number: one}
