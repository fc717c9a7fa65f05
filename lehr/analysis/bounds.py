"""Rules for bounds of registers, in Python integers, one for each kind of statement.

A rule returns the bounds of the register that the statement writes.

One thing is known of two registers at once: a spike says that its register has passed the level, so
that taking off what was counted cannot lead below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from lehr.arithmetic import Rounding
from lehr.tables import Table
from lehr.update import Add, Bound, Fire, Leak, Put, Source

Bounds = tuple[int, int]
AFTER: Table[Callable[..., Bounds]] = Table(
    "the analysis of spans", "give it a rule for this statement"
)
"""Each takes bounds of all names before a statement, the statement, and Fires by register.

The Fires are those that still describe their registers.
"""


def hull(*bounds: Bounds) -> Bounds:
    """Return the least bounds that hold all of some."""
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def clipped(bounds: Bounds, within: Bounds) -> Bounds:
    """Bring both ends between others."""
    low, high = within
    return min(max(bounds[0], low), high), min(max(bounds[1], low), high)


def magnitude(bounds: Bounds) -> int:
    """Return the greatest magnitude between them."""
    return max(-bounds[0], bounds[1])


# -------------------------------------------------------------------- statements
def get(before: Mapping[str, Bounds], source: Source) -> Bounds:
    """Return the bounds of a register, a parameter, the input or a number."""
    return (source, source) if isinstance(source, int) else before[source]


def _quotient(value: int, shift: int, rounding: Rounding) -> int:
    """Return `value / 2**shift`, rounded."""
    floor, rest = value >> shift, value & ((1 << shift) - 1)
    if rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return floor + (value < 0 and rest > 0)
    return floor + (2 * rest > 1 << shift or (2 * rest == 1 << shift and floor % 2))


@AFTER.rule(Leak)
def _leak(before: Mapping[str, Bounds], s: Leak, _: Mapping[str, Fire]) -> Bounds:
    """Bound a decay: all its forms are monotonic in x and lead towards 0.

    The shift is taken at each value, since a product with it is not monotonic.
    """
    x, k, n = (get(before, source) for source in (s.x, s.decay.numerator, s.decay.shift))
    shifts, rounding = range(n[0], n[1] + 1), s.decay.rounding
    if s.decay.form == "multiply":
        left = [
            _quotient(value * factor, shift, rounding)
            for value, factor, shift in product(x, k, shifts)
        ]
    elif s.decay.form == "linear":
        left = [
            max(abs(value) - lost, 0) * (-1 if value < 0 else 1) for value, lost in product(x, k)
        ]
    else:
        rounding = "floor" if s.decay.form == "dash" else rounding
        left = [value - _quotient(value, shift, rounding) for value, shift in product(x, shifts)]
    return clipped((min(left), max(left)), hull(x, (0, 0)))


@AFTER.rule(Add)
def _add(before: Mapping[str, Bounds], s: Add, passed: Mapping[str, Fire]) -> Bounds:
    x, term, fire = get(before, s.x), terms(before, s)[-1], passed.get(s.times)
    low, high = (x[0] - term[1], x[1] - term[0]) if s.negative else (x[0] + term[0], x[1] + term[1])
    if fire is not None and s.negative and s.shift == 0 and (s.x, s.source) == (fire.x, fire.level):
        # Where it has not fired it stays, elsewhere it is above as many levels as are taken off.
        return min(x[0], int(fire.test == "gt")), x[1] if get(before, s.source)[0] >= 0 else high
    return low, high


def terms(before: Mapping[str, Bounds], s: Add) -> list[Bounds]:
    """Return the bounds of what is added, shifted and then also times a register."""
    low, high = (end << s.shift for end in get(before, s.source))
    if not s.times:
        return [(low, high)]
    ends = [end * times for end, times in product((low, high), get(before, s.times))]
    return [(low, high), (min(ends), max(ends))]


@AFTER.rule(Put)
def _put(before: Mapping[str, Bounds], s: Put, _: Mapping[str, Fire]) -> Bounds:
    return hull(get(before, s.source), get(before, s.x)) if s.when else get(before, s.source)


@AFTER.rule(Bound)
def _bound(before: Mapping[str, Bounds], s: Bound, _: Mapping[str, Fire]) -> Bounds:
    x, low, high = (get(before, source) for source in (s.x, s.low, s.high))
    if s.overflow == "saturate":
        return min(max(x[0], low[0]), high[0]), min(max(x[1], low[1]), high[1])
    return x if bites_never(x, low, high) else (low[0], high[0])


def bites_never(x: Bounds, low: Bounds, high: Bounds) -> bool:
    """Return whether a Bound to `low` and `high` leaves everything between `x` as it is."""
    return low[1] <= x[0] and x[1] <= high[0]


@AFTER.rule(Fire)
def _fire(_: Mapping[str, Bounds], s: Fire, __: Mapping[str, Fire]) -> Bounds:
    return 0, s.up_to
