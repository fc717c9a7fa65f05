"""The six statements of an update as terms of z3 in words of 64 bits, which is more than they need.

Written from the meaning of the statements in docs/arithmetic.md, and from nothing that prints them
for a target. What is proven by these words assumes that no number leaves them: the bounds of the
width analysis say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from lehr.prove.solver import z3
from lehr.tables import Table
from lehr.update import FIRED, Add, Bound, Fire, Leak, Put, Source, Statement

WIDTH = 64
Word = Any
"""A z3 bit-vector of `WIDTH` bits, with a sign."""
RULES: Table[Callable[..., None]] = Table("the proof", "its circuit is not proven")


@dataclass
class Words:
    """Registers as words, while an update is followed.

    Attributes:
        values: every register by name; changed.
        given: parameters and `input`, by name.
        written: all that was written, with its register.
        changed: for each Bound, 1 where it changed its register.
    """

    values: dict[str, Word]
    given: Mapping[str, Word]
    written: list[tuple[str, Word]] = field(default_factory=list)
    changed: list[Word] = field(default_factory=list)

    def get(self, source: Source) -> Word:
        """Return the word of a register, a parameter or a number."""
        if isinstance(source, int):
            return word(source)
        return self.values[source] if source in self.values else self.given[source]

    def put(self, x: str, value: Word) -> None:
        """Give a register a word."""
        self.values[x] = value
        self.written.append((x, value))


def word(value: int) -> Word:
    """Return a number as a word."""
    return z3.BitVecVal(value, WIDTH)


def widened(term: Word, *, signed: bool) -> Word:
    """Return some bits as a word."""
    return (z3.SignExt if signed else z3.ZeroExt)(WIDTH - term.size(), term)


def within(term: Word, low: int, high: int) -> Any:
    """Return that a word is between two numbers."""
    return z3.And(term >= low, term <= high)


def follow(statements: Sequence[Statement], words: Words) -> None:
    """Follow statements.

    Raises:
        NotMappable: for a statement that has no rule here.
    """
    for statement in statements:
        RULES[type(statement)](words, statement)


def rounded(p: Word, n: Word, rounding: str) -> Word:
    """Return p / 2**n, rounded."""
    floor = p >> n
    if rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return z3.If(p < 0, -(-p >> n), floor)
    twice, one = (p - (floor << n)) << 1, word(1) << n
    up = z3.Or(twice > one, z3.And(twice == one, n != 0, z3.Extract(0, 0, floor) == 1))
    return z3.If(up, floor + 1, floor)


@RULES.rule(Leak)
def _leak(words: Words, s: Leak) -> None:
    x, k, n = words.get(s.x), words.get(s.decay.numerator), words.get(s.decay.shift)
    if s.decay.form == "multiply":
        left = rounded(x * k, n, s.decay.rounding)
    elif s.decay.form == "shift":
        left = x - rounded(x, n, s.decay.rounding)
    elif s.decay.form == "dash":
        part = x >> n
        at_least = z3.If(x > 0, word(1), z3.If(x < 0, word(-1), word(0)))
        left = x - z3.If(part == 0, at_least, part)
    else:
        left = z3.If(x > k, x - k, z3.If(x < -k, x + k, word(0)))
    words.put(s.x, left)


@RULES.rule(Add)
def _add(words: Words, s: Add) -> None:
    term = words.get(s.source) << s.shift
    if s.times == FIRED:  # spares a product where it is 0 or 1
        count = words.get(s.times)
        term = z3.If(count == 0, word(0), z3.If(count == 1, term, term * count))
    elif s.times:
        term = term * words.get(s.times)
    x = words.get(s.x)
    words.put(s.x, x - term if s.negative else x + term)


@RULES.rule(Put)
def _put(words: Words, s: Put) -> None:
    value = words.get(s.source)
    if s.when:
        value = z3.If(words.get(s.when) != 0, value, words.get(s.x))
    words.put(s.x, value)


@RULES.rule(Bound)
def _bound(words: Words, s: Bound) -> None:
    x, low, high = words.get(s.x), words.get(s.low), words.get(s.high)
    if s.overflow == "saturate":
        value = z3.If(x < low, low, z3.If(x > high, high, x))
    else:
        value = ((x - low) & (high - low)) + low  # modulo a power of two
    words.changed.append(z3.If(value == x, word(0), word(1)))
    words.put(s.x, value)


@RULES.rule(Fire)
def _fire(words: Words, s: Fire) -> None:
    words.put(s.into, passes(words.get(s.x), words.get(s.level), s))


def passes(x: Word, level: Word, s: Fire) -> Word:
    """Return how often x passes a level, which is at least 1 where it may do so more than once."""
    tests = [x > level * n if s.test == "gt" else x >= level * n for n in range(1, s.up_to + 1)]
    return reduce(lambda a, b: a + b, [z3.If(test, word(1), word(0)) for test in tests])
