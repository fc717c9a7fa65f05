"""The operations that add what flows along an edge of the network, one kernel each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels import field_sizes, layout
from lehr.simulate.fast.kernels.field_sizes import FIELDS, READING
from lehr.simulate.fast.kernels.layout import scaled_positions
from lehr.simulate.fast.plans.buffers import WORD, Buffer
from lehr.simulate.fast.plans.ops import Array, Call, KernelOp, Worker

NONE = np.zeros(0, np.int32)


@dataclass(eq=False)
class Edge(KernelOp):
    """Flow from one buffer into another."""

    source: Buffer
    into: Buffer
    lag: int

    @property
    def late(self) -> tuple[Buffer, ...]:
        """What it reads of the step before."""
        return (self.source,) if self.lag else ()

    def sizes(self, worker: Worker, first: int, steps: int) -> tuple[int, int, Array]:
        """Return samples, steps, and the rows of both buffers for a kernel."""
        rows = (
            *worker.rows(self.source, first, self.lag),
            *worker.rows(self.into, first, -self.into.delay),
        )
        return worker.count, 1 if self.into.held else steps, np.array(rows)


@dataclass(eq=False)
class Gather(Edge):
    """A convolution or a linear layer on spikes, see `strips.gather`."""

    weights: Array
    shape: layout.Window
    listed: int
    lanes: tuple[int, ...]
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        return calls.gather, (
            worker.arrays[self.source].reshape(-1),
            self.weights,
            worker.arrays[self.into].reshape(-1),
            np.array(self.shape),
            np.array(
                layout.FlowSizes(samples, steps, self.source.row * WORD, self.into.row, self.fresh)
            ),
            rows,
            worker.room(self, "listed", self.listed, np.uint32),
            worker.room(self, "marks", self.shape.height + 1, np.int64),
            worker.room(self, "spare", WORD, self.into.dtype),
            self.lanes,
            scaled_positions(16 << len(self.lanes)),
        )


@dataclass(eq=False)
class AddCells(Edge):
    """A convolution on spikes, see `cells.cells`."""

    weights: Array
    shape: layout.Cells
    places: Array
    lanes: tuple[int, ...]
    columns: tuple[int, ...]
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        w = self.shape
        return calls.cells, (
            worker.arrays[self.source].reshape(-1),
            self.weights,
            worker.arrays[self.into].reshape(-1),
            np.array(w),
            np.array(
                layout.FlowSizes(samples, steps, self.source.row * WORD, self.into.row, self.fresh)
            ),
            rows,
            self.places,
            worker.room(self, "words", w.batch * w.cells_high * w.words * w.cells_wide, np.uint64),
            self.lanes,
            self.columns,
        )


@dataclass(eq=False)
class LookUp(Edge):
    """A convolution with few inputs on spikes, see `fields.look_up`."""

    tables: Array
    windows: Array
    shape: field_sizes.Fields
    marks: int
    lanes: tuple[int, ...]
    few: field_sizes.Runs
    places: Array
    runs: Array
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        return calls.look_up, (
            worker.arrays[self.source].reshape(-1),
            self.tables,
            self.windows,
            worker.arrays[self.into].reshape(-1),
            np.array(self.shape),
            np.array(
                layout.FlowSizes(samples, steps, self.source.row * WORD, self.into.row, self.fresh)
            ),
            rows,
            *self.scratch(worker),
            self.lanes,
        )

    def scratch(self, worker: Worker) -> tuple[Array, ...]:
        """Return from `shifts` to `events` what a kernel takes."""
        w, r, place = self.shape, self.few, np.arange(FIELDS)
        shifts = np.minimum(place * w.step, READING - 1)
        masks = np.where(place < w.at_once, (1 << w.part) - 1, 0)
        return (
            np.concatenate((shifts, masks)).astype(np.uint32),
            worker.room(self, "marks", self.marks, np.uint32),
            worker.room(self, "clean", w.field_height * w.words, np.uint64),
            worker.room(self, "sums", r.margin + self.into.row + w.spare + r.length, np.int16),
            np.array(r),
            self.places,
            self.runs,
            worker.room(self, "events", self.source.row * WORD, np.uint32),
        )


@dataclass(eq=False)
class CountColumns(Edge):
    """A linear layer with many outputs and weights of +-1, see `counting.count_columns`."""

    columns: Array
    outputs: int
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        lines, columns, words = self.columns.shape
        flow = layout.FlowSizes(samples, steps, self.source.row * WORD, self.into.row, self.fresh)
        sizes = layout.ColumnSizes(*flow, inputs=columns - 1, lines=lines, outputs=self.outputs)
        return calls.count_columns, (
            worker.arrays[self.source].reshape(-1),
            self.columns.reshape(-1),
            worker.arrays[self.into].reshape(-1),
            np.array(sizes),
            rows,
            worker.room(self, "listed", worker.steps * (self.source.size + 8), np.uint32),
            worker.room(self, "marks", 2 * worker.steps, np.int64),
            scaled_positions(words),
        )


@dataclass(eq=False)
class CountMatches(Edge):
    """A linear layer with few outputs, see `matches.count_matches`."""

    digits: Array
    worth: Array
    each: Array
    read: int
    adders: bool
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        return calls.count_matches, (
            worker.arrays[self.source].reshape(-1),
            self.digits,
            self.worth,
            self.each,
            worker.arrays[self.into].reshape(-1),
            np.array(
                layout.MatchSizes(
                    samples,
                    steps,
                    self.source.row,
                    self.into.row,
                    self.fresh,
                    self.read,
                    self.adders,
                )
            ),
            rows,
        )


@dataclass(eq=False)
class Multiply(Edge):
    """A convolution on bytes, see `products.multiply`."""

    weights: Array
    shape: layout.Window
    lanes: tuple[int, ...]
    fresh: bool = False

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        w, s = self.shape, layout.FlowSizes
        padded = (w.height + 2 * w.pad_y) * (w.width + 2 * w.pad_x) * w.channels
        return calls.multiply, (
            worker.arrays[self.source].reshape(-1),
            self.weights,
            worker.arrays[self.into].reshape(-1),
            np.array(w),
            np.array(s(samples, steps, self.source.row, self.into.row, self.fresh)),
            rows,
            worker.room(self, "padded", padded, np.int16),
            worker.room(self, "spare", WORD, self.into.dtype),
            self.lanes,
        )


OVERWRITING = (Gather, AddCells, Multiply, LookUp, CountColumns, CountMatches)
"""Operations that can begin sums, with no need to clear them first."""


@dataclass(eq=False)
class Scatter(Edge):
    """Any convolution, pooling or linear layer on anything, see `scatter.scatter`."""

    weights: Array
    places: Array
    shape: layout.Reached

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sizes = np.array(
            layout.ScatterSizes(samples, steps, self.source.row, self.source.size, self.into.row)
        )
        kernel = calls.scatter_bits if self.source.bits else calls.scatter
        source, into = worker.arrays[self.source].reshape(-1), worker.arrays[self.into].reshape(-1)
        return kernel, (source, self.weights, self.places, into, np.array(self.shape), sizes, rows)


@dataclass(eq=False)
class Maxima(Edge):
    """The greatest of each window, see `maxima.maxima`."""

    ends: Array
    taps: Array

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        channels, *out = self.into.shape
        sizes = layout.MaximumSizes(
            samples, steps, self.source.row, self.into.row, math.prod(out), channels
        )
        kernel = calls.maxima_of_bits if self.source.bits else calls.maxima
        return kernel, (
            worker.arrays[self.source].reshape(-1),
            self.ends,
            self.taps,
            worker.arrays[self.into].reshape(-1),
            np.array(sizes),
            rows,
        )


@dataclass(eq=False)
class Repeat(Edge):
    """Spikes, each in several places, see `scatter.repeat_bits`."""

    places: Array

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sizes = np.array(
            layout.ScatterSizes(samples, steps, self.source.row, self.source.size, self.into.row)
        )
        return calls.repeat_bits, (
            worker.arrays[self.source].reshape(-1),
            self.places,
            worker.arrays[self.into].reshape(-1),
            sizes,
            rows,
        )


@dataclass(eq=False)
class Copy(Edge):
    """The values themselves, in another order where there is one."""

    order: Array = field(default_factory=lambda: NONE)

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        samples, steps, rows = self.sizes(worker, first, steps)
        sizes = np.array(
            layout.ScatterSizes(samples, steps, self.source.row, self.source.size, self.into.row)
        )
        kernel = calls.copy_bits if self.source.bits else calls.copy
        return kernel, (
            worker.arrays[self.source].reshape(-1),
            self.order,
            worker.arrays[self.into].reshape(-1),
            sizes,
            rows,
        )
