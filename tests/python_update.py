"""An update in Python's own integers, which have no width.

It takes one statement after the other, without numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lehr.update import INPUT, Add, Bound, Fire, ForEachEvent, Leak, Put

BEYOND = 2**200


class PythonStep:
    """One step of one neuron.

    Attributes:
        registers: by name; changed.
        given: parameters and the input.
        events: the weights of the events, for a loop over them.
        greatest: the greatest magnitude of all that was computed, products before a division
            included.
    """

    def __init__(self, registers: dict[str, int], given: dict[str, int], events: list[int]) -> None:
        self.registers, self.given, self.events = registers, given, events
        self.greatest = 0

    def do(self, statements: Any) -> None:
        for s in statements:
            if isinstance(s, ForEachEvent):
                for weight in self.events:
                    self.given[INPUT] = weight
                    self.do(s.body)
            else:
                self.registers[s.into if isinstance(s, Fire) else s.x] = self.noted(
                    RULES[type(s)](self, s)
                )

    def get(self, source: str | int) -> int:
        if isinstance(source, int):
            return source
        return self.registers[source] if source in self.registers else self.given[source]

    def noted(self, value: int) -> int:
        """Return a number that was computed; of one beyond all need nothing more is."""
        self.greatest = max(self.greatest, abs(value))
        if self.greatest > BEYOND:
            raise OverflowError
        return value


def rounded(value: int, shift: int, rounding: str) -> int:
    """Return `value / 2**shift`; Python's own round of halves decides ties of nearest_even."""
    quotient, rest = divmod(value, 1 << shift)
    if rounding == "toward_zero":
        return quotient + (value < 0 and rest > 0)
    if rounding == "floor":
        return quotient
    return quotient + (2 * rest > 1 << shift or (2 * rest == 1 << shift and quotient % 2 == 1))


def _leak(step: PythonStep, s: Leak) -> int:
    value, k, n = step.get(s.x), step.get(s.decay.numerator), step.get(s.decay.shift)
    if s.decay.form == "multiply":
        return rounded(step.noted(value * k), n, s.decay.rounding)
    if s.decay.form == "shift":
        return value - rounded(value, n, s.decay.rounding)
    if s.decay.form == "dash":
        return value - ((value >> n) or (value > 0) - (value < 0))
    return max(value - k, 0) if value > 0 else min(value + k, 0)


def _add(step: PythonStep, s: Add) -> int:
    term = step.noted((step.get(s.source) << s.shift) * (step.get(s.times) if s.times else 1))
    return step.get(s.x) + (-term if s.negative else term)


def _put(step: PythonStep, s: Put) -> int:
    return step.get(s.source if not s.when or step.get(s.when) else s.x)


def _bound(step: PythonStep, s: Bound) -> int:
    value, low, high = step.get(s.x), step.get(s.low), step.get(s.high)
    return (
        (value - low) % (high - low + 1) + low
        if s.overflow == "wrap"
        else min(max(value, low), high)
    )


def _fire(step: PythonStep, s: Fire) -> int:
    reached = step.get(s.x) - (s.test == "gt")
    return (
        min(max(reached // step.get(s.level), 0), s.up_to)
        if s.up_to > 1
        else int(reached >= step.get(s.level))
    )


RULES: dict[type, Callable[..., int]] = {
    Leak: _leak,
    Add: _add,
    Put: _put,
    Bound: _bound,
    Fire: _fire,
}
