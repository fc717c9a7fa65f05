"""Parts of a step of a kernel that are asked about alone: decays, and counts of spikes.

All else is asked about with any number in place of what they give, so that no question has two
products in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lehr.prove.engine.every_path import Memory, Number, Run
from lehr.prove.smt import Term
from lehr.prove.solver import z3


@dataclass
class Part:
    """A decay or a count of spikes by a kernel.

    Attributes:
        taken: what it is made of: the number, and of a count the level.
        rule: of a decay.
        of: of a count, any number in place of what is counted.
        gives: what the kernel makes of that.
        claims: that nothing leaves its bits.
    """

    taken: list[Term]
    rule: Any = None
    of: Term = None
    gives: Term = None
    claims: Sequence[Term] = ()


class Apart:
    """The parts of a run of a kernel, in the order in which they are computed."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.asked: list[Part] = []

    def counting(self, count: Callable[..., Any]) -> Callable[..., Any]:
        """Return what takes the place of `_count` of the kernels' operations."""

        def counted(r: Memory, x: int, y: int, m: int, extra: int, most: int, size: int) -> None:
            before, claims, place = r[y], self.run.claims, len(self.asked)
            self.run.claims = {}
            r[y] = number = Number(self.run, z3.Int(f"alone {place}"))
            count(r, x, y, m, extra, most, size)
            own = [*self.run.claims.values()]
            self.asked.append(Part([before.term, r[m].term], None, number.term, r[x].term, own))
            self.run.claims = claims
            r[y], r[x] = before, Number(self.run, one_of(result(place), most))

        return counted

    def divided(self, v: Number, rule: Any) -> Number:
        """Take the place of `divided` of the kernel of neurons."""
        place = len(self.asked)
        self.asked.append(Part([v.term], rule=rule))
        return Number(self.run, result(place))


def result(place: int) -> Term:
    """Return what a part gives, whatever it is, by its place among all."""
    return z3.Int(f"result {place}")


def one_of(term: Term, most: int) -> Term:
    """Return a number from 0 to `most`, as one of several numbers, which can be multiplied."""
    number = z3.IntVal(0)
    for each in range(1, most + 1):
        number = z3.If(term == each, each, number)
    return number
