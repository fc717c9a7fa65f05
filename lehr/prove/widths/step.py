"""What is asked of steps of a neuron: whether they keep to what is claimed, and to a guess.

A guess is of the states between two steps. What contradicts it alone says nothing of the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lehr.prove.asking import Asked, Claims
from lehr.prove.smt import INTEGERS, Term, Terms, follow, passes
from lehr.prove.solver import z3
from lehr.prove.widths.guesses import Alike, Box, Guess, Said
from lehr.update import INPUT, Statement


class Move(NamedTuple):
    """A step: where it begins, what is claimed up to its end, and where that is.

    Attributes:
        start: the guess at its beginning; None where all states are 0.
        said: what is claimed.
        guess: where it ends; within the next one's `start`, or that itself.
    """

    start: Guess | None
    said: Said
    guess: Guess


_Part = tuple[str, list[Term], Mapping[str, Term], list[Claims]]


class Steps:
    """Steps of neurons that differ in nothing."""

    def __init__(self, alike: Alike) -> None:
        self.alike, self.program = alike, alike.program
        self.input = z3.Int(INPUT)
        low, high = alike.comes
        self.comes = [self.input >= low, self.input <= high]

    def left(self, asked: Asked, moves: Sequence[Move]) -> dict[str, Any]:
        """Return a step that leaves a claim or a guess; empty if none does.

        Args:
            asked: who is asked.
            moves: the steps; where one ends is within where the next ends.
        """
        program, loop = self.program, self.program.loop
        states = {x: z3.Int(x) for x in program.states}
        begins = {x: INTEGERS.number(states.get(x, 0)) for x in program.registers}
        if loop is None:
            terms = self._followed(begins, program.statements)
            shown = {**states, INPUT: self.input}
            claims = [Claims(self._start(states, move), self._end(terms, move)) for move in moves]
            return asked.refuted(self.comes, claims, shown)
        at = program.statements.index(loop)
        registers = {x: z3.Int(x) for x in program.registers}
        first = self._followed(begins, program.statements[:at])
        event = self._followed(registers, loop.body)
        last = self._followed(registers, program.statements[at + 1 :])

        up, down = z3.Ints("up down")  # what came in the step so far
        negative, positive = self.alike.total
        room = [up >= 0, up <= positive, down >= negative, down <= 0]
        more = z3.If(self.input > 0, self.input, 0), z3.If(self.input < 0, self.input, 0)
        comes = [*self.comes, self.input != 0, up + more[0] <= positive, down + more[1] >= negative]

        def behind(terms: Terms, move: Move) -> list[Term]:
            return [
                *self.claimed(terms, move.said),
                *self._between(terms.values, move.guess, (up + more[0], down + more[1])),
            ]

        def anywhere(move: Move) -> list[Term]:
            before = z3.And(up == 0, down == 0, *self._within(registers, move.guess.before))
            between = self._between(registers, move.guess, (up, down))
            return [z3.Or(before, z3.And(z3.Or(up != 0, down != 0), *between))]

        starts, events, ends = [], [], []
        for move in moves:
            before = self._within(first.values, move.guess.before)
            starts.append(
                Claims(self._start(states, move), [*self.claimed(first, move.said), *before])
            )
            events.append(Claims(anywhere(move), behind(event, move)))
            ends.append(Claims(anywhere(move), self._end(last, move)))
        with_input: dict[str, Term] = {**registers, INPUT: self.input}
        parts: tuple[_Part, ...] = (
            ("what comes before the events", [], states, starts),
            ("an event", [*room, *comes], with_input, events),
            ("what comes after the events", room, registers, ends),
        )
        if self.alike.comes == (0, 0):  # no event comes
            parts = (parts[0], parts[2])
        for name, common, named, claims in parts:
            if found := asked.refuted(common, claims, named):
                return {"at": name, **found}
        return {}

    def claimed(self, terms: Terms, said: Said) -> list[Term]:
        """Return what is claimed of all that was written, and of what came to Bounds."""
        claims = []
        for _, x, term in terms.written:
            if x not in self.alike.counters:
                low, high = said.written[x]
                claims += [term >= low, term <= high]
        for s, term in terms.bounded:
            if s.overflow == "saturate":
                low, high = said.registers[s.x]
                claims += [term >= low, term <= high]
        return claims

    def _followed(self, begins: Mapping[str, Term], statements: Sequence[Statement]) -> Terms:
        terms = Terms(dict(begins), {**self.alike.given, INPUT: self.input})
        follow(statements, terms)
        return terms

    def _start(self, states: Mapping[str, Term], move: Move) -> list[Term]:
        if move.start is None:
            return [term == 0 for term in states.values()]
        return [*self._within(states, move.start.ends), *self._fired(states)]

    def _end(self, terms: Terms, move: Move) -> list[Term]:
        states = {x: terms.values[x] for x in self.program.states}
        return [
            *self.claimed(terms, move.said),
            *self._within(states, move.guess.ends),
            *self._fired(states),
        ]

    def _between(
        self, values: Mapping[str, Term], guess: Guess, came: tuple[Term, Term]
    ) -> list[Term]:
        """Return what is guessed of registers behind events, of which `came` came so far."""
        terms = self._within(values, guess.between)
        for x, (low, high) in guess.swings.items():
            scale = 1 << self.alike.moved[x]
            terms += [values[x] <= high + came[0] * scale, values[x] >= low + came[1] * scale]
        return terms

    def _within(self, values: Mapping[str, Term], box: Box) -> list[Term]:
        terms = []
        for x, term in values.items():
            if x not in self.alike.counters:
                terms += [term >= box[x][0], term <= box[x][1]]
        return terms

    def _fired(self, states: Mapping[str, Term]) -> list[Term]:
        """Return what is known of spikes that are kept: their register has passed the level."""
        return [
            states[s.into] == passes(states[s.x], self.alike.number(s.level), s.test, s.up_to)
            for s in self.alike.kept_fires
        ]
