"""The operations of a plan: each calls one kernel on a worker's buffers, for steps of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast import calls
from lehr.simulate.fast.plans.buffers import Buffer, aligned

Array = npt.NDArray[Any]
Call = tuple[calls.Kernel, tuple[Any, ...]]
MOST_CALLS = 4096
"""Calls that a worker remembers.

Networks whose layers feed each other need some for every step of a block.
"""


@dataclass(eq=False)
class Worker:
    """Memory of one thread: room for `samples` samples and a block of `steps` steps.

    Attributes:
        arrays: by buffer.
        states: by layer, the registers that live from step to step, and room for others.
        totals: int64 `[samples, 3, neurons]` by layer: spikes, lowest and highest membrane so far;
            of all samples together, `[1, 3, neurons]`, of those that are not the output.
        saturations: int64 `[samples]` by layer.
        membranes: int32 `[samples, steps, neurons]` of the layers whose membranes are kept; of no
            size for the others.
        calls: of kernels, by operation, first step, steps and samples: to make them anew takes
            longer than many a kernel.
        scratch: memory that kernels of an operation use while they run, by operation and purpose.
        count: how many samples there are at present.
    """

    samples: int
    steps: int
    arrays: dict[Buffer, Array] = field(default_factory=dict)
    states: dict[str, Array] = field(default_factory=dict)
    totals: dict[str, Array] = field(default_factory=dict)
    saturations: dict[str, Array] = field(default_factory=dict)
    membranes: dict[str, Array] = field(default_factory=dict)
    calls: dict[tuple[Op, int, int, int], calls.Call] = field(default_factory=dict)
    scratch: dict[tuple[Op, str], Array] = field(default_factory=dict)
    count: int = 0

    def rows(self, buffer: Buffer, first: int, lag: int = 0) -> tuple[int, int, int]:
        """Return the row of step `first` of the block, and the rows to the next sample and step.

        With `lag`, it is that of so many steps earlier.
        """
        if buffer.held:
            return 0, 1, 0
        return min(buffer.past, 1) + first - lag, buffer.slots(self.steps), 1

    def room(self, op: Op, purpose: str, size: int, dtype: Any) -> Array:
        """Memory of so many elements, always the same for one purpose."""
        if (op, purpose) not in self.scratch:
            self.scratch[op, purpose] = aligned(size, dtype)
        return self.scratch[op, purpose]

    def each_sample(self, name: str) -> int:
        """Return how far it is in the totals of a layer from one sample to the next."""
        totals = self.totals[name]
        return totals[0].size if len(totals) > 1 else 0


class Op(ABC):
    """An operation."""

    @abstractmethod
    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it for `steps` steps of the block, from step `first` on."""


class KernelOp(Op):
    """An operation that is one call of a kernel."""

    @abstractmethod
    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the kernel and its arguments.

        They stay valid as long as the worker and its number of samples.
        """

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        key = (self, first, steps, worker.count)
        if key not in worker.calls:
            if len(worker.calls) >= MOST_CALLS:
                worker.calls.clear()
            kernel, arguments = self.call(worker, first, steps)
            worker.calls[key] = kernel.on(arguments)
        worker.calls[key]()


@dataclass(eq=False)
class Clear(Op):
    """Set sums to zero before anything is added."""

    into: Buffer

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        start, _, step = worker.rows(self.into, first, -self.into.delay)
        worker.arrays[self.into][: worker.count, start : start + (steps if step else 1)] = 0


@dataclass(eq=False)
class Hold(Op):
    """Values as they are, for a delay.

    Attributes:
        source: what is held back.
        into: the delay's own.
        lag: how many steps late the source is.
        steps: numbers of steps, each with the elements that it holds back: bits of words, or
            whether it does; None for all.
    """

    source: Buffer
    into: Buffer
    lag: int
    steps: tuple[tuple[int, Array | None], ...]

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        start, _, step = worker.rows(self.source, first, self.lag)
        values = worker.arrays[self.source][
            : worker.count, start : start + (steps if step else 1), : self.into.row
        ]
        for late, which in self.steps:
            at, _, _ = worker.rows(self.into, first, -late)
            into = worker.arrays[self.into][: worker.count, at : at + steps]
            if which is None:
                into[:] = values
            elif self.into.bits:
                into[:] = (into & ~which) | (values & which)
            else:
                np.copyto(into, values, where=which)


@dataclass(frozen=True)
class Stage:
    """Operations that run one after another; step by step where their layers feed each other."""

    ops: tuple[Op, ...]
    loops: bool


def run_stages(stages: tuple[Stage, ...], worker: Worker, steps: int) -> None:
    """Run a block of steps."""
    for stage in stages:
        for first in range(steps if stage.loops else 1):
            for op in stage.ops:
                op.run(worker, first, 1 if stage.loops else steps)
