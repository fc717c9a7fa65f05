"""The operations of layers that update by event."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
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
from lehr.simulate.fast.plans.ops import Array, Op, Work, Worker
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

    def work(self, worker: Worker, first: int, steps: int) -> Work:
        """Return what does it."""
        return partial(self._run, worker, first, steps)

    def _run(self, worker: Worker, first: int, steps: int) -> None:
        """Queue the events of all sources, then take them.

        Raises:
            NotMappable: when a neuron fires more often in a step than a byte holds.
        """
        room = sum(places.size for _, _, places in self.sources)
        queue, lengths = (
            np.empty(worker.count * steps * room * 2, np.int32),
            np.zeros(worker.count * steps, np.int64),
        )
        offset = 0
        for buffer, lag, places in self.sources:
            sizes = np.array(
                layout.QueueSizes(worker.count, steps, buffer.row, buffer.bits, offset, room)
            )
            values, rows = (
                worker.arrays[buffer].reshape(-1),
                np.array(worker.rows(buffer, first, lag)),
            )
            calls.queue_events(values, places, queue, lengths, sizes, rows)
            offset += places.size
        rows, most = (
            np.array((*worker.rows(self.spikes, first), first, worker.steps, 1)),
            np.zeros(1, np.int64),
        )
        self.take(worker, (queue, lengths, *self.synapses), steps, room, rows, most)
        refuse_more_spikes(self.name, most)

    @abstractmethod
    def take(
        self,
        worker: Worker,
        events: tuple[Array, ...],
        steps: int,
        room: int,
        rows: Array,
        most: Array,
    ) -> None:
        """Let the neurons take their events."""

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
        self,
        worker: Worker,
        events: tuple[Array, ...],
        steps: int,
        room: int,
        rows: Array,
        most: Array,
    ) -> None:
        """Let the neurons take their events."""
        states, spikes, size = (
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
            self.layer.shape[1],
        )
        sizes = np.array(
            layout.EventSizes(worker.count, steps, size, worker.each_sample(self.name), room)
        )
        layer, rule, fired = self.layer.reshape(-1), np.array(self.rule), np.empty(size, np.int64)
        calls.event_neurons(
            *events, states, spikes, layer, rule, *self.kept(worker), sizes, rows, fired, most
        )


@dataclass(eq=False)
class UpdateByEvent(ByEvent):
    """One of neurons of any program, see `event_table.event_programs`."""

    printer: Printer
    constants: Array

    def take(
        self,
        worker: Worker,
        events: tuple[Array, ...],
        steps: int,
        room: int,
        rows: Array,
        most: Array,
    ) -> None:
        """Let the neurons take their events."""
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
        calls.event_programs(
            *events,
            states,
            spikes,
            table,
            registers,
            *self.kept(worker),
            np.array(sizes),
            rows,
            most,
        )


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
