"""Layers of neurons of any program: a table of operations, each a loop over a block of neurons.

The registers of a block stay in the first cache.

A block goes through all steps before the next one, so that only inputs and spikes come from and go
to memory. Registers hold integers as they are, whether a neuron fired as 0 or 1, in lanes of which
the planner has proven that nothing leaves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    greater,
    greatest,
    lanes_of,
    less,
    resized,
    select,
    sub,
    unequal,
    xor,
)
from lehr.simulate.fast.kernels.layout import BITS, SPECIAL, WORD, Row, Rows, TableSizes
from lehr.simulate.fast.kernels.neurons import add_extremes
from lehr.simulate.fast.kernels.operations import address, done
from lehr.simulate.fast.kernels.vector import (
    data,
    load_like,
    load_line,
    peek,
    poke,
    read,
    store,
    store_mask,
)

FIELDS = len(Row._fields)


@compiled
def programs(
    current: Any, states: Any, constants: Any, bits: Any, counts: Any, table: Any, totals: Any,
    saturations: Any, membranes: Any,
    most: Any, sizes: Any, rows: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons.

    Args:
        current: summed inputs, rows of `[neurons]`.
        states: in lanes' type; changed. Behind room for the registers, SPECIAL ones and constants
            of a block, and four lines, there are the registers that live from step to step,
            `[samples, blocks, kept, block]`.
        constants: `[constants, neurons]`, in lanes' type.
        bits: spikes, rows of `[words]`, or empty.
        counts: uint8, rows of `[neurons]`, or empty.
        table: `[rows]`, see layout.Row.
        totals: as for `neurons.neurons`.
        saturations: likewise.
        membranes: likewise.
        most: int64 `[1]`, the most spikes of a neuron in a step so far; changed.
        sizes: layout.TableSizes.
        rows: layout.Rows of `current`, of the spikes and of `membranes`.
    """
    s, source, into, kept = (
        read(TableSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
        read(Rows, rows, 6),
    )
    inputs, given, words, numbers, code = (
        data(current),
        data(constants),
        data(bits),
        data(counts),
        data(table),
    )
    all_totals, traced, r, keeps = data(totals), data(membranes), data(states), membranes.size > 0
    special, lanes = s.registers * s.block, lanes_of(load_line(r, 0))
    first_constant, most_of_all = special + SPECIAL * s.block, special + s.block
    extremes, zero = first_constant + s.constants * s.block, sub(load_line(r, 0), load_line(r, 0))
    first = extremes + 4 * WORD
    each = (s.neurons + s.block - 1) // s.block * s.block * s.kept
    at = np.int64(0)
    while at < s.neurons:
        count = min(s.block, s.neurons - at)
        used = s.used - at
        whole = min(count, max(used, 0)) // lanes * lanes
        for k in range(s.constants):
            _copy(given, k * s.neurons + at, r, first_constant + k * s.block, count)
        for n in range(s.samples):
            own = first + n * each + at * s.kept
            membrane, fired = (
                address(s.membrane, s.kept, s.block, own),
                address(s.fired, s.kept, s.block, own),
            )
            for j in range(0, count, lanes):
                store(r, special + j, zero)
                if s.spikes > BITS:
                    store(r, most_of_all + j, zero)
            for line in range(0, 4 * lanes, 2 * lanes):
                store(r, extremes + line, greatest(zero))
                store(r, extremes + line + lanes, xor(greatest(zero), -1))
            lost = np.int64(0)
            here, there, where = (
                source.first + n * source.sample,
                into.first + n * into.sample,
                kept.first + n * kept.sample,
            )
            for _ in range(s.steps):
                for k in range(s.rows):
                    lost += done(
                        read(Row, code, k * FIELDS),
                        r,
                        s.kept,
                        s.block,
                        own,
                        count,
                        used,
                        inputs,
                        here * s.neurons + at,
                    )
                _reach(r, membrane, extremes, whole)
                if whole < count:
                    _reach(r, membrane + whole, extremes + 2 * lanes, lanes)
                _put_out(r, s, fired, count, words, numbers, there * s.neurons + at, special)
                if keeps:
                    _copy(r, membrane, traced, where * s.neurons + at, count)
                if s.spikes == BITS and used < count:
                    _clear(words, there * s.neurons + s.used, (there + 1) * s.neurons)
                here += source.step
                there += into.step
                where += kept.step
            saturations[n] += lost
            low, high = load_line(r, extremes), load_line(r, extremes + lanes)
            for j in range(0, count, lanes):
                if j == whole:  # in which there is padding
                    low, high = (
                        load_line(r, extremes + 2 * lanes),
                        load_line(r, extremes + 3 * lanes),
                    )
                place, count_of = n * s.totals + at + j, load_line(r, special + j)
                before = load_like(all_totals, place, count_of)
                store(all_totals, place, add(before, resized(count_of, before)))
                add_extremes(all_totals, place, s.neurons, low, high)
            if s.spikes > BITS:
                for j in range(min(count, used)):
                    most[0] = max(most[0], peek(r, most_of_all + j))
        at += s.block


@inlined
def _copy(source: Any, at: Any, into: Any, there: Any, count: Any) -> None:
    """Copy integers, which are cut or made wider where the types differ."""
    like = load_line(source, at)
    for j in range(0, count, lanes_of(like)):
        store(into, there + j, load_line(source, at + j))


@inlined
def _clear(words: Any, bit: Any, end: Any) -> None:
    """Set the bits of padding to 0: what reads spikes takes whole words."""
    poke(words, bit >> 6, peek(words, bit >> 6) & ((1 << (bit & 63)) - 1))
    for word in range((bit >> 6) + 1, end >> 6):
        poke(words, word, 0)


@inlined
def _reach(r: Any, membrane: Any, extremes: Any, count: Any) -> None:
    """Take the membranes of some lines into the lowest and highest of each lane."""
    lanes = lanes_of(load_line(r, membrane))
    low, high = load_line(r, extremes), load_line(r, extremes + lanes)
    for j in range(0, count, lanes):
        v = load_line(r, membrane + j)
        low, high = select(less(v, low), v, low), select(greater(v, high), v, high)
    store(r, extremes, low)
    store(r, extremes + lanes, high)


@inlined
def _put_out(
    r: Any, s: Any, fired: Any, count: Any, words: Any, numbers: Any, there: Any, special: Any
) -> None:
    """Put out the spikes of a step, and count them."""
    lanes = lanes_of(load_line(r, 0))
    if s.spikes == BITS:
        for j in range(0, count, lanes):
            spikes = load_line(r, fired + j)
            store(r, special + j, add(load_line(r, special + j), spikes))
            store_mask(words, (there + j) // lanes, unequal(spikes, 0))
    elif s.spikes > BITS:
        for j in range(0, count, lanes):
            spikes, high = load_line(r, fired + j), load_line(r, special + s.block + j)
            store(r, special + j, add(load_line(r, special + j), spikes))
            store(r, special + s.block + j, select(greater(spikes, high), spikes, high))
            store(numbers, there + j, spikes)
