"""Guesses of where the registers of a neuron are between two steps, and between two events.

An induction needs bounds that a step does not leave, and those of an analysis are not always such:
a neuron that fires in every step is above its threshold, whatever the bounds of its membrane are.
Guesses come from what is said of the registers, or from running the definition on the ends of what
it was found to reach. A wrong guess costs a proof, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np

from lehr.arithmetic import Int64
from lehr.simulate import definition
from lehr.update import (
    INPUT,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Program,
    Put,
    Statement,
    reads,
    walk,
    written,
)

Bounds = tuple[int, int]
Box = Mapping[str, Bounds]
ROUNDS = 200
"""Steps or events after which what is reached should grow no more."""
MOST_POINTS = 4096


@dataclass(frozen=True)
class Said:
    """What is claimed of a neuron up to the end of a step.

    Attributes:
        registers: of each register, bounds of what comes to its Bounds, and of what is read or kept
            of it elsewhere.
        written: of each register, bounds of all that is written to it.
    """

    registers: Box
    written: Box


@dataclass(frozen=True)
class Guess:
    """Where registers are.

    Attributes:
        ends: the states at the end of a step.
        before: all registers before any event; empty where there are none.
        between: all registers behind any event; empty where there are none.
        swings: registers that events move, with their bounds before the first one: they are no
            higher and no lower than these and all that came since.
    """

    ends: Box
    before: Box
    between: Box
    swings: Box

    @property
    def inside(self) -> Box:
        """All registers before or behind any event."""
        return {x: _hull(each, self.between[x]) for x, each in self.before.items()}


@dataclass(frozen=True)
class Alike:
    """Neurons that differ in nothing.

    Attributes:
        program: their update.
        given: their parameters.
        comes: bounds of what comes to them, in a step or as an event.
        total: bounds of all negative and of all positive events of a step together.
    """

    program: Program
    given: Mapping[str, int]
    comes: Bounds
    total: Bounds = (0, 0)

    def number(self, source: str | int) -> int:
        """Return a number, or a parameter; 0 for what is neither."""
        return self.given.get(source, 0) if isinstance(source, str) else source

    @property
    def counters(self) -> frozenset[str]:
        """The registers that grow with every event, and that no Bound brings back."""
        loop = self.program.loop
        bounded = {s.x for s in self.program.all if isinstance(s, Bound)}
        body = () if loop is None else loop.body
        return frozenset(s.x for s in body if isinstance(s, Add) and s.x not in bounded)

    @property
    def kept_fires(self) -> tuple[Fire, ...]:
        """The Fires that still describe a state at the end of a step: it has passed the level."""
        statements, states = self.program.statements, set(self.program.states)
        kept = []
        for number, s in enumerate(statements):
            if not isinstance(s, Fire) or not {s.into, s.x} <= states:
                continue
            later = (t for t in walk(statements[number + 1 :]) if not isinstance(t, ForEachEvent))
            known = not isinstance(s.level, str) or s.level in self.given
            if known and not {s.into, s.x} & {written(t) for t in later}:
                kept.append(s)
        return tuple(kept)

    @property
    def moved(self) -> Mapping[str, int]:
        """The registers that an event adds its weight to, with the shift of it."""
        loop = self.program.loop
        adds = [] if loop is None else [s for s in loop.body if isinstance(s, Add)]
        return {s.x: s.shift for s in adds if s.source == INPUT and not s.negative and not s.times}


def as_said(alike: Alike, said: Said) -> Guess:
    """Guess that registers are where they are said to be, cut by their Bounds."""
    program, loop = alike.program, alike.program.loop
    if loop is None:
        return Guess(_behind(alike, program.statements, said), {}, {}, {})
    at = program.statements.index(loop)
    outside = _behind(alike, program.statements[:at], said)
    inside = _behind(alike, loop.body, said)
    changed = {written(s) for s in loop.body if not isinstance(s, ForEachEvent)}
    between = {x: inside[x] if x in changed else outside[x] for x in program.registers}
    behind = {written(s) for s in program.statements[at + 1 :] if not isinstance(s, ForEachEvent)}
    ends = {
        x: said.registers[x] if x in behind else _hull(outside[x], between[x])
        for x in program.registers
    }
    return Guess(ends, outside, between, {})


def as_reached(alike: Alike, *, swing: bool, ever: bool) -> Iterator[Guess]:
    """Guess by running the definition from all 0, step by step, without an end.

    With `swing`, registers go as far as all events of a step move them, else as far as events do
    that come again and again. With `ever`, each step may be the first one, too.
    """
    program, loop = alike.program, alike.program.loop
    ends: Box = {}
    at = len(program.statements) if loop is None else program.statements.index(loop)
    while True:
        start: Box = {x: ends.get(x, (0, 0)) for x in program.registers}
        if ever:
            start = {x: _hull(each, (0, 0)) for x, each in start.items()}
        before = _done(alike, program.statements[:at], start, given=loop is None, start=True)
        if loop is None:
            guess = Guess(before, {}, {}, {})
        else:
            swings = _swings(alike, before) if swing else {}
            between = _events(alike, loop, before, _swung(alike, swings))
            guess = Guess({}, before, between, swings)
            box = _done(alike, program.statements[at + 1 :], guess.inside, given=False)
            guess = replace(guess, ends=box)
        ends = {x: _hull(ends.get(x, guess.ends[x]), guess.ends[x]) for x in program.states}
        yield replace(guess, ends=ends)


def _events(alike: Alike, loop: ForEachEvent, before: Box, most: Box) -> Box:
    """Return where registers are behind events that come again and again, up to what is known."""
    box = _cut(_done(alike, loop.body, before, given=True), most)
    for _ in range(ROUNDS):
        start = {x: _hull(before[x], box[x]) for x in box}
        more = _cut(_done(alike, loop.body, start, given=True), most)
        grown = {x: _hull(box[x], more[x]) for x in box}
        if all(grown[x] == box[x] for x in box if x not in alike.counters):
            break
        box = grown
    return box


def _cut(box: Box, most: Box) -> Box:
    """Return a box within what is known of some registers."""
    cut = {
        x: (min(max(box[x][0], low), high), max(min(box[x][1], high), low))
        for x, (low, high) in most.items()
    }
    return {**box, **cut}


def _swings(alike: Alike, before: Box) -> Box:
    """Return from where the events of a step move registers.

    From where they were, and from the end of a Bound or a reset, where events lead there.
    """
    body = () if alike.program.loop is None else alike.program.loop.body
    swings = {}
    for x, shift in alike.moved.items():
        (low, high), (lows, highs) = before[x], _ends(alike, x)
        levels = [alike.number(s.level) for s in body if isinstance(s, Fire) and s.x == x]
        put = any(isinstance(s, Put) and s.x == x for s in body)
        taken = any(isinstance(s, Add) and s.x == x and s.negative for s in body)
        for _ in range(3):  # one leads to another
            least, most = low + (alike.total[0] << shift), high + (alike.total[1] << shift)
            if any(least < end for end in lows):
                high = max(high, *lows)
            if any(most > end for end in highs):
                low = min(low, *highs)
            if any(most >= level for level in levels):
                low = min(low, 0) if put or taken else low
                high = max(high, 0) if put and min(levels) < 0 else high  # else it goes down to 0
        swings[x] = low, high
    return swings


def _swung(alike: Alike, swings: Box) -> Box:
    """Return how far the events of a step move registers in all."""
    negative, positive = alike.total
    box = {}
    for x, (low, high) in swings.items():
        (lows, highs), shift = _ends(alike, x), alike.moved[x]
        least, most = low + (negative << shift), high + (positive << shift)
        box[x] = max([least, *lows]), min([most, *highs])
    return box


def _ends(alike: Alike, x: str) -> tuple[list[int], list[int]]:
    """Return the lower and upper ends of the Bounds of a register."""
    bounds = [s for s in alike.program.all if isinstance(s, Bound) and s.x == x]
    return [alike.number(s.low) for s in bounds], [alike.number(s.high) for s in bounds]


def settled(alike: Alike, *, swing: bool) -> Guess | None:
    """Return what is reached in any number of steps; None where it goes on growing."""
    last: Guess | None = None
    for guess in islice(as_reached(alike, swing=swing, ever=True), ROUNDS):
        if guess == last:
            return guess
        last = guess
    return None


def _done(
    alike: Alike, statements: Sequence[Statement], box: Box, *, given: bool, start: bool = False
) -> Box:
    """Return the hull of the registers behind statements, from the ends of a box and around levels.

    With `given`, something comes; at the start of a step, spikes are those of their registers.
    """
    program = alike.program
    levels = {alike.number(s.level) for s in program.fires}
    # an event leads from here to a level
    near = {level - (w << k) for k in alike.moved.values() for level in levels for w in alike.comes}
    marks = {0, *levels, *(near if given else ())}
    points = {x: _points(box[x], marks) for x in program.registers if _is_read(x, statements)}
    points[INPUT] = _points(alike.comes, {0, 1, -1}) if given else [0]
    while np.prod([len(each) for each in points.values()]) > MOST_POINTS:
        largest = max(points, key=lambda x: len(points[x]))
        points[largest] = [points[largest][0], points[largest][-1]]
        if all(len(each) <= 2 for each in points.values()):
            break
    columns = np.array(list(product(*points.values())), np.int64)
    zero = np.zeros(len(columns), np.int64)
    values: dict[str, Int64] = dict.fromkeys(program.registers, zero)
    values |= {x: columns[:, n] for n, x in enumerate(points) if x != INPUT}
    registers = definition.Registers(
        values, {INPUT: columns[:, -1], **{x: zero + value for x, value in alike.given.items()}}
    )
    for fire in alike.kept_fires if start else ():
        definition.RULES[Fire](registers, fire)
    if program.loop is not None and given:
        registers.where = columns[:, -1] != 0
    changed = {written(s) for s in statements if not isinstance(s, ForEachEvent)}
    for s in statements:
        definition.RULES[type(s)](registers, s)
    return {
        x: (int(registers.values[x].min()), int(registers.values[x].max()))
        if x in changed
        else box[x]
        for x in program.registers
    }


def _points(box: Bounds, marks: set[int]) -> list[int]:
    low, high = box
    near = {mark + d for mark in marks for d in (-1, 0, 1)}
    return sorted({low, high, *(each for each in near if low <= each <= high)})


def _behind(alike: Alike, statements: Sequence[Statement], said: Said) -> Box:
    """Return bounds of registers behind statements, from what is said of their Bounds.

    What follows the last Bound is done on the ends of what it leaves, and around levels.
    """
    straight = [s for s in walk(tuple(statements)) if not isinstance(s, ForEachEvent)]
    last = max((n for n, s in enumerate(straight) if isinstance(s, Bound)), default=-1)
    box = {x: _left(alike, x, straight[: last + 1], said) for x in alike.program.registers}
    behind = straight[last + 1 :]
    return _done(alike, behind, box, given=False) if _fires(behind) else box


def _fires(statements: Sequence[Statement]) -> bool:
    return any(isinstance(s, Fire) for s in statements)


def _left(alike: Alike, x: str, statements: Sequence[Statement], said: Said) -> Bounds:
    """Return what is said of a register, cut by the Bound that writes it last, where one does."""
    low, high = said.registers[x]
    own = [s for s in statements if not isinstance(s, ForEachEvent) and written(s) == x]
    if not own or not isinstance(own[-1], Bound):
        return low, high
    least, most = alike.number(own[-1].low), alike.number(own[-1].high)
    if own[-1].overflow == "wrap" and not least <= low <= high <= most:
        return least, most
    return min(max(low, least), most), max(min(high, most), least)


def _is_read(x: str, statements: Sequence[Statement]) -> bool:
    return any(x in reads(s) for s in statements)


def _hull(one: Bounds, other: Bounds) -> Bounds:
    return min(one[0], other[0]), max(one[1], other[1])
