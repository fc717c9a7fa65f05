"""The update of a neuron as data: a program of six kinds of statements over named integers.

A register is a name. `fired` holds the spikes of the last Fire; read before it, those of the step
before: that is all there is to the timing of resets. States (read before they are surely written)
live from step to step, work registers begin every step at 0. A source is a register, `input` (the
sum A; in a loop over events the weight of the event), a parameter of the layer (an integer by
channel or by neuron: `threshold`, `bias`, any other name) or a number. All integers are exact until
a Bound. docs/arithmetic.md has each statement with its formula, and each machine as a program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from lehr.arithmetic import Overflow, Rounding

Form = Literal["multiply", "shift", "dash", "linear"]
Test = Literal["gt", "ge"]
Source = str | int
INPUT, FIRED, MEMBRANE = "input", "fired", "v"


@dataclass(frozen=True)
class Decay:
    """The decay of a Leak: what it leaves of x; n is `shift`, k is `numerator`.

    multiply: round(x k / 2^n). shift: x - round(x / 2^n). dash: x - (x >> n), but at least 1
    towards 0 (Xylo's decay, which reaches 0). linear: x moved k towards 0, and not beyond.
    """

    form: Form
    numerator: Source = 1
    shift: Source = 0
    rounding: Rounding = "toward_zero"


@dataclass(frozen=True)
class Leak:
    """x = decay(x)."""

    x: str
    decay: Decay


@dataclass(frozen=True)
class Add:
    """x = x + (source << shift) * times, or minus; `times` is a register, or empty for 1."""

    x: str
    source: Source
    shift: int = 0
    negative: bool = False
    times: str = ""


@dataclass(frozen=True)
class Put:
    """x = source, where the register `when` is not 0; everywhere without it."""

    x: str
    source: Source
    when: str = ""


@dataclass(frozen=True)
class Bound:
    """Bring x between low and high, both included.

    A change of x is counted as a saturation.

    `wrap` is modulo high - low + 1, which is a power of two: the lowest bits of a two's-complement
    register.
    """

    x: str
    low: Source
    high: Source
    overflow: Overflow = "saturate"


@dataclass(frozen=True)
class Fire:
    """into = how often x passes level, from 0 to `up_to`.

    For up_to 1 it is whether x > level (gt) or x >= level (ge); for more, the greatest n with x > n
    level (or >=), level at least 1.
    """

    x: str
    level: Source = "threshold"
    test: Test = "gt"
    up_to: int = 1
    into: str = FIRED


@dataclass(frozen=True)
class ForEachEvent:
    """Do `body` for each event of the step, in their order, on the neurons that it reaches.

    `input` is its weight there.
    """

    body: tuple[Statement, ...]


Statement = Leak | Add | Put | Bound | Fire | ForEachEvent
STATEMENTS: tuple[type, ...] = (Leak, Add, Put, Bound, Fire, ForEachEvent)


@dataclass(frozen=True)
class Program:
    """The update of a neuron in one step.

    Attributes:
        statements: in order.
        membrane: the register that is traced and read out, beside the spikes in `fired`.

    Raises:
        FileRefused: when a statement says what no station can compute, naming its line.
    """

    statements: tuple[Statement, ...]
    membrane: str = MEMBRANE

    def __post_init__(self) -> None:
        from lehr.update_rules import check_program  # which asks what is defined below

        check_program(self)

    def __repr__(self) -> str:
        """Return the lines of text: a network's digest is taken of them."""
        from lehr.update_text import lines_of

        return f"Program({self.membrane}: {'; '.join(lines_of(self))})"

    @cached_property
    def all(self) -> tuple[Statement, ...]:
        """All statements, those of a loop after it."""
        return tuple(walk(self.statements))

    @cached_property
    def registers(self) -> tuple[str, ...]:
        """The names that the program writes; `fired` always among them."""
        return tuple(
            dict.fromkeys(
                (FIRED, *(written(s) for s in self.all if not isinstance(s, ForEachEvent)))
            )
        )

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The arrays of the layer that it reads, by name."""
        names: set[str] = set().union(*(reads(s) for s in self.all))
        return tuple(sorted(names - {INPUT, *self.registers}))

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The registers that live from step to step.

        They are those that are read before they are surely written, and the membrane.
        """
        kept, sure = dict[str, None](), set[str]()

        def follow(statements: tuple[Statement, ...], sure: set[str]) -> None:
            for s in statements:
                if isinstance(s, ForEachEvent):
                    # a step may have no event: what the loop writes is not sure behind it
                    follow(s.body, set(sure))
                    continue
                kept.update(
                    dict.fromkeys(
                        name
                        for name in sorted(reads(s))
                        if name in self.registers and name not in sure
                    )
                )
                if not (isinstance(s, Put) and s.when):
                    sure.add(written(s))

        follow(self.statements, sure)
        return tuple(dict.fromkeys((*kept, self.membrane)))

    @property
    def loop(self) -> ForEachEvent | None:
        """The loop over events, if there is one: the layer then updates by event."""
        return next((s for s in self.statements if isinstance(s, ForEachEvent)), None)

    @cached_property
    def fires(self) -> tuple[Fire, ...]:
        """Its Fire statements; a program without one is an integrator."""
        return tuple(s for s in self.all if isinstance(s, Fire))

    @cached_property
    def most_spikes(self) -> int:
        """The greatest count that `fired` can have after a step."""
        if any(isinstance(s, Add) and s.x == FIRED for s in self.all):
            return MOST_SPIKES
        return max((s.up_to for s in self.fires if s.into == FIRED), default=0)


MOST_SPIKES = 255
"""Spikes of one neuron in one step that can be passed on, in a byte."""


def walk(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """Yield all statements, those of a loop after it."""
    for statement in statements:
        yield statement
        if isinstance(statement, ForEachEvent):
            yield from walk(statement.body)


def written(statement: Leak | Add | Put | Bound | Fire) -> str:
    """Return the register that a statement writes."""
    return statement.into if isinstance(statement, Fire) else statement.x


def sources(statement: Statement) -> tuple[Source, ...]:
    """Return the sources of a statement beside the register that it changes.

    They are names and numbers; a loop has none.
    """
    if isinstance(statement, ForEachEvent):
        return ()
    taken = (
        [statement.decay.numerator, statement.decay.shift] if isinstance(statement, Leak) else []
    )
    names = ("source", "times", "when", "low", "high", "level")
    taken += [getattr(statement, field.name) for field in fields(statement) if field.name in names]
    return tuple(source for source in taken if source != "")


def reads(statement: Statement) -> set[str]:
    """Return the names that a statement reads.

    A loop reads what its body does, each statement for itself.
    """
    if isinstance(statement, ForEachEvent):
        return set()
    names = {source for source in sources(statement) if isinstance(source, str)}
    return names if isinstance(statement, Put) and not statement.when else names | {statement.x}


def width(x: str, bits: int, overflow: Overflow = "saturate") -> Bound:
    """Return a Bound to a two's-complement width."""
    return Bound(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1, overflow)
