"""The six statements of an update as terms of z3 over the integers, which never overflow.

Written from the meaning of the statements in docs/arithmetic.md, and from nothing that computes or
bounds them elsewhere in lehr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lehr.prove.solver import z3
from lehr.tables import Table
from lehr.update import INPUT, Add, Bound, Fire, Leak, Put, Source, Statement

RULES: Table[Callable[..., None]] = Table("the proof", "its update is not proven")
Term = Any
"""A z3 term, or a Python integer."""


@dataclass
class Terms:
    """Registers as terms, while an update is followed.

    Attributes:
        values: every register by name; changed.
        given: parameters and `input`, by name.
        written: all that was written, in order, each with its statement and register.
        bounded: what came to each Bound, in order.
    """

    values: dict[str, Term]
    given: dict[str, Term]
    written: list[tuple[Statement, str, Term]] = field(default_factory=list)
    bounded: list[tuple[Bound, Term]] = field(default_factory=list)

    def get(self, source: Source) -> Term:
        """Return the term of a register, a parameter or a number."""
        if isinstance(source, int):
            return source
        return self.values[source] if source in self.values else self.given[source]

    def put(self, statement: Statement, x: str, term: Term) -> None:
        """Give a register a term."""
        self.values[x] = term
        self.written.append((statement, x, term))


def follow(statements: Iterable[Statement], terms: Terms) -> None:
    """Follow statements, none of which is a loop.

    Raises:
        NotMappable: for a statement that has no rule here.
    """
    for statement in statements:
        RULES[type(statement)](terms, statement)


def rounded(p: Term, n: int, rounding: str) -> Term:
    """Return p / 2**n, rounded."""
    floor, rest, half = p / (1 << n), p % (1 << n), 1 << n >> 1
    if n == 0 or rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return z3.If(p < 0, -(-p / (1 << n)), floor)
    up = z3.Or(rest > half, z3.And(rest == half, floor % 2 == 1))
    return z3.If(up, floor + 1, floor)


def passes(x: Term, level: Term, test: str, up_to: int) -> Term:
    """Return how often x passes a level, which is at least 1 where `up_to` is more."""
    if up_to == 1:
        return z3.If(x > level if test == "gt" else x >= level, 1, 0)
    count = (x - 1) / level if test == "gt" else x / level
    return z3.If(count < 0, 0, z3.If(count > up_to, up_to, count))


def as_term(value: Term) -> Term:
    """Return a term of z3, of an integer too."""
    return z3.IntVal(value) if isinstance(value, int) else value


@RULES.rule(Leak)
def _leak(terms: Terms, s: Leak) -> None:
    x = as_term(terms.get(s.x))
    k, n = terms.get(s.decay.numerator), terms.get(s.decay.shift)
    form, rounding = s.decay.form, s.decay.rounding
    if form == "multiply":
        left = rounded(x * k, n, rounding)
    elif form == "shift":
        left = x - rounded(x, n, rounding)
    elif form == "dash":
        part = x / (1 << n)
        moved = x - part
        # at least 1 towards 0
        left = z3.If(z3.And(part == 0, x > 0), x - 1, z3.If(z3.And(part == 0, x < 0), x + 1, moved))
    else:
        left = z3.If(x > k, x - k, z3.If(x < -k, x + k, 0))
    terms.put(s, s.x, left)


@RULES.rule(Add)
def _add(terms: Terms, s: Add) -> None:
    term = terms.get(s.source) * (1 << s.shift)
    if s.times:
        term = term * terms.get(s.times)
    x = as_term(terms.get(s.x))
    terms.put(s, s.x, x - term if s.negative else x + term)


@RULES.rule(Put)
def _put(terms: Terms, s: Put) -> None:
    value = as_term(terms.get(s.source))
    if s.when:
        value = z3.If(as_term(terms.get(s.when)) != 0, value, as_term(terms.get(s.x)))
    terms.put(s, s.x, value)


@RULES.rule(Bound)
def _bound(terms: Terms, s: Bound) -> None:
    x = as_term(terms.get(s.x))
    low, high = terms.get(s.low), terms.get(s.high)
    terms.bounded.append((s, x))
    if s.overflow == "saturate":
        kept = z3.If(x < low, low, z3.If(x > high, high, x))
    else:
        kept = (x - low) % (high - low + 1) + low
    terms.put(s, s.x, kept)


@RULES.rule(Fire)
def _fire(terms: Terms, s: Fire) -> None:
    terms.put(s, s.into, passes(as_term(terms.get(s.x)), terms.get(s.level), s.test, s.up_to))


__all__ = ["INPUT", "RULES", "Terms", "as_term", "follow", "passes", "rounded"]
