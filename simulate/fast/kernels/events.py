"""Layers that update by event, exactly as `lehr.simulate.events` orders them: the events of a step are queued, then taken one by one."""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.layout import FLOOR, FREE, KEEP, NEAREST_EVEN, SATURATE, SHIFT, SUBTRACT, ZERO
from lehr.simulate.fast.kernels.vector import data, peek, poke


@inlined
def _leaked(v: Any, leak: Any, factor: Any, shift: Any, rounding: Any) -> Any:
    if leak == KEEP:
        return v
    product = v * factor
    whole = product >> shift
    rest = product - (whole << shift)
    if rounding == NEAREST_EVEN:
        half = (1 << shift) >> 1
        whole += 1 if shift > 0 and (rest > half or (rest == half and whole & 1 == 1)) else 0
    elif rounding != FLOOR:
        whole += 1 if product < 0 and rest != 0 else 0
    return v - whole if leak == SHIFT else whole


@inlined
def _bounded(v: Any, overflow: Any, lowest: Any, highest: Any) -> Any:
    if overflow == FREE:
        return v
    if overflow == SATURATE:
        return min(max(v, lowest), highest)
    return ((v - lowest) & (highest - lowest)) + lowest


@compiled
def queue_events(values: Any, places: Any, queue: Any, lengths: Any, sizes: Any, rows: Any) -> None:
    """Append what is not 0 in a source to the queue of each step, by ascending flat index.

    Args:
        values: rows of words of bits, or of counts.
        places: int32, for each flat index with the channels first its place in a row.
        queue: int32 `[samples * steps, room, 2]`: the number of an event's source neuron, and how many events.
        lengths: int64 `[samples * steps]`, how many entries each queue has; changed.
        sizes: samples, steps, elements in a row of `values`, whether they are bits, the number of the source's first neuron, room.
        rows: of `values`: the row of the first sample's first step, from sample to sample, from step to step.
    """
    source, where, entries = data(values), data(places), data(queue)
    steps, row, bits, first, room = sizes[1], sizes[2], sizes[3] != 0, sizes[4], sizes[5]
    for n in range(sizes[0]):
        for t in range(steps):
            at, k = (rows[0] + n * rows[1] + t * rows[2]) * row, lengths[n * steps + t]
            for i in range(places.size):
                place = peek(where, i)
                count = peek(source, at + (place >> 6)) >> (place & 63) & 1 if bits else peek(source, at + place)
                if count != 0:
                    entry = 2 * ((n * steps + t) * room + k)
                    poke(entries, entry, first + i)
                    poke(entries, entry + 1, count)
                    k += 1
            lengths[n * steps + t] = k


@compiled
def event_neurons(
    queue: Any, lengths: Any, begin: Any, target: Any, weight: Any, state: Any, counts: Any, layer: Any, how: Any, totals: Any,
    saturations: Any, membranes: Any, sizes: Any, rows: Any, fired: Any, most: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons that update by event.

    Args:
        queue: of the events, from `queue_events`.
        lengths: of the queue of each step, from there too.
        begin: int64, of each source neuron where its synapses begin, and one more.
        target: int64, of each synapse.
        weight: int64, of each synapse.
        state: int64 membranes `[samples, neurons]`; changed.
        counts: uint8, rows of `[neurons]`: how often each fires.
        layer: what the neurons have, as for `neurons.neurons`.
        how: to compute, likewise.
        totals: likewise.
        saturations: likewise.
        membranes: likewise.
        sizes: samples, steps, neurons, elements from sample to sample in `totals`, room in a queue.
        rows: of `counts` and `membranes` each: the row of the first sample's first step, from sample to sample, from step to step.
        fired: int64 `[neurons]`, room for how often each fires in a step.
        most: int64 `[1]`, the most times that a neuron fired in a step so far; changed.
    """
    steps, size, total, room = sizes[1], sizes[2], sizes[3], sizes[4]
    leak, factor, shift, rounding, overflow, lowest, highest, fraction, reset = (
        how[0], how[1], how[2], how[3], how[4], how[5], how[6], how[7], how[8],
    )  # fmt: skip
    for n in range(sizes[0]):
        v, lost = state[n * size : (n + 1) * size], 0
        for t in range(steps):
            fired[:] = 0
            for i in range(size):
                free = _leaked(v[i], leak, factor, shift, rounding) + layer[2 * size + i]
                v[i] = _bounded(free, overflow, lowest, highest)
                lost += v[i] != free
            for entry in range(lengths[n * steps + t]):
                at = 2 * ((n * steps + t) * room + entry)
                for _ in range(queue[at + 1]):
                    for j in range(begin[queue[at]], begin[queue[at] + 1]):
                        i = target[j]
                        free = v[i] + (weight[j] << fraction)
                        v[i] = _bounded(free, overflow, lowest, highest)
                        lost += v[i] != free
                        if v[i] > layer[i]:
                            fired[i] += 1
                            if reset == SUBTRACT:
                                v[i] -= layer[size + i]
                            elif reset == ZERO:
                                v[i] = 0
            row, kept = (rows[0] + n * rows[1] + t * rows[2]) * size, (rows[3] + n * rows[4] + t * rows[5]) * size
            for i in range(size):
                most[0] = max(most[0], fired[i])
                counts[row + i] = fired[i]
                totals[n * total + i] += fired[i]
                totals[n * total + size + i] = min(totals[n * total + size + i], v[i])
                totals[n * total + 2 * size + i] = max(totals[n * total + 2 * size + i], v[i])
                if membranes.size > 0:
                    membranes[kept + i] = v[i]
        saturations[n] += lost
