"""Spans of a program's registers, in any number of steps and before each statement.

They are coarse and quick, in Python integers.

One interval holds a register of all neurons of a layer. lehr.widths tells neurons and paths apart;
this is for stations that choose the types of their own intermediate values. Steps, and the events
of a loop, are repeated from 0 on until the bounds stay; where they keep growing they go to the ends
of the next wider integers, and at last beyond all types. What a step makes of bounds that hold in
every step holds in every step too, so from there the Bounds of a program lead back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from lehr.analysis.bounds import AFTER, Bounds, clipped, get, hull
from lehr.nodes import Neuron
from lehr.update import (
    FIRED,
    INPUT,
    MOST_SPIKES,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Source,
    Statement,
    written,
)

ZERO: Bounds = (0, 0)
BEYOND = 1 << 80
"""A magnitude that no type holds; bounds go no further."""
PATIENCE, BACK = 8, 8
"""Repetitions before bounds that keep growing are widened, and turns of narrowing after.

They are widened to the ends of wider integers.
"""


@dataclass(frozen=True)
class Place:
    """A statement, and what is known at its place, in any step and for any event.

    Attributes:
        statement: what is done there.
        before: bounds of every register, every parameter and the input.
        after: bounds of the register that it writes.
    """

    statement: Leak | Add | Put | Bound | Fire
    before: Mapping[str, Bounds]
    after: Bounds

    def get(self, source: Source) -> Bounds:
        """Return bounds of a register, a parameter, the input or a number before the statement."""
        return get(self.before, source)


class Spans:
    """Bounds of a program's registers, over any number of steps.

    Attributes:
        places: every statement but a loop itself, in order.
        kept: bounds of every register where a step, or an event, may leave it.
    """

    def __init__(
        self, program: Program, given: Mapping[str, Bounds], *, saturating: bool = False
    ) -> None:
        """Follow a program.

        Args:
            program: the update.
            given: bounds of its parameters and of `input`, which a loop takes as the weight of an
                event.
            saturating: counts of spikes stay at MOST_SPIKES wherever they come to more, as in C,
                and not only at the end of a step, where the definition refuses more.
        """
        self._program, self._given, self._saturating = program, given, saturating
        self._follow(_settled(dict.fromkeys(program.states, ZERO), self._follow))

    @classmethod
    def of(cls, neuron: Neuron, a: Bounds, *, saturating: bool = False) -> Spans:
        """Return the registers of a layer, for inputs between `a`.

        They are its summed inputs, or the weights of single events.
        """
        given = {
            name: (int(values.min()), int(values.max())) for name, values in neuron.values.items()
        }
        return cls(neuron.program, {**given, INPUT: a}, saturating=saturating)

    def _follow(self, states: dict[str, Bounds]) -> dict[str, Bounds]:
        """Return the states after a step from some.

        What is seen on the way is kept, that of a step before is not.
        """
        self.places: list[Place] = []
        self._passed: dict[
            str, Fire
        ] = {}  # by the register of its spikes: what is known of the register that fired
        self._now = {name: states.get(name, ZERO) for name in self._program.registers}
        self.kept = dict.fromkeys(self._program.registers, ZERO)
        self._run(self._program.statements)
        self._now[FIRED] = clipped(self._now[FIRED], (0, MOST_SPIKES))
        self._leave()
        return {name: self._now[name] for name in states}

    def _run(self, statements: tuple[Statement, ...]) -> None:
        for s in statements:
            if isinstance(s, ForEachEvent):
                self._loop(s)
                continue
            before = {**self._given, **self._now}
            x, bounds = (
                written(s),
                clipped(AFTER[type(s)](before, s, self._passed), (-BEYOND, BEYOND)),
            )
            if self._saturating and x == FIRED:
                bounds = clipped(bounds, (0, MOST_SPIKES))
            self.places.append(Place(s, before, bounds))
            self._now[x] = bounds
            self._passed = {
                into: fire
                for into, fire in self._passed.items()
                if x not in (into, fire.x, fire.level)
            }
            if isinstance(s, Fire) and x not in (s.x, s.level):
                self._passed[x] = s

    def _loop(self, s: ForEachEvent) -> None:
        start = len(self.places)

        def event(now: dict[str, Bounds]) -> dict[str, Bounds]:
            del self.places[start:]
            self._now = dict(now)
            self._passed.clear()  # nothing is known of neurons that an event has not reached
            self._run(s.body)
            return self._now

        held = _settled(self._now, event)
        event(held)
        self._now = held
        self._passed.clear()
        self._leave()

    def _leave(self) -> None:
        """Take in all registers as they are left."""
        self.kept = {name: hull(self.kept[name], bounds) for name, bounds in self._now.items()}


def _settled(
    begin: Mapping[str, Bounds], once: Callable[[dict[str, Bounds]], dict[str, Bounds]]
) -> dict[str, Bounds]:
    """Return bounds that hold however often `once` is done from `begin` on."""
    held = dict(begin)
    for turn in count():
        after = once(held)
        grown = {name: hull(bounds, after[name]) for name, bounds in held.items()}
        if grown == held:
            break
        held = (
            grown
            if turn < PATIENCE
            else {name: _wider(old, grown[name]) for name, old in held.items()}
        )
    for _ in range(BACK):  # what is so before and after holds between
        after = once(held)
        within = {
            name: clipped(hull(begin[name], after[name]), bounds) for name, bounds in held.items()
        }
        if within == held:
            break
        held = within
    return held


def _wider(old: Bounds, new: Bounds) -> Bounds:
    """Return the new ends, wider where they have moved.

    They are then the last numbers on their side that take no more bits.
    """
    low, high = (1 << (end if end >= 0 else ~end).bit_length() for end in new)
    return clipped(
        (old[0] if new[0] == old[0] else -low, old[1] if new[1] == old[1] else high - 1),
        (-BEYOND, BEYOND),
    )
