"""What holds in every clock of a circuit after its reset, by induction over clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lehr.prove.solver import z3
from lehr.prove.verilog.questions import Questions, Undecided
from lehr.prove.verilog.yosys import Circuit, Clocks

Term = Any
WIDE = 24
"""Bits of numbers that are counted, which is more than any of them needs."""


class At:
    """One clock of a circuit, with what a proof remembers beside its registers.

    Args:
        clocks: of the circuit.
        number: of the clock.
        ghosts: bits of what is remembered, by name.
    """

    def __init__(self, clocks: Clocks, number: int, ghosts: Mapping[str, int]) -> None:
        self.clocks, self.number, self._ghosts = clocks, number, ghosts

    def __call__(self, name: str) -> Term:
        """Return what is on a wire, or is remembered."""
        if name in self._ghosts:
            return z3.BitVec(f"ghost {name}@{self.number}", self._ghosts[name])
        return self.clocks.at(self.number, name)

    def on(self, name: str) -> Term:
        """Return whether a wire of one bit is 1."""
        return self(name) == 1

    def wide(self, name: str) -> Term:
        """Return what is on a wire as a number of `WIDE` bits."""
        return widened(self(name))

    def has(self, name: str) -> bool:
        """Return whether there is such a wire."""
        return name in self.clocks.circuit.wires


def widened(term: Term, bits: int = WIDE) -> Term:
    """Return a number without a sign in more bits."""
    return z3.ZeroExt(bits - term.size(), term) if term.size() < bits else term


def bit(term: Term, at: int) -> Term:
    """Return whether a bit is 1."""
    return z3.Extract(at, at, term) == 1


def number(condition: Term) -> Term:
    """Return 1 where something is so, else 0, in `WIDE` bits."""
    return z3.If(condition, z3.BitVecVal(1, WIDE), z3.BitVecVal(0, WIDE))


def all_of(terms: Iterable[Term]) -> Term:
    """Return whether all terms are so: Bitwuzla wants two of them, at least."""
    together = z3.BoolVal(True)
    for term in terms:
        together = z3.And(together, term)
    return together


def one_of(terms: Iterable[Term]) -> Term:
    """Return whether one of some terms is so."""
    together = z3.BoolVal(False)
    for term in terms:
        together = z3.Or(together, term)
    return together


def nothing(_: At, __: At | None = None) -> Iterable[Term]:
    """Return no terms."""
    return ()


@dataclass(frozen=True)
class Induction:
    """A claim, and what is needed to show it clock by clock.

    Attributes:
        claims: terms of a clock and the next.
        holds: terms that hold in every clock after a reset.
        assumed: terms of a clock, about what comes into the circuit.
        moves: terms of a clock and the next, how what is remembered changes.
        ghosts: bits of what is remembered, by name.
        met: what has to be possible, by name, so that the claim is about something.
        shown: wires whose values are shown where the claim is contradicted.
    """

    claims: Callable[[At, At], Iterable[Term]]
    holds: Callable[[At], Iterable[Term]] = nothing
    assumed: Callable[[At], Iterable[Term]] = nothing
    moves: Callable[[At, At], Iterable[Term]] = nothing
    ghosts: Mapping[str, int] = field(default_factory=dict)
    met: Callable[[At], Mapping[str, Term]] = lambda _: {}
    shown: tuple[str, ...] = ()

    def differs(self, circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
        """Return values that contradict it; None where nothing does.

        Raises:
            Undecided: when a time was not enough, or something cannot be met.
        """
        clocks = Clocks(circuit, 1)
        now, then = At(clocks, 0, self.ghosts), At(clocks, 1, self.ghosts)
        common = [*clocks.facts, *self.moves(now, then)]
        shown = {name: now(name) for name in self.shown if now.has(name) or name in self.ghosts}
        holds = list(self.holds(then))
        if now.has("rst"):
            reset = [*common, now("rst") == 1, z3.Not(all_of(holds))]
            if holds and (found := asked.met(reset, shown)) is not None:
                return {"reset": 1, **found}
            common.append(now("rst") == 0)
        common += [*self.assumed(now), *self.holds(now)]
        for name, term in {"anything": z3.BoolVal(True), **self.met(now)}.items():
            if asked.met([*common, term]) is None:
                raise Undecided(f"nothing can meet what is assumed: {name}")
        goals = [*self.claims(now, then), *holds]
        return asked.met([*common, z3.Not(all_of(goals))], shown)
