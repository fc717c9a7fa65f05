"""Circuit of an engine's neurons: the programs of its layers as values in a pipeline.

Layers share what their programs have in common, in order; a step that a layer's program lacks
leaves everything as it is for that layer. Sums are added up as soon as their terms are there. Where
a spike is read a step later, the membrane still tells of it if nothing came after the test: it is
beyond the level; else the spike is kept beside it, in a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lehr.targets.fpga import expressions as text
from lehr.targets.fpga.kinds import Step
from lehr.targets.fpga.pipeline import LEAST_STAGES, Pipeline, Value
from lehr.targets.fpga.reach import Range, Reach
from lehr.update import FIRED, INPUT, Fire, ForEachEvent, Program, Source, written
from lehr.update_text import line_of

BIT: Range = (0, 1)


@dataclass(frozen=True)
class Kept:
    """A part of what a neuron keeps: a register, from bit `low` on."""

    register: str
    low: int
    value: Value

    @property
    def high(self) -> int:
        """Number of its highest bit."""
        return self.low + self.value.bits - 1


class Circuit:
    """The update of all neurons of an engine.

    Attributes:
        programs: the kinds.
        pipe: the values.
        constants: parameters by name, as they come in.
        kept: what a neuron keeps, the membrane of the first kind lowest.
        updated, spike: the membrane and the spike in the end, as the last stage has them.
        losses: bits that tell which of the states left their widths.
    """

    def __init__(
        self, programs: list[Program], reaches: list[list[Reach]], parameters: Mapping[str, Range]
    ) -> None:
        self.programs, self._reaches = programs, reaches
        arriving = max(reach.arriving for of_kind in reaches for reach in of_kind)
        wide = max(reach.widest for of_kind in reaches for reach in of_kind)
        wide = max(wide, arriving, *(max(-low, high) for low, high in parameters.values()))
        self.pipe = Pipeline(wide.bit_length() + 2)
        self.current = self.pipe.comes_in("A", (-arriving, arriving))
        self.constants = {
            name: self.pipe.comes_in(f"K_{name}", reached) for name, reached in parameters.items()
        }
        self._now: dict[str, Value] = {}
        self.losses: list[Value] = []
        self._begin()

    # ---------------------------------------------------------------- what is kept
    def _begin(self) -> None:
        """Lay out what a neuron kept from the step before."""
        states = dict.fromkeys(
            name for program in self.programs for name in program.states if name != FIRED
        )
        ordered = dict.fromkeys((self.programs[0].membrane, *states))
        reading = [FIRED in program.states for program in self.programs]
        tests = [
            test_before(program) if reads_it else None
            for program, reads_it in zip(self.programs, reading, strict=True)
        ]
        if any(reads_it and test is None for reads_it, test in zip(reading, tests, strict=True)):
            ordered[FIRED] = None
        self.kept: list[Kept] = []
        low = 0
        for name in ordered:
            ranges = [
                reach.states[name]
                for of_kind in self._reaches
                for reach in of_kind
                if name in reach.states
            ]
            value = self.pipe.comes_in(
                f"{name}_0", BIT if name == FIRED else _join(*ranges, (0, 0))
            )
            self.kept.append(Kept(name, low, value))
            self._now[name] = value
            low += value.bits
        self.kept_bits = low
        if any(tests):
            self._begin_fired(tests)

    def _begin_fired(self, tests: list[Fire | None]) -> None:
        """Compute the spikes of the step before, where the membrane tells of them."""

        def tested(kind: int, test: Fire | None) -> str:
            if test is None:
                return (
                    self.pipe.at(self._now[FIRED], 1)
                    if FIRED in self._now
                    else text.wide(0, self.pipe.wide)
                )
            return self.passes(test, kind, 1)

        texts = [tested(kind, test) for kind, test in enumerate(tests)]
        self._now[FIRED] = self.pipe.compute(FIRED, 1, BIT, texts, "the spikes of the step before")

    def end(self) -> None:
        """Hold all that is kept and goes out to the last stage, now that it is computed."""
        finals = [self.wire(self.now(kept.register)) for kept in self.kept]
        membranes = [self.now(program.membrane) for program in self.programs]
        self.updated = self.wire(membranes[0])
        if any(value.name != membranes[0].name for value in membranes):
            stage = max(value.stage for value in membranes)
            texts = [self.pipe.at(value, stage) for value in membranes]
            self.updated = self.pipe.compute(
                "updated", stage, _join(*(value.range for value in membranes)), texts
            )
        self.spike = self.wire(self.now(FIRED))
        ends = [*finals, self.updated, self.spike, *self.losses]
        last = max(LEAST_STAGES, *(value.ready for value in ends))
        self.stages = last + last % 2  # a neuron is written when the other memory is read
        self.finals = [(kept, value) for kept, value in zip(self.kept, finals, strict=True)]
        for value in ends:
            self.pipe.at(value, self.stages + 1)

    # ---------------------------------------------------------------- values
    def get(self, source: Source, kind: int) -> Value:
        """Return the present value of a register, a parameter, the input or a number for a kind.

        A register that nothing has written is 0.
        """
        if isinstance(source, int):
            return self.pipe.number(source)
        if source == INPUT:
            return self.current
        if source in self.programs[kind].registers:
            return self.now(source)
        return self.constants[source]

    def now(self, register: str) -> Value:
        """Return the present value of a register."""
        return self._now.get(register, self.pipe.number(0))

    def wire(self, value: Value) -> Value:
        """Return the same as a wire, whose bits can be named: a constant becomes one."""
        return (
            value
            if value.constant is None
            else self.choose("Constant", [value.name], 0, value.range)
        )

    def operand(self, source: Source, kind: int, stage: int) -> text.Operand:
        """Return the same, as a stage reads it."""
        value = self.get(source, kind)
        return text.Operand(self.pipe.at(value, stage), value.constant)

    def passes(self, test: Fire, kind: int, stage: int) -> str:
        """Return the Verilog expression that is true where a level is passed."""
        x, level = (self.operand(source, kind, stage).name for source in (test.x, test.level))
        return text.passes(x, level, beyond=test.test == "gt", width=self.pipe.wide)

    def reached(self, step: Step[Any], otherwise: Value) -> Range:
        """Return the range of what a step writes; `otherwise` where a kind lacks it."""
        ranges = [
            reach.after[number]
            for kind, (_, number) in step.by_kind.items()
            for reach in self._reaches[kind]
        ]
        return _join(*ranges, *([] if self.whole(step) else [otherwise.range]))

    def whole(self, step: Step[Any]) -> bool:
        """Return whether all kinds take a step."""
        return len(step.by_kind) == len(self.programs)

    def earliest(self, step: Step[Any], register: str, stage: int) -> int:
        """Return the first stage in which a step can be done.

        Where some kinds leave its register as it is, the register must be there.
        """
        return stage if self.whole(step) else max(stage, self.now(register).stage)

    def write(
        self, step: Step[Any], register: str, stage: int, expression: Callable[[int, Any], str]
    ) -> Value:
        """Give a register what a step computes; `expression` of a kind and its statement."""
        before = self.now(register)
        texts = [
            expression(kind, statement)
            if (statement := step.statement(kind)) is not None
            else self.pipe.at(before, stage)
            for kind in range(len(self.programs))
        ]
        note = "; ".join(
            dict.fromkeys(line_of(statement) for statement, _ in step.by_kind.values())
        )
        self._now[register] = self.pipe.compute(
            register, stage, self.reached(step, before), texts, note
        )
        return self._now[register]

    def close(self, steps: list[Step[Any]], register: str, stage: int, expression: str) -> None:
        """Give a register the sum that some steps add up."""
        before, ranges = self.now(register), list[Range]()
        for kind in range(len(self.programs)):
            numbers = [step.by_kind[kind][1] for step in steps if kind in step.by_kind]
            ranges += (
                [reach.after[max(numbers)] for reach in self._reaches[kind]]
                if numbers
                else [before.range]
            )
        note = "; ".join(
            dict.fromkeys(
                line_of(statement) for step in steps for statement, _ in step.by_kind.values()
            )
        )
        self._now[register] = self.pipe.compute(register, stage, _join(*ranges), [expression], note)

    def holds(self, value: Value, stage: int) -> str:
        """Return the Verilog expression that is true where a value is not 0."""
        name = self.pipe.at(value, stage)
        if value.constant is None and BIT[0] <= value.range[0] and value.range[1] <= BIT[1]:
            return f"{name}[0]"
        return f"{name} != {text.wide(0, self.pipe.wide)}"

    def choose(self, register: str, texts: list[str], stage: int, reached: Range) -> Value:
        """Return a value of no register of the programs."""
        return self.pipe.compute(register, stage, reached, texts)

    def put(self, register: str, value: Value) -> None:
        """Give a register what is there already."""
        self._now[register] = value


def _join(*ranges: Range) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def test_before(program: Program) -> Fire | None:
    """Return the test whose outcome in the step before can be read from a state, if there is one.

    Nothing has changed that state since.
    """
    names = [written(s) for s in program.statements if not isinstance(s, ForEachEvent)]
    if names.count(FIRED) != 1:
        return None
    test, behind = program.statements[names.index(FIRED)], names[names.index(FIRED) :]
    tells = (
        isinstance(test, Fire)
        and test.level not in program.registers
        and test.x in program.states
        and test.x not in behind
    )
    return test if isinstance(test, Fire) and tells else None
