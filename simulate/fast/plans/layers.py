"""Layers of neurons that update once a step.

Programs of one state that fields say have a kernel of their own; a table runs all others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.network import Neuron
from lehr.nodes import Shape
from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.plans.bounds import Lanes, numbers, thresholds
from lehr.simulate.fast.plans.buffers import WORD, Buffer, aligned, flat_aligned, order_of
from lehr.simulate.fast.plans.ops import Array, Call, KernelOp, Worker
from lehr.simulate.fast.plans.rows import Printer
from lehr.simulate.fast.plans.usual import in_fields
from lehr.update import FIRED, MOST_SPIKES

CACHE = 24 << 10
"""Bytes of a block's registers: they and what flows past them stay in the first cache."""
LINE_BYTES = 64
"""Bytes of neurons that are computed together."""
PART = 16 << 10
"""Bytes of what neurons have that go through all steps before the next ones, likewise."""
SPIKES_AT_ONCE = 256
"""Neurons whose spikes are counted together, see `adders.add_spikes`."""


def spikes_type(neuron: Neuron) -> Any:
    """Return the holder of a layer's spikes: bits in words, or counts in bytes."""
    return np.uint8 if neuron.by_event or neuron.program.most_spikes > 1 else np.uint64


def by_neuron(neuron: Neuron, name: str, shape: Shape) -> Int64:
    """Return a parameter of every neuron, channels last."""
    return neuron.spread(name, shape).reshape(-1)[order_of(shape)]


