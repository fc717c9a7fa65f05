"""Kernels of the fast engine run on integers of z3, along every path that their source can take.

A kernel is Python that numba compiles. Here its very functions are run: what it computes are terms,
and where it decides by one of them, it is run once for each answer. What it computes with are
integers without an end, of which it is claimed that they stay within the bits that numba gives
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lehr.prove.smt import Term, product
from lehr.prove.solver import z3


@dataclass
class _Path:
    """One way through a function: what was answered, and under which conditions."""

    answers: list[bool]
    at: int = 0
    conditions: list[Term] = field(default_factory=list)


class Memory(dict[int, Any]):
    """An array of numbers: what is in it, by place.

    Args:
        run: that reads and writes it.
        name: of what stands in it before.
        ends: the least and the greatest number that an element holds.

    Attributes:
        size: how many elements a kernel sees.
    """

    def __init__(self, run: Run, name: str, ends: tuple[int, int]) -> None:
        super().__init__()
        self.run, self.name, self.ends, self.size = run, name, ends, 1
        run.memories.append(self)

    def __getitem__(self, place: Any) -> Any:
        """Return an element, or the array itself where it is asked for from its start on."""
        if isinstance(place, slice):
            assert not place.start
            return self
        return super().__getitem__(place)

    def __missing__(self, place: int) -> Number:
        """Return what stands where nothing was written yet: anything."""
        before = z3.Int(f"{self.name}[{place}]")
        self.run.assumed.append(z3.And(before >= self.ends[0], before <= self.ends[1]))
        number = Number(self.run, before)
        super().__setitem__(place, number)
        return number

    def __setitem__(self, place: Any, value: Any) -> None:
        """Put a number, or the same in all places."""
        if isinstance(place, slice):
            for each in range(self.size):
                self[each] = value
            return
        number = self.run.number(value)
        self.run.claim(z3.And(number.term >= self.ends[0], number.term <= self.ends[1]))
        super().__setitem__(place, number)


class Run:
    """A run of a kernel.

    Args:
        bits: of what it computes.

    Attributes:
        claims: that numbers stay within their bits, in the order in which they were made.
        assumed: what is so of what stands in memory before.
        memories: all arrays, of which each path has its own contents.
    """

    def __init__(self, bits: int) -> None:
        self.bits, self.ends = bits, (-(1 << bits - 1), (1 << bits - 1) - 1)
        self.claims: dict[int, Term] = {}
        self.assumed: list[Term] = []
        self.memories: list[Memory] = []
        self._paths: list[_Path] = []
        self._others = 0

    def number(self, value: Any) -> Number:
        """Return a number, of a Python integer or a condition too."""
        if isinstance(value, Number):
            return value
        if isinstance(value, Truth):
            return Number(self, z3.If(value.term, 1, 0))
        return Number(self, z3.IntVal(int(value)))

    def kept(self, term: Term) -> Number:
        """Return a result, and claim that its bits hold it."""
        self.claim(z3.And(term >= self.ends[0], term <= self.ends[1]))
        return Number(self, term)

    def claim(self, term: Term) -> None:
        """Claim something of the path that is being taken."""
        before = [each for path in self._paths for each in path.conditions]
        whole = z3.simplify(z3.Implies(z3.And(before), term))
        if not z3.is_true(whole):
            self.claims[whole.get_id()] = whole

    def answer(self, condition: Term) -> bool:
        """Return the answer to a condition on the path that is being taken."""
        condition = z3.simplify(condition)
        if z3.is_true(condition) or z3.is_false(condition):
            return bool(z3.is_true(condition))
        path = self._paths[-1]
        if path.at == len(path.answers):
            path.answers.append(True)
        yes = path.answers[path.at]
        path.at += 1
        path.conditions.append(condition if yes else z3.Not(condition))
        return yes

    def other(self) -> Term:
        """Return whether it is so of any other lane of a line: it may be."""
        self._others += 1
        return z3.Bool(f"another lane {self._others}")

    def merged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that takes all paths of another, and gives what they end with."""

        def whole(*given: Any, **named: Any) -> Any:
            before = [dict(memory) for memory in self.memories]
            ends = list(self._every_path(lambda: function(*given, **named), before))
            value = ends[-1][1]
            after = [dict(memory) for memory in self.memories]
            for condition, other, contents in reversed(ends[:-1]):
                if value is not None:
                    value = self._either(condition, other, value)
                for known, own in zip(after, contents, strict=True):
                    for place in known.keys() | own.keys():
                        if place not in known or place not in own:
                            known[place] = known.get(place, own.get(place))
                        elif known[place] is not own[place]:
                            known[place] = self._either(condition, own[place], known[place])
            for memory, contents in zip(self.memories, after, strict=True):
                memory.update(contents)
            return value

        return whole

    def _every_path(
        self, function: Callable[[], Any], before: list[dict[int, Any]]
    ) -> Iterator[tuple[Term, Any, list[dict[int, Any]]]]:
        """Yield, of each path, its condition, what comes of it, and what memories then hold."""
        answers: list[bool] = []
        while True:
            for memory, contents in zip(self.memories, before, strict=True):
                memory.clear()
                memory.update(contents)
            path = _Path(answers)
            self._paths.append(path)
            value = function()
            self._paths.pop()
            yield z3.And(path.conditions), value, [dict(memory) for memory in self.memories]
            answers = path.answers
            while answers and not answers[-1]:
                answers.pop()
            if not answers:
                return
            answers[-1] = False

    def _either(self, condition: Term, one: Any, other: Any) -> Number:
        one, other = self.number(one), self.number(other)
        return Number(self, z3.If(condition, one.term, other.term))


