"""The operations of a plan: each calls one kernel on a worker's buffers, for steps of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels import layout
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
    calls: dict[tuple[Op, int, int, int], calls.Chain] = field(default_factory=dict)
    scratch: dict[tuple[Op, str], Array] = field(default_factory=dict)
    count: int = 0

    def rows(self, buffer: Buffer, first: int, lag: int = 0) -> tuple[int, int, int]:
        """Return the row of step `first` of the block, and the rows to the next sample and step.

        With `lag`, it is that of so many steps earlier.
        """
        if buffer.held:
            return 0, 1, 0
        return buffer.present + first - lag, buffer.slots(self.steps), 1

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
    """An operation: calls of kernels."""

    @abstractmethod
    def wanted(self, worker: Worker, first: int, steps: int) -> tuple[Call, ...]:
        """Return kernels and arguments that do it for some steps of the block, from `first` on.

        They stay valid as long as the worker and its number of samples.
        """

    def work(self, worker: Worker, first: int, steps: int) -> calls.Chain:
        """Return the calls."""
        key = (self, first, steps, worker.count)
        if key not in worker.calls:
            if len(worker.calls) >= MOST_CALLS:
                worker.calls.clear()
            wanted = self.wanted(worker, first, steps)
            worker.calls[key] = calls.Chain([kernel.on(given) for kernel, given in wanted])
        return worker.calls[key]

    @property
    def late(self) -> tuple[Buffer, ...]:
        """What it reads of the step before."""
        return ()

    def refuse(self, worker: Worker) -> None:
        """Refuse what has come out, if there is anything to refuse in it."""
        del worker


class KernelOp(Op):
    """An operation that is one call of a kernel."""

    @abstractmethod
    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the kernel and its arguments."""

    def wanted(self, worker: Worker, first: int, steps: int) -> tuple[Call, ...]:
        """Return the one call."""
        return (self.call(worker, first, steps),)


@dataclass(eq=False)
class Clear(KernelOp):
    """Set sums to zero before anything is added."""

    into: Buffer

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        rows = worker.rows(self.into, first, -self.into.delay)
        words = _words(worker, self.into)
        sizes = layout.MoveSizes(worker.count, steps if rows[2] else 1, words.shape[2])
        return calls.clear, (words.reshape(-1), np.array(sizes), np.array(rows))


@dataclass(eq=False)
class Keep(KernelOp):
    """Keep, of a block of steps that has run, what later ones need."""

    into: Buffer

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        del first
        words = _words(worker, self.into)
        _, slots, row = words.shape
        sizes = layout.MoveSizes(worker.count, self.into.past, row)
        rows = np.array((steps, slots, 1, 0, slots, 1))
        return calls.keep, (words.reshape(-1), np.array(sizes), rows)


def _words(worker: Worker, buffer: Buffer) -> Array:
    """Return the values of a buffer as words of 64 bits, `[samples, slots, words]`."""
    return worker.arrays[buffer].view(np.uint64)


@dataclass(eq=False)
class Hold(KernelOp):
    """Values as they are, for a delay.

    Attributes:
        source: what is held back.
        into: the delay's own.
        lag: how many steps late the source is.
        steps: int64, numbers of steps.
        which: uint64 `[steps, words]`: for each number, all bits of what it holds back.
    """

    source: Buffer
    into: Buffer
    lag: int
    steps: Array
    which: Array

    @property
    def late(self) -> tuple[Buffer, ...]:
        """What it reads of the step before."""
        return (self.source,) if self.lag else ()

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        source, into = _words(worker, self.source), _words(worker, self.into)
        rows = (*worker.rows(self.source, first, self.lag), *worker.rows(self.into, first))
        sizes = layout.HoldSizes(worker.count, steps, source.shape[2], into.shape[2])
        given = (source.reshape(-1), into.reshape(-1), self.steps, self.which.reshape(-1))
        return calls.hold, (*given, np.array(sizes), np.array(rows))


@dataclass(frozen=True)
class Stage:
    """Operations that run one after another; step by step where their layers feed each other."""

    ops: tuple[Op, ...]
    loops: bool


def works(stages: tuple[Stage, ...], worker: Worker, steps: int) -> Iterator[calls.Call]:
    """Return what is to be called for a block of steps."""
    for stage in stages:
        for first in range(steps if stage.loops else 1):
            for op in stage.ops:
                yield from op.work(worker, first, 1 if stage.loops else steps).calls
