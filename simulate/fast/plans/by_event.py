"""The operations of layers that update by event."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Neuron
from lehr.nodes import Shape
from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.plans.bounds import Lanes, numbers, thresholds
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.layers import by_neuron, refuse_more_spikes
from lehr.simulate.fast.plans.ops import Array, Call, Op, Worker
from lehr.simulate.fast.plans.rows import Printer
from lehr.simulate.fast.plans.usual import in_fields
from lehr.update import FIRED

Sources = tuple[tuple[Buffer, int, Array], ...]
Synapses = tuple[Array, Array, Array]


@dataclass(eq=False)
class ByEvent(Op):
    """A layer of neurons that update by event.

    Attributes:
        name: of the layer.
        sources: in the order in which their events arrive: the buffer, how many steps late, and the
            places of its elements.
        spikes: how often each neuron fires.
        synapses: see `events.event_neurons`.
    """

    name: str
    sources: Sources
    spikes: Buffer
    synapses: Synapses

    @property
    def late(self) -> tuple[Buffer, ...]:
        """What it reads of the step before."""
        return tuple(buffer for buffer, lag, _ in self.sources if lag)

    def wanted(self, worker: Worker, first: int, steps: int) -> tuple[Call, ...]:
        """Return calls that queue the events of all sources, and one that takes them."""
        room = sum(places.size for _, _, places in self.sources)
        instants = worker.samples * worker.steps
        queue = worker.room(self, "queue", instants * room * 2, np.int32)
        lengths = worker.room(self, "lengths", instants, np.int64)
        sizes = layout.MoveSizes(1, 1, worker.count * steps)
        cleared = lengths.view(np.uint64), np.array(sizes), np.zeros(3, np.int64)
        wanted: list[Call] = [(calls.clear, cleared)]
        offset = 0
        for buffer, lag, places in self.sources:
            queued = layout.QueueSizes(worker.count, steps, buffer.row, buffer.bits, offset, room)
            values, rows = worker.arrays[buffer].reshape(-1), worker.rows(buffer, first, lag)
            given = (values, places, queue, lengths, np.array(queued), np.array(rows))
            wanted.append((calls.queue_events, given))
            offset += places.size
        into = np.array((*worker.rows(self.spikes, first), first, worker.steps, 1))
        return *wanted, self.take(worker, (queue, lengths, *self.synapses), steps, room, into)

    def refuse(self, worker: Worker) -> None:
        """Refuse a neuron that fired more often in a step than a byte holds.

        Raises:
            NotMappable: naming the layer.
        """
        refuse_more_spikes(self.name, worker.room(self, "most", 1, np.int64))

    @abstractmethod
    def take(
        self, worker: Worker, events: tuple[Array, ...], steps: int, room: int, rows: Array
    ) -> Call:
        """Return the call by which neurons take their events."""

    def kept(self, worker: Worker) -> tuple[Array, Array, Array]:
        """Return the counters."""
        return (
            worker.totals[self.name].reshape(-1),
            worker.saturations[self.name],
            worker.membranes[self.name].reshape(-1),
        )


@dataclass(eq=False)
class FireByEvent(ByEvent):
    """One of neurons that fields say, see `events.event_neurons`."""

    layer: Array
    rule: layout.UpdateRule

    def take(
        self, worker: Worker, events: tuple[Array, ...], steps: int, room: int, rows: Array
    ) -> Call:
        """Return the call by which neurons take their events."""
        most = worker.room(self, "most", 1, np.int64)
        states, spikes, size = (
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
            self.layer.shape[1],
        )
        sizes = np.array(
            layout.EventSizes(worker.count, steps, size, worker.each_sample(self.name), room)
        )
        fired = worker.room(self, "fired", size, np.int64)
        layer, rule, kept = self.layer.reshape(-1), np.array(self.rule), self.kept(worker)
        return calls.event_neurons, (
            *events, states, spikes, layer, rule, *kept, sizes, rows, fired, most,
        )  # fmt: skip


@dataclass(eq=False)
class UpdateByEvent(ByEvent):
    """One of neurons of any program, see `event_table.event_programs`."""

    printer: Printer
    constants: Array

    def take(
        self, worker: Worker, events: tuple[Array, ...], steps: int, room: int, rows: Array
    ) -> Call:
        """Return the call by which neurons take their events."""
        most = worker.room(self, "most", 1, np.int64)
        printer, row = self.printer, self.spikes.row
        places, program = printer.registers, printer.program
        registers = worker.room(self, "registers", printer.places * row, np.int64)
        registers[printer.first_constant * row :][: self.constants.size] = self.constants.reshape(
            -1
        )
        after = len(printer.rows) - printer.before - printer.body
        sizes = layout.TableSizes(
            worker.count,
            steps,
            neurons=row,
            used=self.spikes.size,
            block=row,
            kept=len(program.states),
            registers=len(places),
            constants=len(printer.constants),
            rows=printer.before,
            totals=worker.each_sample(self.name),
            membrane=places[program.membrane],
            fired=places[FIRED],
            spikes=layout.BYTES_OF_SPIKES,
            body=printer.body,
            after=after,
            room=room,
        )
        states, spikes = (
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
        )
        table = np.array(printer.rows).reshape(-1)
        given = (*events, states, spikes, table, registers, *self.kept(worker))
        return calls.event_programs, (*given, np.array(sizes), rows, most)


def by_event(
    name: str, neuron: Neuron, shape: Shape, sources: Sources, spikes: Buffer, synapses: Synapses
) -> tuple[ByEvent, int]:
    """Return the operation of a layer, and how many registers live from step to step."""
    fields = in_fields(neuron)
    if fields is not None:
        return FireByEvent(name, sources, spikes, synapses, *_numbers(fields, shape, spikes.row)), 1
    given = {
        parameter: by_neuron(neuron, parameter, shape) for parameter in neuron.program.parameters
    }
    printer = Printer(neuron.program, given, np.int64)
    return UpdateByEvent(
        name, sources, spikes, synapses, printer, printer.filled(spikes.size, spikes.row)
    ), len(neuron.program.states)


def _numbers(fields: Neuron, shape: Shape, row: int) -> tuple[Int64, Any]:
    held = -fields.fields.lowest
    passed, taken = thresholds(fields, by_neuron(fields, "threshold", shape), held)
    layer = np.zeros((3, row), np.int64)
    layer[0] = np.iinfo(np.int64).max
    layer[:, : passed.size] = passed, taken, by_neuron(fields, "bias", shape)
    return layer, numbers(fields, Lanes(np.int64, np.int64, held=held))
