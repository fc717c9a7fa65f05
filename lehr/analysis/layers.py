"""The width analysis of layers of neurons: those with one update are followed together, as so many neurons side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lehr.analysis.ground import Record
from lehr.analysis.rows import HIGH, LOW, REACH
from lehr.analysis.steps import Steps, for_ever, within_steps
from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nodes import Neuron
from lehr.update import FIRED, MOST_SPIKES, Add, Bound, ForEachEvent, Leak, Program, Put, Statement, sources, walk, written

FOLLOWED = 2000
"""Steps of a program of its own that are followed one after another; where more are asked for, bounds hold for any number."""
MANY = 256
"""Neurons of a layer beyond which those that are alike are followed once."""


@dataclass(frozen=True)
class Reach:
    """What the neurons of one layer can do.

    Attributes:
        program: their update.
        registers: by name, lowest and highest value before it is brought into its width, and wherever else it is read or kept;
            `[2, channels]`, 0 always between them.
        written: by name, lowest and highest of all that is written, partial sums included.
        added: the greatest magnitude that a statement adds.
        settled: whether this holds for any number of steps.
        ends: the lowest and highest of the membrane and of the spikes at the end of a step.
        beyond: the number of the first statement that can leave 64 bits; 0 where none can.
    """

    program: Program
    registers: Mapping[str, Int64]
    written: Mapping[str, tuple[int, int]]
    added: int
    settled: bool
    ends: Mapping[str, tuple[int, int]]
    beyond: int

    def limits(self, x: str) -> tuple[int, int]:
        """The lowest and highest of a register over all channels."""
        return int(self.registers[x][LOW].min()), int(self.registers[x][HIGH].max())


def reach(layers: Mapping[str, tuple[Neuron, Interval]], steps: int | None) -> dict[str, Reach]:
    """What the neurons of layers can do.

    Args:
        layers: by name, with bounds of the sum that arrives at each.
        steps: within how many; None for any number.
    """
    alike: dict[tuple[Program, bool], list[str]] = {}
    for name, (neuron, _) in layers.items():
        alike.setdefault((_of_any_width(neuron.program)[0], isinstance(neuron.arithmetic, Program)), []).append(name)
    found: dict[str, Reach] = {}
    for (program, own), names in alike.items():
        parts = [_Layer(*layers[name]) for name in names]
        numbers = np.concatenate([part.numbers for part in parts], axis=1)
        given = dict(zip(parts[0].given, numbers[3:], strict=True))
        drive, events = numbers[:2], numbers[2]
        followed = FOLLOWED if steps is None else min(steps, FOLLOWED) if own else steps
        steps_found = within_steps(program, given, drive, events, followed) if steps is not None else None
        if steps_found is None or (followed != steps and not steps_found.settled.all()):
            steps_found = for_ever(program, given, drive, events)
        start = 0
        for name, part in zip(names, parts, strict=True):
            end = start + part.numbers.shape[1]
            found[name] = part.reach(steps_found, slice(start, end))
            start = end
    return {name: found[name] for name in layers}


@cache
def _of_any_width(program: Program) -> tuple[Program, dict[str, int]]:
    """A program with parameters for the ends between which it saturates, and what these are: layers often differ in nothing else."""
    ends: dict[str, int] = {}

    def lifted(s: Statement) -> Statement:
        if isinstance(s, ForEachEvent):
            return ForEachEvent(tuple(map(lifted, s.body)))
        if not isinstance(s, Bound) or s.overflow == "wrap" or isinstance(s.low, str) or isinstance(s.high, str):
            return s
        names = f"{_END}{len(ends)}", f"{_END}{len(ends) + 1}"
        ends.update(zip(names, (s.low, s.high), strict=True))
        return replace(s, low=names[0], high=names[1])

    if any(name.startswith(_END) for name in (*program.registers, *program.parameters)):
        return program, {}
    return Program(tuple(map(lifted, program.statements)), program.membrane), ends


_END = "end_of_a_bound_"


class _Layer:
    """A layer's neurons, each distinct one once.

    Attributes:
        given: the names of their parameters.
        numbers: bounds of its input, its most events, and those parameters, `[3 + parameters, neurons]`.
        where: which of them each neuron of the layer is.
    """

    def __init__(self, neuron: Neuron, a: Interval) -> None:
        self.program = neuron.program
        _, ends = _of_any_width(self.program)
        shape = next((neuron.values[name].shape for name in neuron.per_neuron if name in neuron.program.parameters), (neuron.channels,))
        own = np.stack([a.low, a.high, a.magnitude]).repeat(math.prod(shape[1:]), axis=1)
        given = [neuron.spread(name, shape).reshape(1, -1) for name in neuron.program.parameters]
        self.given = (*neuron.program.parameters, *ends)
        self.numbers = np.concatenate([own, *given, *(np.full((1, own.shape[1]), end) for end in ends.values())])
        self.channels, self.where = neuron.channels, np.arange(self.numbers.shape[1])
        if self.numbers.shape[1] > MANY:
            self.numbers, self.where = np.unique(self.numbers, axis=1, return_inverse=True)
            self.where = self.where.reshape(-1)

    def reach(self, found: Steps, own: slice) -> Reach:
        """What was found of the layer, whose neurons are some of those that were followed."""
        record, program = found.record, self.program
        looked = [(s, bounds[:, own]) for s, bounds in _looked_at(program, record)]
        registers = {x: self._by_channel([bounds for s, bounds in looked if written(s) == x]) for x in program.registers}
        registers[FIRED] = np.minimum(registers[FIRED], MOST_SPIKES)
        every = [(_statement(program, number), record.left[number][:, own]) for number in record.left if number > 0]
        limits = {x: [_limits(bounds) for s, bounds in every if written(s) == x] for x in program.registers}
        spans = {x: (min((low for low, _ in each), default=0), max((high for _, high in each), default=0)) for x, each in limits.items()}
        terms = [_limits(bounds[:, own]) for number, bounds in record.terms.items() if number > 0]
        added = max((max(-low, high) for low, high in terms), default=0)
        ends = {x: _limits(bounds[:, own]) for x, bounds in found.ends.items()}
        return Reach(program, registers, spans, added, bool(found.settled[own].all()), ends, _beyond(record, own))

    def _by_channel(self, bounds: list[Int64]) -> Int64:
        zero = np.zeros((2, len(self.where)), np.int64)
        low = np.minimum.reduce([zero[LOW], *(b[LOW][self.where] for b in bounds)])
        high = np.maximum.reduce([zero[HIGH], *(b[HIGH][self.where] for b in bounds)])
        return np.stack([low.reshape(self.channels, -1).min(axis=1), high.reshape(self.channels, -1).max(axis=1)])


def _limits(bounds: Int64) -> tuple[int, int]:
    """The lowest and highest of all neurons, and of 0."""
    return min(0, int(bounds[LOW].min())), max(0, int(bounds[HIGH].max()))


def _beyond(record: Record, own: slice) -> int:
    """The first statement after which, or in which, anything of some neurons comes to REACH."""
    numbers = sorted(number for number in record.left if number > 0)
    for number in numbers:
        for kept in (record.terms, record.left):
            if number in kept and max(-_limits(kept[number][:, own])[0], _limits(kept[number][:, own])[1]) >= REACH:
                return number
    return 0


def _statement(program: Program, number: int) -> Statement:
    return program.all[number - 1]


def _looked_at(program: Program, record: Record) -> list[tuple[Statement, Int64]]:
    """What comes to Bounds, and what is written and not just on its way to one."""
    found = [(_statement(program, number), bounds) for number, bounds in record.arrived.items()]
    for number in _kept(program).intersection(record.left):
        s, (low, high) = _statement(program, number), record.left[number]
        for least, most in _wraps(program, written(s)):
            low, high = np.where(low < least, low, 0), np.where(high > most, high, 0)
        found.append((s, np.stack([low, high])))
    return found


def _wraps(program: Program, x: str) -> list[tuple[int, int]]:
    """The ends between which a register that wraps is anywhere."""
    bounds = [s for s in program.all if isinstance(s, Bound) and s.x == x and s.overflow == "wrap"]
    return [(s.low, s.high) for s in bounds if isinstance(s.low, int) and isinstance(s.high, int)]


@cache
def _kept(program: Program) -> frozenset[int]:
    """The statements whose result is read, or stays at the end, as it is."""
    kept, number = set(), 0
    blocks: list[tuple[Statement, ...]] = [program.statements, *(s.body for s in program.statements if isinstance(s, ForEachEvent))]
    starts = {id(s): n for n, s in enumerate(walk(program.statements), 1) if isinstance(s, ForEachEvent)}
    for block in blocks:
        number = 0 if block is program.statements else next(iter(starts.values()))
        for index, s in enumerate(block):
            number += 1
            if isinstance(s, ForEachEvent):
                number += len(s.body)
            elif not (isinstance(s, Bound) and s.overflow == "wrap") and _is_read(written(s), block[index + 1 :]):
                kept.add(number)
    return frozenset(kept)


def _is_read(x: str, later: tuple[Statement, ...]) -> bool:
    """Whether statements take a register as it is, before they bound or replace it."""
    for s in later:
        if isinstance(s, ForEachEvent) or x in sources(s):
            return True
        if isinstance(s, Bound) and s.x == x:
            return False
        if isinstance(s, Put) and s.x == x and not s.when:
            return False
        if not isinstance(s, (Add, Leak, Put, Bound)) and s.x == x:
            return True
        if written(s) == x and not isinstance(s, (Add, Leak, Put)):
            return False
    return True
