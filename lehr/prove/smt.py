"""The six statements of an update as terms of z3.

Terms are over the integers, which never overflow, or over words that are wide enough not to.
Written from the meaning of the statements in docs/arithmetic.md, and from nothing that computes or
bounds them elsewhere in lehr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lehr.prove.solver import z3
from lehr.tables import Table
from lehr.update import Add, Bound, Fire, Leak, Put, Source, Statement

RULES: Table[Callable[..., None]] = Table("the proof", "its update is not proven")
Term = Any
"""A z3 term, or a Python integer."""


class Integers:
    """The integers."""

    def number(self, value: Term) -> Term:
        """Return a term, of a Python integer too."""
        return z3.IntVal(value) if isinstance(value, int) else value

    def halved(self, value: Term, times: int) -> Term:
        """Return value / 2**times, rounded down."""
        return value / (1 << times)

    def product(self, value: Term, factor: Term) -> Term:
        """Return a product."""
        return value * factor

    def times(self, value: Term, count: Term) -> Term:
        """Return what is added so often."""
        return product(value, self.number(count))


class Words(Integers):
    """Two's-complement words.

    Args:
        bits: enough for every value, product and sum.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def number(self, value: Term) -> Term:
        """Return a word, of a Python integer too."""
        return z3.BitVecVal(value, self.bits) if isinstance(value, int) else value

    def halved(self, value: Term, times: int) -> Term:
        """Return value / 2**times, rounded down."""
        return value >> times

    def times(self, value: Term, count: Term) -> Term:
        """Return what is added so often."""
        return value * count


@dataclass
class Terms:
    """Registers as terms, while an update is followed.

    Attributes:
        values: every register by name; changed.
        given: parameters and `input`, by name.
        written: all that was written, in order, each with its statement and register.
        bounded: what came to each Bound, in order.
        numbers: what the terms are over.
    """

    values: dict[str, Term]
    given: dict[str, Term]
    numbers: Integers = field(default_factory=Integers)
    written: list[tuple[Statement, str, Term]] = field(default_factory=list)
    bounded: list[tuple[Bound, Term]] = field(default_factory=list)

    def get(self, source: Source) -> Term:
        """Return a register as a term, or a parameter or a number, as it is given."""
        if isinstance(source, int):
            return source
        return self.values[source] if source in self.values else self.given[source]

    def term(self, source: Source) -> Term:
        """Return a register, a parameter or a number as a term."""
        return self.numbers.number(self.get(source))

    def put(self, statement: Statement, x: str, term: Term) -> None:
        """Give a register a term."""
        self.values[x] = term
        self.written.append((statement, x, term))


INTEGERS = Integers()


def product(value: Term, factor: Term) -> Term:
    """Return a product of integers; with one of several numbers, one of several products.

    So no solver has to multiply what it does not know.
    """
    if z3.is_expr(factor) and z3.is_app_of(factor, z3.Z3_OP_ITE):
        condition, one, other = factor.children()
        return z3.If(condition, product(value, one), product(value, other))
    return value * factor


def follow(statements: Iterable[Statement], terms: Terms) -> None:
    """Follow statements, none of which is a loop.

    Raises:
        NotMappable: for a statement that has no rule here.
    """
    for statement in statements:
        RULES[type(statement)](terms, statement)


def rounded(numbers: Integers, p: Term, n: int, rounding: str) -> Term:
    """Return p / 2**n, rounded."""
    floor = numbers.halved(p, n)
    if n == 0 or rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return z3.If(p < 0, -numbers.halved(-p, n), floor)
    rest, half = p - floor * (1 << n), 1 << n >> 1
    odd = floor - numbers.halved(floor, 1) * 2
    return z3.If(z3.Or(rest > half, z3.And(rest == half, odd == 1)), floor + 1, floor)


def passes(x: Term, level: Term, test: str, up_to: int, numbers: Integers = INTEGERS) -> Term:
    """Return how often x passes a level, which is at least 1 where `up_to` is more."""
    if up_to == 1:
        one, none = numbers.number(1), numbers.number(0)
        return z3.If(x > level if test == "gt" else x >= level, one, none)
    if z3.is_expr(level):  # which nothing is divided by: the greatest of the numbers it passes
        most = numbers.number(0)
        for n in range(1, up_to + 1):
            most = z3.If(x > level * n if test == "gt" else x >= level * n, numbers.number(n), most)
        return most
    count = (x - 1) / level if test == "gt" else x / level
    return z3.If(count < 0, 0, z3.If(count > up_to, up_to, count))


@RULES.rule(Leak)
def _leak(terms: Terms, s: Leak) -> None:
    x, numbers = terms.term(s.x), terms.numbers
    k, n = terms.get(s.decay.numerator), terms.get(s.decay.shift)
    form, rounding = s.decay.form, s.decay.rounding
    if form == "multiply":
        left = rounded(numbers, numbers.product(x, k), n, rounding)
    elif form == "shift":
        left = x - rounded(numbers, x, n, rounding)
    elif form == "dash":
        part = numbers.halved(x, n)
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
        term = terms.numbers.times(term, terms.get(s.times))
    x = terms.term(s.x)
    terms.put(s, s.x, x - term if s.negative else x + term)


@RULES.rule(Put)
def _put(terms: Terms, s: Put) -> None:
    value = terms.term(s.source)
    if s.when:
        value = z3.If(terms.term(s.when) != 0, value, terms.term(s.x))
    terms.put(s, s.x, value)


@RULES.rule(Bound)
def _bound(terms: Terms, s: Bound) -> None:
    x, low, high = terms.term(s.x), terms.term(s.low), terms.term(s.high)
    terms.bounded.append((s, x))
    if s.overflow == "saturate":
        kept = z3.If(x < low, low, z3.If(x > high, high, x))
    else:
        assert isinstance(s.low, int)
        assert isinstance(s.high, int)
        bits = (s.high - s.low).bit_length()  # the size is a power of two
        over = terms.numbers.halved(x - low, bits)
        kept = x - over * (1 << bits)
    terms.put(s, s.x, kept)


@RULES.rule(Fire)
def _fire(terms: Terms, s: Fire) -> None:
    count = passes(terms.term(s.x), terms.get(s.level), s.test, s.up_to, terms.numbers)
    terms.put(s, s.into, count)
