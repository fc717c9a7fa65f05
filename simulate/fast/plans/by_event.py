"""The operation of layers that update by event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.errors import NotMappable
from lehr.simulate.fast import calls
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.ops import Array, Op, Worker
from lehr.update import MOST_SPIKES


@dataclass(eq=False)
class FireByEvent(Op):
    """A layer of neurons that update by event.

    Attributes:
        name: of the layer.
        sources: in the order in which their events arrive: the buffer, how many steps late, and the places of its elements.
        spikes: how often each neuron fires.
        synapses, layer, how: see `events.event_neurons`.
    """

    name: str
    sources: tuple[tuple[Buffer, int, Array], ...]
    spikes: Buffer
    synapses: tuple[Array, Array, Array]
    layer: Array
    how: Array

    def run(self, worker: Worker, first: int, steps: int) -> None:
        """Queue the events of all sources, then take them."""
        room = sum(places.size for _, _, places in self.sources)
        queue, lengths = np.empty(worker.count * steps * room * 2, np.int32), np.zeros(worker.count * steps, np.int64)
        offset = 0
        for buffer, lag, places in self.sources:
            sizes = np.array((worker.count, steps, buffer.row, buffer.bits, offset, room))
            calls.queue_events(worker.arrays[buffer].reshape(-1), places, queue, lengths, sizes, np.array(worker.rows(buffer, first, lag)))
            offset += places.size
        most = np.zeros(1, np.int64)
        calls.event_neurons(
            queue,
            lengths,
            *self.synapses,
            worker.states[self.name].reshape(-1),
            worker.arrays[self.spikes].reshape(-1),
            self.layer.reshape(-1),
            self.how,
            worker.totals[self.name].reshape(-1),
            worker.saturations[self.name],
            worker.membranes[self.name].reshape(-1),
            np.array((worker.count, steps, self.layer.shape[1], worker.each_sample(self.name), room)),
            np.array((*worker.rows(self.spikes, first), first, worker.steps, 1)),
            np.empty(self.layer.shape[1], np.int64),
            most,
        )
        if most[0] > MOST_SPIKES:
            raise NotMappable(f"{self.name}: a neuron fired {most[0]} times in one step, more than {MOST_SPIKES}; raise its threshold")
