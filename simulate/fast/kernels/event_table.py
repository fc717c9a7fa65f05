"""Layers of any program that update by event: one neuron at a time, in int64.

They run the operations of `operations`.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.events import quotient
from lehr.simulate.fast.kernels.layout import (
    ADD,
    ADD_TIMES,
    ADD_WHERE,
    CLIP,
    COPY,
    COUNT,
    DASH,
    LEAK,
    LEAK_EACH,
    LINEAR,
    LOAD,
    MODULO,
    PASS,
    PUT,
    REACH,
    SHIFT,
    SUB,
    SUB_TIMES,
    SUB_WHERE,
    TAKE,
    Row,
    Rows,
    TableSizes,
)
from lehr.simulate.fast.kernels.vector import data, peek, poke, read

FIELDS = len(Row._fields)


@compiled
def event_programs(
    queue: Any, lengths: Any, begin: Any, target: Any, weight: Any, states: Any, counts: Any,
    table: Any, registers: Any, totals: Any,
    saturations: Any, membranes: Any, sizes: Any, rows: Any, most: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons.

    Args:
        queue: of the events, from `events.queue_events`.
        lengths: of the queue of each step, from there too.
        begin: int64, of each source neuron where its synapses begin, and one more.
        target: int64, of each synapse.
        weight: int64, of each synapse.
        states: int64 `[samples, kept, neurons]`; changed.
        counts: uint8, rows of `[neurons]`: how often each fires.
        table: `[rows, see layout.Row]`: those before the loop, those of its body, those after it.
        registers: int64 `[registers and constants, neurons]`, which holds the constants.
        totals: as for `events.event_neurons`.
        saturations: likewise.
        membranes: likewise.
        sizes: layout.TableSizes.
        rows: layout.Rows of `counts` and `membranes` each.
        most: int64 `[1]`, the most times that a neuron fired in a step so far; changed.
    """
    s, into, where = read(TableSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    size, code, r, starts, places, weights = (
        s.neurons,
        data(table),
        data(registers),
        data(begin),
        data(target),
        data(weight),
    )
    entries, held, end = data(queue), data(states), s.rows + s.body + s.after
    for n in range(s.samples):
        lost, own = 0, n * s.kept * size
        for k in range(s.kept * size):
            poke(r, k, peek(held, own + k))
        for t in range(s.steps):
            for k in range(s.rows):
                lost += _everywhere(read(Row, code, k * FIELDS), r, size, s.used)
            for entry in range(lengths[n * s.steps + t]):
                at = 2 * ((n * s.steps + t) * s.room + entry)
                source = peek(entries, at)
                for _ in range(peek(entries, at + 1)):
                    for j in range(peek(starts, source), peek(starts, source + 1)):
                        for k in range(s.rows, s.rows + s.body):
                            lost += _done(
                                read(Row, code, k * FIELDS),
                                r,
                                size,
                                peek(places, j),
                                peek(weights, j),
                            )
            for k in range(s.rows + s.body, end):
                lost += _everywhere(read(Row, code, k * FIELDS), r, size, s.used)
            row, kept = (
                into.first + n * into.sample + t * into.step,
                where.first + n * where.sample + t * where.step,
            )
            for i in range(s.used):
                v, fired, total = (
                    peek(r, s.membrane * size + i),
                    peek(r, s.fired * size + i),
                    n * s.totals + i,
                )
                most[0] = max(most[0], fired)
                counts[row * size + i] = fired
                totals[total] += fired
                totals[total + size] = min(totals[total + size], v)
                totals[total + 2 * size] = max(totals[total + 2 * size], v)
                if membranes.size > 0:
                    membranes[kept * size + i] = v
        for k in range(s.kept * size):
            poke(held, own + k, peek(r, k))
        saturations[n] += lost


@inlined
def _everywhere(row: Any, r: Any, size: Any, used: Any) -> Any:
    """Do one operation on all neurons; how many values a bound changed."""
    lost = 0
    for i in range(used):
        lost += _done(row, r, size, i, 0)
    return lost


@inlined
def _done(row: Any, r: Any, size: Any, i: Any, weight: Any) -> Any:
    """Do one operation on one neuron; whether a bound changed a value."""
    op, at, v = row.op, row.x * size + i, peek(r, row.x * size + i)
    y, m = peek(r, row.y * size + i), peek(r, row.m * size + i)
    made = v
    if op in (CLIP, MODULO):
        made = min(max(v, y), m) if op == CLIP else ((v - row.low) & (row.high - row.low)) + row.low
        poke(r, at, made)
        return 1 if made != v else 0
    if op == TAKE:
        made = v + (weight << row.shift)
    elif op == LOAD:
        made = weight
    elif op in (LEAK, LEAK_EACH):
        factor, places = (row.factor, row.places) if op == LEAK else (y, m)
        part = quotient(v * factor, places, row.rounding)
        made = v - part if row.form == SHIFT else part
    elif op == DASH:
        part = v >> m
        made = v - (part if part != 0 else 1 if v > 0 else 0)
    elif op == LINEAR:
        made = v - min(max(v, -m), m)
    elif op in (ADD, SUB, ADD_WHERE, SUB_WHERE, ADD_TIMES, SUB_TIMES):
        term = y << row.shift
        if op not in (ADD, SUB):
            term *= m
        made = v + term if op in (ADD, ADD_WHERE, ADD_TIMES) else v - term
    elif op == COPY:
        made = y
    elif op == PUT:
        made = y if m != 0 else v
    elif op == PASS:
        made = 1 if y > m else 0
    elif op == REACH:
        made = 1 if y >= m else 0
    elif op == COUNT:
        made = 0
        while made < row.shift and y > peek(r, row.extra * size + i):
            y -= m
            made += 1
    poke(r, at, made)
    return 0
