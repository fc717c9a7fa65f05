"""Layers of one state in fields that update by event, exactly as `lehr.paths.arrivals` orders them.

The events of a step are queued, then taken one by one.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.layout import (
    FLOOR,
    FREE,
    KEEP,
    NEAREST_EVEN,
    SATURATE,
    SHIFT,
    SUBTRACT,
    ZERO,
    EventSizes,
    QueueSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.vector import data, peek, poke, read


@inlined
def quotient(product: Any, places: Any, rounding: Any) -> Any:
    """Return an integer divided by 2**places, rounded."""
    whole = product >> places
    rest = product - (whole << places)
    if rounding == NEAREST_EVEN:
        half = (1 << places) >> 1
        whole += 1 if places > 0 and (rest > half or (rest == half and whole & 1 == 1)) else 0
    elif rounding != FLOOR:
        whole += 1 if product < 0 and rest != 0 else 0
    return whole


@inlined
def _leaked(v: Any, p: Any) -> Any:
    if p.leak == KEEP:
        return v
    part = quotient(v * p.factor, p.places, p.rounding)
    return v - part if p.leak == SHIFT else part


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
        queue: int32 `[samples * steps, room, 2]`: the number of an event's source neuron, and how
            many events.
        lengths: int64 `[samples * steps]`, how many entries each queue has; changed.
        sizes: layout.QueueSizes.
        rows: layout.Rows of `values`.
    """
    source, where, entries = data(values), data(places), data(queue)
    s, flow = read(QueueSizes, sizes, 0), read(Rows, rows, 0)
    steps, bits, first, room = s.steps, s.bits != 0, s.first, s.room
    for n in range(s.samples):
        for t in range(steps):
            at, k = (flow.first + n * flow.sample + t * flow.step) * s.row, lengths[n * steps + t]
            for i in range(places.size):
                place = peek(where, i)
                count = (
                    peek(source, at + (place >> 6)) >> (place & 63) & 1
                    if bits
                    else peek(source, at + place)
                )
                if count != 0:
                    entry = 2 * ((n * steps + t) * room + k)
                    poke(entries, entry, first + i)
                    poke(entries, entry + 1, count)
                    k += 1
            lengths[n * steps + t] = k


@compiled
def event_neurons(
    queue: Any, lengths: Any, begin: Any, target: Any, weight: Any, state: Any, counts: Any,
    layer: Any, rule: Any, totals: Any,
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
        rule: to compute, likewise.
        totals: likewise.
        saturations: likewise.
        membranes: likewise.
        sizes: layout.EventSizes.
        rows: layout.Rows of `counts` and `membranes` each.
        fired: int64 `[neurons]`, room for how often each fires in a step.
        most: int64 `[1]`, the most times that a neuron fired in a step so far; changed.
    """
    p, s, into, where = (
        read(UpdateRule, rule, 0),
        read(EventSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    steps, size, total, room = s.steps, s.neurons, s.totals, s.room
    overflow, lowest, highest, fraction, reset = (
        p.overflow,
        p.lowest,
        p.highest,
        p.fraction,
        p.reset,
    )
    for n in range(s.samples):
        v, lost = state[n * size : (n + 1) * size], 0
        for t in range(steps):
            fired[:] = 0
            for i in range(size):
                free = _leaked(v[i], p) + layer[2 * size + i]
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
            row, kept = (
                (into.first + n * into.sample + t * into.step) * size,
                (where.first + n * where.sample + t * where.step) * size,
            )
            for i in range(size):
                most[0] = max(most[0], fired[i])
                counts[row + i] = fired[i]
                totals[n * total + i] += fired[i]
                totals[n * total + size + i] = min(totals[n * total + size + i], v[i])
                totals[n * total + 2 * size + i] = max(totals[n * total + 2 * size + i], v[i])
                if membranes.size > 0:
                    membranes[kept + i] = v[i]
        saturations[n] += lost
