"""The operations that a plan is made of: each calls one kernel on the buffers of a worker, for some steps of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast import kernels
from lehr.simulate.fast.buffers import SPARE, WORD, Buffer, aligned
from lehr.simulate.fast.layout import LINE, OUTPUTS, POSITIONS

Array = npt.NDArray[Any]
NONE = np.zeros(0, np.int32)


@dataclass(eq=False)
class Worker:
    """What one thread computes with: room for `samples` samples and a block of `steps` steps.

    Attributes:
        arrays: by buffer.
        states, currents: membranes and synapse states by layer.
        totals: int32 `[samples, 3, neurons]` by layer: spikes, lowest and highest membrane so far.
        saturations: int64 `[samples]` by layer.
        membranes: int32 `[samples, steps, neurons]` of the layers whose membranes are kept; of no size for the others.
        count: how many samples there are at present.
    """

    samples: int
    steps: int
    arrays: dict[Buffer, Array] = field(default_factory=dict)
    states: dict[str, Array] = field(default_factory=dict)
    currents: dict[str, Array] = field(default_factory=dict)
    totals: dict[str, Array] = field(default_factory=dict)
    saturations: dict[str, Array] = field(default_factory=dict)
    membranes: dict[str, Array] = field(default_factory=dict)
    count: int = 0

    def rows(self, buffer: Buffer, first: int, lag: int = 0) -> tuple[int, int, int]:
        """The row of step `first` of the block, rows from sample to sample, and from step to step; `lag` steps earlier."""
        if buffer.held:
            return 0, 1, 0
        return min(buffer.past, 1) + first - lag, buffer.slots(self.steps), 1


class Op(ABC):
    """An operation."""

    @abstractmethod
    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it for `steps` steps of the block, from step `first` on."""


@dataclass(eq=False)
class Clear(Op):
    """Set sums to zero before anything is added."""

    into: Buffer

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        start, _, step = worker.rows(self.into, first, -self.into.delay)
        worker.arrays[self.into][: worker.count, start : start + (steps if step else 1)] = 0


@dataclass(eq=False)
class Edge(Op):
    """What flows from one buffer into another."""

    source: Buffer
    into: Buffer
    lag: int

    def sizes(self, worker: Worker, first: int, steps: int) -> tuple[int, int, Array]:
        """Samples, steps, and the rows of both buffers for a kernel."""
        rows = (*worker.rows(self.source, first, self.lag), *worker.rows(self.into, first, -self.into.delay))
        return worker.count, 1 if self.into.held else steps, np.array(rows)


@dataclass(eq=False)
class Gather(Edge):
    """A convolution or a linear layer on spikes, see `strips.gather`."""

    weights: Array
    shape: Array
    columns: Array
    lanes: tuple[int, ...]
    fresh: bool = False

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        samples, steps, rows = self.sizes(worker, first, steps)
        channels, height, kernel_width, out_width = (int(self.shape[i]) for i in (0, 1, 7, 5))
        lists = out_width if self.columns.size else 1
        kernels.gather(
            worker.arrays[self.source].reshape(-1),
            self.weights,
            worker.arrays[self.into].reshape(-1),
            self.shape,
            np.array((samples, steps, self.source.row * WORD, self.into.row, self.fresh)),
            rows,
            self.columns,
            np.empty(lists * height * kernel_width * channels + SPARE, np.uint32),
            np.empty(lists * (height + 1), np.int64),
            np.empty(WORD, self.into.dtype),
            self.lanes,
            POSITIONS,
        )


@dataclass(eq=False)
class CountColumns(Edge):
    """A linear layer with many outputs and weights of +-1, see `counting.count_columns`."""

    columns: Array
    outputs: int
    fresh: bool = False

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sums = worker.arrays[self.into]
        kernels.count_columns(
            worker.arrays[self.source].reshape(-1),
            self.columns.reshape(-1),
            sums.reshape(-1),
            np.array((samples, steps, self.source.row * WORD, len(self.columns) - 1, self.columns.shape[1], self.into.row, self.fresh)),
            rows,
            np.empty(steps * (self.source.size + 8) + SPARE, np.uint32),
            np.empty(2 * steps, np.int64),
            aligned(7 * LINE // WORD, np.uint64),
            POSITIONS,
        )
        if self.outputs < self.into.row:
            sums[:samples, :, self.outputs :] = 0  # outputs that are there to fill a line


@dataclass(eq=False)
class CountMatches(Edge):
    """A linear layer with few outputs, see `counting.count_matches`."""

    digits: Array
    worth: Array
    outputs: int
    fresh: bool = False

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        samples, steps, rows = self.sizes(worker, first, steps)
        kernels.count_matches(
            worker.arrays[self.source].reshape(-1),
            self.digits,
            self.worth,
            worker.arrays[self.into].reshape(-1),
            np.array((samples, steps, self.source.row, self.outputs, self.into.row, self.fresh)),
            rows,
            np.empty(OUTPUTS, np.int64),
        )


@dataclass(eq=False)
class Scatter(Edge):
    """Any convolution, pooling or linear layer on anything, see `scatter.scatter`."""

    weights: Array
    places: Array
    shape: Array

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sizes = np.array((samples, steps, self.source.row, self.source.size, self.into.row))
        kernel = kernels.scatter_bits if self.source.bits else kernels.scatter
        source, into = worker.arrays[self.source].reshape(-1), worker.arrays[self.into].reshape(-1)
        kernel(source, self.weights, self.places, into, self.shape, sizes, rows)


@dataclass(eq=False)
class Copy(Edge):
    """The values themselves, in another order where there is one."""

    order: Array = field(default_factory=lambda: NONE)

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sizes = np.array((samples, steps, self.source.row, self.source.size, self.into.row))
        kernel = kernels.copy_bits if self.source.bits else kernels.copy
        kernel(worker.arrays[self.source].reshape(-1), self.order, worker.arrays[self.into].reshape(-1), sizes, rows)


@dataclass(eq=False)
class Hold(Edge):
    """Spikes as they are, for a delay."""

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        start, _, step = worker.rows(self.source, first, self.lag)
        into, _, _ = worker.rows(self.into, first, -self.into.delay)
        found = worker.arrays[self.source][: worker.count, start : start + (steps if step else 1)]
        worker.arrays[self.into][: worker.count, into : into + steps] = found


@dataclass(eq=False)
class Fire(Op):
    """A layer of neurons, see `neurons.neurons`."""

    name: str
    current: Buffer
    spikes: Buffer
    layer: Array
    how: Array

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        membranes = worker.membranes[self.name]
        rows = (*worker.rows(self.current, first), *worker.rows(self.spikes, first), first, worker.steps, 1)
        kernels.neurons(
            worker.arrays[self.current].reshape(-1),
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
            self.layer.reshape(-1),
            self.how,
            worker.totals[self.name].reshape(-1),
            worker.saturations[self.name],
            membranes.reshape(-1),
            np.array((worker.count, steps, self.layer.shape[1])),
            np.array(rows),
        )


@dataclass(eq=False)
class Leak(Op):
    """The synapse states of a layer, see `neurons.currents`."""

    name: str
    drive: Buffer
    made: Buffer
    bias: Array
    how: Array

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Do it."""
        kernels.currents(
            worker.arrays[self.drive].reshape(-1),
            worker.currents[self.name].reshape(-1),
            worker.arrays[self.made].reshape(-1),
            self.bias,
            self.how,
            worker.saturations[self.name],
            np.array((worker.count, steps, self.bias.size)),
            np.array((*worker.rows(self.drive, first), *worker.rows(self.made, first))),
        )


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
