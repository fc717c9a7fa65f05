"""The width analysis of layers of neurons.

Those with one update are followed together, as so many neurons side by side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lehr.analysis.rows import HIGH, LOW
from lehr.analysis.seen import beyond, keeps_count, looked_at, span, writers
from lehr.analysis.steps import Steps, for_ever, within_steps
from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nodes import Neuron
from lehr.update import FIRED, MOST_SPIKES, Bound, ForEachEvent, Program, Statement

FOLLOWED = 2000
"""Steps of a program of its own that are followed one after another.

If more are asked for, bounds hold for any number.
"""
TOGETHER = 2**16
"""Channels that are followed at once; many layers take no more memory than a large one."""
MANY = 256
"""Neurons of a layer beyond which those that are alike are followed once."""


@dataclass(frozen=True)
class Reach:
    """Bounds of what the neurons of one layer do.

    Attributes:
        program: their update.
        registers: by name, lowest and highest value before it is brought into its width, and
            wherever else it is read or kept; `[2, channels]`, 0 always between them.
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
        """Return the lowest and highest of a register over all channels."""
        return int(self.registers[x][LOW].min()), int(self.registers[x][HIGH].max())


def reach(layers: Mapping[str, tuple[Neuron, Interval]], steps: int | None) -> dict[str, Reach]:
    """Bound what the neurons of layers can do.

    Args:
        layers: by name, with bounds of the sum that arrives at each.
        steps: within how many; None for any number.
    """
    alike: dict[tuple[Program, bool], list[list[str]]] = {}
    room: dict[tuple[Program, bool], int] = {}
    for name, (neuron, _) in layers.items():
        key = _of_any_width(neuron.program)[0], isinstance(neuron.arithmetic, Program)
        room[key] = room.get(key, 0) - neuron.channels
        if room[key] < 0:
            alike.setdefault(key, []).append([])
            room[key] = TOGETHER
        alike[key][-1].append(name)
    reaches: dict[str, Reach] = {}
    for (program, own), groups in alike.items():
        for names in groups:
            reaches |= _followed(
                program, {name: _Layer(*layers[name]) for name in names}, steps, own
            )
    return {name: reaches[name] for name in layers}


def _followed(
    program: Program, layers: Mapping[str, _Layer], steps: int | None, own: bool
) -> dict[str, Reach]:
    """Follow layers of one program, which may be one of its own."""
    numbers = np.concatenate([layer.numbers for layer in layers.values()], axis=1)
    given = dict(zip(next(iter(layers.values())).given, numbers[3:], strict=True))
    drive, events = numbers[:2], numbers[2]
    followed = FOLLOWED if steps is None else min(steps, FOLLOWED) if own else steps
    seen = (
        within_steps(program, given, drive, events, followed, limited=own)
        if steps is not None
        else None
    )
    if seen is None or (followed != steps and not seen.settled.all()):
        seen = for_ever(program, given, drive, events)
    reaches, start = {}, 0
    for name, layer in layers.items():
        end = start + layer.numbers.shape[1]
        reaches[name] = layer.reach(seen, slice(start, end))
        start = end
    return reaches


@cache
def _of_any_width(program: Program) -> tuple[Program, dict[str, int]]:
    """Return a program with parameters for the ends between which it saturates, and their values.

    Layers often differ in nothing else.
    """
    ends: dict[str, int] = {}

    def lifted(s: Statement) -> Statement:
        if isinstance(s, ForEachEvent):
            return ForEachEvent(tuple(map(lifted, s.body)))
        if (
            not isinstance(s, Bound)
            or s.overflow == "wrap"
            or isinstance(s.low, str)
            or isinstance(s.high, str)
        ):
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
        numbers: bounds of its input, its most events, and those parameters, `[3 + parameters,
            neurons]`.
        where: which of them each neuron of the layer is.
    """

    def __init__(self, neuron: Neuron, a: Interval) -> None:
        self.program = neuron.program
        _, ends = _of_any_width(self.program)
        shape = next(
            (
                neuron.values[name].shape
                for name in neuron.per_neuron
                if name in neuron.program.parameters
            ),
            (neuron.channels,),
        )
        own = np.stack([a.low, a.high, a.magnitude]).repeat(math.prod(shape[1:]), axis=1)
        given = [neuron.spread(name, shape).reshape(1, -1) for name in neuron.program.parameters]
        self.given = (*neuron.program.parameters, *ends)
        self.numbers = np.concatenate(
            [own, *given, *(np.full((1, own.shape[1]), end) for end in ends.values())]
        )
        self.channels, self.where = neuron.channels, np.arange(self.numbers.shape[1])
        if self.numbers.shape[1] > MANY:
            self.numbers, self.where = np.unique(self.numbers, axis=1, return_inverse=True)
            self.where = self.where.reshape(-1)

    def reach(self, steps: Steps, own: slice) -> Reach:
        """Return the bounds of this layer, whose neurons are some of those that were followed."""
        program, record = self.program, steps.record.of(own)
        seen = {x: self._by_channel(bounds) for x, bounds in looked_at(program, record).items()}
        if keeps_count(program):
            seen[FIRED] = np.minimum(seen[FIRED], MOST_SPIKES)
        spans = {
            x: span([record.left[n] for n in numbers if n in record.left])
            for x, numbers in writers(program).items()
        }
        added = max(map(abs, span(record.terms.values())))
        ends = {x: span([bounds[:, own]]) for x, bounds in steps.ends.items()}
        return Reach(
            program, seen, spans, added, bool(steps.settled[own].all()), ends, beyond(record)
        )

    def _by_channel(self, bounds: list[Int64]) -> Int64:
        zero = np.zeros((2, len(self.where)), np.int64)
        low = np.minimum.reduce([zero[LOW], *(b[LOW][self.where] for b in bounds)])
        high = np.maximum.reduce([zero[HIGH], *(b[HIGH][self.where] for b in bounds)])
        return np.stack(
            [
                low.reshape(self.channels, -1).min(axis=1),
                high.reshape(self.channels, -1).max(axis=1),
            ]
        )
