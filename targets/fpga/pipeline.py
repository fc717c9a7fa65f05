"""The circuit of a neuron as values in stages: which value comes when, and how long it is held.

A value is computed in one stage, and held in registers up to the last stage that reads it. A slow
one, a sum or a comparison, reads what was ready in the stage before; a quick one, a choice, is done
in the stage of what it chooses from. What comes in is ready at stage 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lehr.targets.fpga.reach import Range

LEAST_STAGES = 4


def storage(low: int, high: int) -> tuple[int, bool]:
    """Bits that hold a range, and whether they have a sign."""
    if low >= 0:
        return max(1, high.bit_length()), False
    return max((value if value >= 0 else ~value).bit_length() for value in (low, high)) + 1, True


@dataclass(eq=False)
class Value:
    """A number on its way.

    Attributes:
        name: of its wire.
        stage: in which it is computed; 0 for what comes in.
        range: what it can be.
        texts: the expression for each kind of neurons; one where all have the same, none for what
            comes in and for constants.
        note: the statement that it computes.
        constant: the number that it is, where it is one.
        last: the last stage that reads it.
    """

    name: str
    stage: int
    range: Range
    texts: tuple[str, ...] = ()
    note: str = ""
    constant: int | None = None
    last: int = field(default=0)

    @property
    def ready(self) -> int:
        """The stage in which its own wire is read."""
        return max(self.stage, 1)

    @property
    def bits(self) -> int:
        """Bits of the registers that hold it."""
        return storage(*self.range)[0]

    @property
    def signed(self) -> bool:
        """Whether these registers have a sign."""
        return storage(*self.range)[1]


class Pipeline:
    """The values of a circuit, in order.

    Attributes:
        wide: bits in which everything is computed.
        values: those that are computed.
    """

    def __init__(self, wide: int) -> None:
        self.wide = wide
        self.values: list[Value] = []
        self.given: list[Value] = []
        self._numbers: dict[str, int] = {}

    def comes_in(self, name: str, reached: Range) -> Value:
        """Return a value that is there from the first."""
        value = Value(name, 0, reached)
        self.given.append(value)
        return value

    def number(self, value: int) -> Value:
        """Return a constant."""
        text = f"{'-' if value < 0 else ''}{self.wide}'sd{abs(value)}"
        return Value(text, 0, (value, value), constant=value)

    def compute(
        self, register: str, stage: int, reached: Range, texts: Sequence[str], note: str = ""
    ) -> Value:
        """Return a new value of a register; `texts`: its expression for each kind of neurons."""
        number = self._numbers[register] = self._numbers.get(register, 0) + 1
        most = (
            1 << (self.wide - 2)
        ) - 1  # what no kind comes to, though the greatest of all kinds together might
        low, high = max(reached[0], -most), min(reached[1], most)
        same = tuple(texts[:1]) if len(set(texts)) == 1 else tuple(texts)
        value = Value(f"{register}_{number}", stage, (low, high), same, note)
        self.values.append(value)
        return value

    def at(self, value: Value, stage: int) -> str:
        """Return the name by which `stage` reads a value; it is held until then."""
        if value.constant is not None:
            return value.name
        assert stage >= value.stage, (value, stage)
        value.last = max(value.last, stage)
        return value.name if stage <= value.ready else f"{value.name}_S{stage}"

    def held(self, stage: int) -> list[tuple[Value, str]]:
        """Return the values that a stage reads from registers, and what these take in."""
        known = (*self.given, *self.values)
        return [
            (value, self.at(value, stage - 1))
            for value in known
            if value.ready < stage <= value.last
        ]

    def computed(self, stage: int) -> list[Value]:
        """Return the values of a stage, in order."""
        return [value for value in self.values if value.ready == stage]