@dataclass(frozen=True)
class Layer:
    """A layer that updates once a step, and its lanes."""

    name: str
    neuron: Neuron
    shape: Shape
    lanes: Lanes

    def updating(self, sums: Buffer, spikes: Buffer) -> tuple[KernelOp, int, int]:
        """Return the operation that updates it, and how many elements its states have.

        These are of those of all samples together, and of those of each.
        """
        fields = in_fields(self.neuron)
        if fields is not None and fields.synapse is None:
            return self._usual(fields, sums, spikes), 0, sums.row
        given = {
            name: by_neuron(self.neuron, name, self.shape)
            for name in self.neuron.program.parameters
        }
        printer = Printer(self.neuron.program, given, self.lanes.dtype, self.lanes.free)
        each = printer.places * np.dtype(self.lanes.dtype).itemsize
        block = min(sums.row, max(WORD, CACHE // each // WORD * WORD))
        update = Update(
            self.name, sums, spikes, printer, printer.filled(spikes.size, sums.row), block
        )
        blocks = -(-sums.row // block)
        return (
            update,
            printer.places * block + 4 * WORD,
            blocks * block * len(self.neuron.program.states),
        )

    def _usual(self, fields: Neuron, sums: Buffer, spikes: Buffer) -> Fire:
        dtype, row, size = self.lanes.dtype, sums.row, spikes.size
        lanes = LINE_BYTES // np.dtype(dtype).itemsize
        passed, taken = thresholds(
            fields, by_neuron(fields, "threshold", self.shape), self.lanes.held
        )
        own = np.zeros((3, row), dtype)
        own[0] = np.iinfo(dtype).max
        own[:, :size] = passed, taken, by_neuron(fields, "bias", self.shape)
        period, last = row, size // lanes * lanes
        repeats = row if fields.per_neuron else math.lcm(self.shape[0], lanes)
        if 2 * repeats <= row:
            own = np.concatenate((own[:, :repeats], own[:, last : last + lanes]), axis=1)
            period = last = repeats
        each = np.dtype(dtype).itemsize * (1 if period < row else 4)
        each += np.dtype(sums.dtype).itemsize if sums.held else 0
        block = max(lanes, PART // each // lanes * lanes)
        layer = aligned(own.size, dtype)[: own.size].reshape(own.shape)
        layer[:] = own
        sizes = layout.NeuronSizes(
            0, 0, row, 0, size, block, layer.shape[1], period=period, last=last
        )
        return Fire(self.name, sums, spikes, layer, numbers(fields, self.lanes), sizes)


@dataclass(eq=False)
class Fire(KernelOp):
    """A layer of neurons with one state, as fields say it, see `neurons.neurons`.

    Attributes:
        name: of the layer.
        current: its summed inputs.
        spikes: what it puts out.
        layer: what the neurons have.
        rule: to compute.
        shape: its sizes, whatever it runs.
    """

    name: str
    current: Buffer
    spikes: Buffer
    layer: Array
    rule: layout.UpdateRule
    shape: layout.NeuronSizes

    def sizes(self, worker: Worker, steps: int) -> Array:
        """Return layout.NeuronSizes of a run."""
        return np.array(
            self.shape._replace(
                samples=worker.count, steps=steps, totals=worker.each_sample(self.name)
            )
        )

    def every(self) -> Array:
        """Return what each neuron of a row has, `[3, neurons]` flat; beyond the last one, its."""
        s, lanes = self.shape, LINE_BYTES // self.layer.itemsize
        at, whole = np.minimum(np.arange(s.neurons), s.used - 1), s.used // lanes * lanes
        return flat_aligned(self.layer[:, np.where(at < whole, at % s.period, s.last + at - whole)])

    def given(self, worker: Worker) -> tuple[Array, ...]:
        """Return what `neurons.neurons` takes, from `state` to `spare`."""
        membranes = worker.membranes[self.name]
        return (
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
            self.layer.reshape(-1),
            np.array(self.rule._replace(kept=int(membranes.size > 0))),
            worker.totals[self.name].reshape(-1),
            worker.saturations[self.name],
            membranes.reshape(-1),
            worker.room(self, "spare", SPIKES_AT_ONCE, np.uint8),
        )

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        return calls.neurons, (
            worker.arrays[self.current].reshape(-1),
            *self.given(worker),
            self.sizes(worker, steps),
            np.array(
                (
                    *worker.rows(self.current, first),
                    *worker.rows(self.spikes, first),
                    first,
                    worker.steps,
                    1,
                )
            ),
        )


@dataclass(eq=False)
class Update(KernelOp):
    """A layer of neurons of any program that updates once a step, see `table.programs`."""

    name: str
    current: Buffer
    spikes: Buffer
    printer: Printer
    constants: Array
    block: int

    def call(self, worker: Worker, first: int, steps: int) -> Call:
        """Return the call."""
        spikes = worker.arrays[self.spikes].reshape(-1)
        return calls.programs, (
            worker.arrays[self.current].reshape(-1),
            worker.states[self.name].reshape(-1),
            self.constants.reshape(-1),
            spikes if self.spikes.bits else np.zeros(0, np.uint64),
            np.zeros(0, np.uint8) if self.spikes.bits else spikes,
            np.array(self.printer.rows).reshape(-1),
            worker.totals[self.name].reshape(-1),
            worker.saturations[self.name],
            worker.membranes[self.name].reshape(-1),
            worker.room(self, "most", 1, np.int64),
            np.array(self._sizes(worker, steps)),
            np.array(
                (
                    *worker.rows(self.current, first),
                    *worker.rows(self.spikes, first),
                    first,
                    worker.steps,
                    1,
                )
            ),
        )

    def _sizes(self, worker: Worker, steps: int) -> layout.TableSizes:
        program, places = self.printer.program, self.printer.registers
        return layout.TableSizes(
            worker.count,
            steps,
            neurons=self.constants.shape[1],
            used=self.spikes.size,
            block=self.block,
            kept=len(program.states),
            registers=len(places),
            constants=len(self.printer.constants),
            rows=len(self.printer.rows),
            totals=worker.each_sample(self.name),
            membrane=places[program.membrane],
            fired=places[FIRED],
            spikes=layout.NO_SPIKES
            if not program.most_spikes
            else layout.BITS
            if self.spikes.bits
            else layout.BYTES_OF_SPIKES,
        )

    def refuse(self, worker: Worker) -> None:
        """Refuse a neuron that fired more often in a step than a byte holds.

        Raises:
            NotMappable: naming the layer.
        """
        if not self.spikes.bits:
            refuse_more_spikes(self.name, worker.room(self, "most", 1, np.int64))


def refuse_more_spikes(name: str, most: Array) -> None:
    """Refuse that a neuron fired `most[0]` times in a step, if a byte does not hold it.

    It is forgotten then.

    Raises:
        NotMappable: naming the layer.
    """
    if (spikes := int(most[0])) > MOST_SPIKES:
        most[0] = 0
        raise NotMappable(
            f"{name}: a neuron fired {spikes} times in one step, more than {MOST_SPIKES}; raise "
            "its threshold"
        )