class Truth:
    """A condition that a kernel computes, or decides by."""

    def __init__(self, run: Run, term: Term) -> None:
        self.run, self.term = run, term

    def __bool__(self) -> bool:
        """Return the answer on the path that is being taken."""
        return self.run.answer(self.term)

    def __and__(self, other: Truth) -> Truth:
        """Both."""
        return Truth(self.run, z3.And(self.term, other.term))

    def __or__(self, other: Truth) -> Truth:
        """Either."""
        return Truth(self.run, z3.Or(self.term, other.term))

    def __radd__(self, other: Any) -> Number:
        """Count it."""
        return self.run.number(other) + self.run.number(self)


class Number:
    """An integer that a kernel computes."""

    __array_ufunc__ = None  # numpy's integers leave operators to this

    def __init__(self, run: Run, term: Term) -> None:
        self.run, self.term = run, term

    @property
    def known(self) -> int:
        """The one integer that it is."""
        return int(z3.simplify(self.term).as_long())

    def _is_known(self) -> bool:
        return bool(z3.is_int_value(z3.simplify(self.term)))

    def __add__(self, other: Any) -> Number:
        """Add."""
        return self.run.kept(self.term + self.run.number(other).term)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Number:
        """Subtract."""
        return self.run.kept(self.term - self.run.number(other).term)

    def __rsub__(self, other: Any) -> Number:
        """Subtract it."""
        return self.run.kept(self.run.number(other).term - self.term)

    def __neg__(self) -> Number:
        """Return less than nothing."""
        return self.run.kept(-self.term)

    def __mul__(self, other: Any) -> Number:
        """Multiply."""
        return self.run.kept(product(self.term, self.run.number(other).term))

    def __lshift__(self, other: Any) -> Number:
        """Multiply by a power of two that is known."""
        return self.run.kept(self.term * (1 << self.run.number(other).known))

    def __rlshift__(self, other: Any) -> Number:
        """Return an integer times a power of two that is known."""
        return self.run.kept(self.run.number(other).term * (1 << self.known))

    def __rshift__(self, other: Any) -> Number:
        """Divide by a power of two that is known, downwards."""
        return Number(self.run, self.term / (1 << self.run.number(other).known))

    def __and__(self, other: Any) -> Number:
        """Take bits that are known; or all or none, as it is claimed to be."""
        bits = self.run.number(other)
        if bits._is_known() and (mask := bits.known) >= 0:
            if mask & (mask + 1) == 0:
                return Number(self.run, self.term % (mask + 1))
            places = [n for n in range(mask.bit_length()) if mask >> n & 1]
            each = [self.term / (1 << n) % 2 * (1 << n) for n in places]
            return Number(self.run, z3.Sum(each))
        self.run.claim(z3.Or(bits.term == 0, bits.term == -1))
        return Number(self.run, z3.If(bits.term == 0, 0, self.term))

    def __xor__(self, other: Any) -> Number:
        """Turn all bits or none, as it is claimed to be."""
        bits = self.run.number(other)
        self.run.claim(z3.Or(bits.term == 0, bits.term == -1))
        return Number(self.run, z3.If(bits.term == 0, self.term, -1 - self.term))

    def __gt__(self, other: Any) -> Truth:
        """Compare."""
        return Truth(self.run, self.term > self.run.number(other).term)

    def __ge__(self, other: Any) -> Truth:
        """Compare."""
        return Truth(self.run, self.term >= self.run.number(other).term)

    def __lt__(self, other: Any) -> Truth:
        """Compare."""
        return Truth(self.run, self.term < self.run.number(other).term)

    def __eq__(self, other: object) -> Truth:  # type: ignore[override]
        """Compare."""
        return Truth(self.run, self.term == self.run.number(other).term)

    def __ne__(self, other: object) -> Truth:  # type: ignore[override]
        """Compare."""
        return Truth(self.run, self.term != self.run.number(other).term)

    __hash__ = None  # type: ignore[assignment]
