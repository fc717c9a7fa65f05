"""What kernels of the fast engine call, as operations on the numbers of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lehr.arithmetic import Int64
from lehr.prove.engine.every_path import Memory, Number, Run, Truth
from lehr.prove.smt import Term
from lehr.prove.solver import z3


def _read(kind: Any, array: Int64, first: int) -> Any:
    return kind(*map(int, array[first : first + len(kind._fields)]))


def _chosen(run: Run, condition: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Number]:
    """Return what gives one of two numbers."""

    def chosen(one: Any, other: Any) -> Any:
        if not isinstance(one, Number) and not isinstance(other, Number):
            first: Any = one if condition(one, other) else other
            return first
        one, other = run.number(one), run.number(other)
        return Number(run, z3.If(condition(one, other).term, one.term, other.term))

    return chosen


def of_elements(run: Run) -> dict[str, Any]:
    """Return what kernels call of `vector` and of Python, on one element."""

    def poke(memory: Memory, place: int, value: Any) -> None:
        memory[place] = value

    return {
        "data": lambda array: array,
        "read": _read,
        "peek": lambda memory, place: memory[place],
        "poke": poke,
        "min": _chosen(run, lambda a, b: a < b),
        "max": _chosen(run, lambda a, b: a > b),
    }


class _Mask:
    """A mask of a line as a word: one bit is the neuron's, the others may be anything."""

    def __init__(self, own: Truth) -> None:
        self.own = own

    def __eq__(self, other: object) -> Any:
        """Return whether none is set."""
        assert other == 0
        return Truth(self.own.run, z3.Not(z3.Or(self.own.term, self.own.run.other())))

    __hash__ = None  # type: ignore[assignment]


def of_a_line(run: Run, lanes: int) -> dict[str, Any]:
    """Return the operations of lanes on one of a line, as their docstrings have them."""

    def store(memory: Memory, place: int, value: Any) -> None:
        memory[place] = value

    def mul(a: Number, b: Any) -> Number:
        if run.bits > 16 or isinstance(b, Number):
            product: Number = a * b
            return product
        return Number(run, (a.term * b + (1 << 15)) % (1 << 16) - (1 << 15))

    def first_of_line(memory: Memory, place: int) -> Any:
        return memory[place // lanes * lanes]

    def filled(mask: Truth, *_: Any) -> Number:
        return Number(run, z3.If(mask.term, -1, 0))

    def select(mask: Any, one: Any, other: Any) -> Any:
        if not isinstance(mask, Truth):
            return one if mask else other
        return Number(run, z3.If(mask.term, run.number(one).term, run.number(other).term))

    def loaded(memory: Memory, place: int, *_: Any) -> Any:
        return memory[place]

    return {
        **of_elements(run),
        "peek": first_of_line,
        "load_line": loaded,
        "load_like": loaded,
        "store": store,
        "store_mask": store,
        "lanes_of": lambda *_: lanes,
        "bits_of": lambda *_: run.bits,
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": mul,
        "xor": lambda a, b: a ^ b,
        "both": lambda a, b: a & b,
        "either": lambda a, b: a | b,
        "equal": lambda a, b: a == b,
        "unequal": lambda a, b: a != b,
        "less": lambda a, b: a < b,
        "greater": lambda a, b: a > b,
        "above": lambda a, b: Truth(run, _unsigned(run, a) > b % (1 << run.bits)),
        "signed_right": lambda a, b: a >> b,
        "shift_left": lambda a, b: a << b,
        "select": select,
        "filled": filled,
        "apart": lambda value: value,
        "resized": lambda value, *_: value,
        "signs": lambda value: filled(value < 0, value),
        "spread": lambda value, *_: run.kept(run.number(value).term),
        "greatest": lambda *_: run.number(run.ends[1]),
        "without_sign": lambda v: run.kept(z3.If(v.term < 0, -v.term, v.term)),
        "high_product": lambda a, b: run.kept(_unsigned(run, a) * b / (1 << run.bits)),
        "mask_word": _Mask,
        "bits_set": lambda mask: run.number(mask.own),
    }


def _unsigned(run: Run, number: Number) -> Term:
    return z3.If(number.term < 0, number.term + (1 << run.bits), number.term)
