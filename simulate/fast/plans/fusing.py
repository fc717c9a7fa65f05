"""Operations that are one: what a layer of neurons hears is made where it is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.kernels.layout import LINE, TILE, WORD, scaled_positions
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.flows import CountColumns, LookUp
from lehr.simulate.fast.plans.layers import LINE_BYTES, Fire
from lehr.simulate.fast.plans.ops import Array, Call, KernelOp, Op, Stage, Worker


@dataclass(eq=False)
class CountedNeurons(KernelOp):
    """Neurons and the counted columns that they hear, see `counting.count_columns_of_neurons`.

    Attributes:
        columns: what they hear.
        neurons: the layer.
        every: what each neuron of a row has.
    """

    columns: CountColumns
    neurons: Fire
    every: Array

    @property
    def name(self) -> str:
        """The layer of neurons."""
        return self.neurons.name

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        heard, fire = self.columns, self.neurons
        lines, columns, words = heard.columns.shape
        flow = layout.FlowSizes(worker.count, steps, heard.source.row * WORD, LINE, fresh=1)
        sizes = layout.ColumnSizes(*flow, inputs=columns - 1, lines=lines, outputs=heard.outputs)
        listed = worker.steps * (heard.source.size + 8)
        rows = (
            *worker.rows(heard.source, first, heard.lag),
            *worker.rows(fire.spikes, first),
            *(first, worker.steps, 1),
        )
        return calls.count_columns_of_neurons, (
            worker.arrays[heard.source].reshape(-1),
            heard.columns.reshape(-1),
            worker.room(self, "sums", TILE * LINE, fire.current.dtype),
            *fire.given(worker),
            worker.room(self, "extremes", 4 * LINE_BYTES, fire.layer.dtype),
            self.every,
            worker.room(self, "counts", TILE * LINE, np.uint8),
            np.array(sizes),
            fire.sizes(worker, steps),
            np.array(rows),
            worker.room(self, "listed", listed, np.uint32),
            worker.room(self, "marks", 2 * worker.steps, np.int64),
            scaled_positions(words),
        )


@dataclass(eq=False)
class LookedUpNeurons(KernelOp):
    """Neurons and the convolution that they hear, see `fields.look_up_of_neurons`."""

    look: LookUp
    neurons: Fire

    @property
    def name(self) -> str:
        """The layer of neurons."""
        return self.neurons.name

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        look, fire = self.look, self.neurons
        whole = replace(fire, shape=fire.shape._replace(block=fire.shape.neurons))
        rows = (
            *worker.rows(look.source, first, look.lag),
            *worker.rows(fire.spikes, first),
            *(first, worker.steps, 1),
        )
        return calls.look_up_of_neurons, (
            worker.arrays[look.source].reshape(-1),
            look.tables,
            look.windows,
            *fire.given(worker),
            worker.room(self, "extremes", 4 * LINE_BYTES, fire.layer.dtype),
            np.array(look.shape),
            whole.sizes(worker, steps),
            np.array(rows),
            *look.scratch(worker),
            look.lanes,
        )


def fused(stages: Iterable[Stage], once: Iterable[Op]) -> tuple[tuple[Stage, ...], set[Buffer]]:
    """Return the same stages with operations that can be one, and the buffers that it saves.

    Neurons that hear counted columns, or one convolution that is looked up, and nothing else need
    no place for sums.
    """
    stages = tuple(stages)
    ops = [*once, *(op for stage in stages for op in stage.ops)]
    writers = Counter(into for op in ops if (into := getattr(op, "into", None)) is not None)
    alone = {
        op.into: op
        for stage in stages
        for op in stage.ops
        if isinstance(op, (CountColumns, LookUp)) and writers[op.into] == 1 and not op.into.delay
    }
    heard = {
        op.current
        for op in ops
        if isinstance(op, Fire) and op.current in alone and _shares(alone[op.current], op)
    }

    def one(op: Op) -> Op:
        if not isinstance(op, Fire) or op.current not in heard:
            return op
        only = alone[op.current]
        return (
            CountedNeurons(only, op, op.every())
            if isinstance(only, CountColumns)
            else (LookedUpNeurons(only, op))
        )

    return tuple(
        replace(
            stage, ops=tuple(one(op) for op in stage.ops if getattr(op, "into", 0) not in heard)
        )
        for stage in stages
    ), heard


def _shares(heard: CountColumns | LookUp, neurons: Fire) -> bool:
    """Return whether there is a kernel of both: none looks up for neurons of 64 bits."""
    return isinstance(heard, CountColumns) or neurons.layer.dtype != np.int64
