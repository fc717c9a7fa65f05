"""What the registers of an update can be, in Python integers, from bounds of its input and parameters: the ground for types in C.

An interpreter of the statements on bounds. Steps, and the events of a loop, are repeated until the bounds stay; where they keep growing
they go to the ends of the next wider integers, and at last beyond all types. Every intermediate value that targets/c/printer.py writes is
taken in. One thing is known of two registers at once: a spike says that its membrane has passed the threshold, so that taking off what
was counted cannot lead below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count, product

from lehr.arithmetic import Rounding
from lehr.tables import Table
from lehr.update import FIRED, MOST_SPIKES, Add, Bound, Fire, ForEachEvent, Leak, Program, Put, Source, Statement

Bounds = tuple[int, int]
RULES: Table[Callable[..., None]] = Table("target c", "say the update in other statements")
BEYOND = 1 << 80
"""What no type holds; bounds go no further."""
PATIENCE = 4
"""Repetitions before bounds that keep growing go to the ends of wider integers."""


class Ranges:
    """Bounds of a layer's registers, over any number of steps.

    Attributes:
        now: of every register at this point of the update, and in the end after a step.
        kept: of every register where a step, or an event, may leave it.
        reached: of every value that a register has, or that comes up on the way to one.
    """

    def __init__(self, program: Program, given: Mapping[str, Bounds]) -> None:
        """Bound what `program` does, for bounds of its parameters and of `input`, which a loop takes as the weight of an event."""
        self._given = given
        zero: Bounds = (0, 0)
        states = dict.fromkeys(program.states, zero)
        for turn in count():
            self.kept: dict[str, Bounds] = {}
            self.reached: dict[str, Bounds] = dict.fromkeys(program.registers, zero)
            self.now = {name: states.get(name, zero) for name in program.registers}
            self.passed: dict[str, Fire] = {}  # by the register of its spikes: what is known of the register that fired
            self.run(program.statements)
            self.now[FIRED] = _clipped(self.now[FIRED], (0, MOST_SPIKES))
            self.leave()
            after = {name: hull(bounds, self.now[name]) for name, bounds in states.items()}
            if after == states:
                return
            states = _grown(states, after, turn)

    @property
    def widest(self) -> Bounds:
        """Bounds of everything that comes up."""
        return hull(*self.reached.values())

    def get(self, source: Source) -> Bounds:
        """Bounds of a register, a parameter, the input or a number."""
        if isinstance(source, int):
            return source, source
        return self.now[source] if source in self.now else self._given[source]

    def run(self, statements: tuple[Statement, ...]) -> None:
        """Follow some statements."""
        for statement in statements:
            RULES[type(statement)](self, statement)

    def see(self, x: str, *values: int) -> Bounds:
        """Take in values that come up on the way to register `x`, and return their bounds."""
        bounds = _clipped((min(values), max(values)), (-BEYOND, BEYOND))
        self.reached[x] = hull(self.reached[x], bounds)
        return bounds

    def put(self, x: str, bounds: Bounds) -> None:
        """Let a register have other bounds; what was known of it and others is known no more."""
        self.now[x] = self.see(x, *bounds)
        self.passed = {into: s for into, s in self.passed.items() if x not in (into, s.x, s.level)}

    def leave(self) -> None:
        """Take in all registers as they are left."""
        self.kept = {name: hull(self.kept.get(name, (0, 0)), bounds) for name, bounds in self.now.items()}


def hull(*bounds: Bounds) -> Bounds:
    """The least bounds that hold all of some."""
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _clipped(bounds: Bounds, within: Bounds) -> Bounds:
    low, high = within
    return min(max(bounds[0], low), high), min(max(bounds[1], low), high)


def _grown(before: Mapping[str, Bounds], after: Mapping[str, Bounds], turn: int) -> dict[str, Bounds]:
    """Bounds to go on with: those after, or where they moved once more after many turns, the ends of wider integers."""
    if turn < PATIENCE:
        return dict(after)
    return {name: (_end(old[0], after[name][0]), _end(old[1], after[name][1])) for name, old in before.items()}


def _end(old: int, new: int) -> int:
    """`new`, or where it is not `old`, the last number on its side that takes no more bits."""
    if new == old:
        return old
    whole = 1 << (new if new >= 0 else ~new).bit_length()
    return _clipped((-whole, whole - 1), (-BEYOND, BEYOND))[int(new > old)]


def _quotient(value: int, shift: int, rounding: Rounding) -> int:
    """`value / 2**shift`, rounded."""
    floor, rest = value >> shift, value & ((1 << shift) - 1)
    if rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return floor + (value < 0 and rest > 0)
    return floor + (2 * rest > 1 << shift or (2 * rest == 1 << shift and floor % 2))


@RULES.rule(Leak)
def _leak(r: Ranges, s: Leak) -> None:
    """All forms are monotonic in x and lead towards 0; the shift is taken at each value, since a product with it is not."""
    x, k, n = r.get(s.x), r.get(s.decay.numerator), r.get(s.decay.shift)
    shifts = range(n[0], n[1] + 1)
    divided = r.see(s.x, *(value * factor for value, factor in product(x, k))) if s.decay.form == "multiply" else x
    if s.decay.form == "multiply":
        left = [_quotient(value, shift, s.decay.rounding) for value, shift in product(divided, shifts)]
    elif s.decay.form == "linear":
        left = [max(abs(value) - lost, 0) * (-1 if value < 0 else 1) for value, lost in product(x, k)]
        r.see(s.x, -k[1], k[1])
    else:
        rounding: Rounding = "floor" if s.decay.form == "dash" else s.decay.rounding
        left = [value - _quotient(value, shift, rounding) for value, shift in product(x, shifts)]
    r.see(s.x, -divided[0], -divided[1], divided[0] - (1 << n[1]))  # on the way to a quotient
    r.put(s.x, _clipped((min(left), max(left)), hull(x, (0, 0))))


@RULES.rule(Add)
def _add(r: Ranges, s: Add) -> None:
    x, term = r.get(s.x), r.see(s.x, *(value << s.shift for value in r.get(s.source)))
    if s.times:
        term = r.see(s.x, *(value * factor for value, factor in product(term, r.get(s.times))))
    low, high = (x[0] - term[1], x[1] - term[0]) if s.negative else (x[0] + term[0], x[1] + term[1])
    fire = r.passed.get(s.times)
    if fire is not None and s.negative and s.shift == 0 and (s.x, s.source) == (fire.x, fire.level):
        # Where it has not fired it stays, elsewhere it is above as many levels as are taken off.
        low, high = min(x[0], int(fire.test == "gt")), x[1] if r.get(s.source)[0] >= 0 else high
    if s.x == FIRED:
        r.see(s.x, low, high)
        low, high = _clipped((low, high), (0, MOST_SPIKES))
    r.put(s.x, (low, high))


@RULES.rule(Put)
def _put(r: Ranges, s: Put) -> None:
    r.put(s.x, hull(r.get(s.source), r.get(s.x)) if s.when else r.get(s.source))


@RULES.rule(Bound)
def _bound(r: Ranges, s: Bound) -> None:
    x, low, high = r.get(s.x), r.get(s.low), r.get(s.high)
    if s.overflow == "saturate":
        r.put(s.x, tuple(min(max(value, a), b) for value, a, b in zip(x, low, high, strict=True)))  # type: ignore[arg-type]
        return
    r.see(s.x, 0, high[0] - low[0])
    r.put(s.x, x if low[0] <= x[0] <= x[1] <= high[0] else (low[0], high[0]))


@RULES.rule(Fire)
def _fire(r: Ranges, s: Fire) -> None:
    r.see(s.x, *r.get(s.level))
    r.put(s.into, (0, s.up_to))
    if s.into not in (s.x, s.level):
        r.passed[s.into] = s


@RULES.rule(ForEachEvent)
def _loop(r: Ranges, s: ForEachEvent) -> None:
    for turn in count():
        before = dict(r.now)
        r.leave()
        r.passed.clear()  # nothing is known of neurons that an event has not reached
        r.run(s.body)
        after = {name: hull(bounds, r.now[name]) for name, bounds in before.items()}
        if after == before:
            r.now = before
            r.passed.clear()
            return
        r.now = _grown(before, after, turn)
