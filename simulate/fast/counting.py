"""Linear layers by counting bits.

`count_columns`, for many outputs and weights of +-1: the weights of one input are a column of bits, one for each output. The columns of
the inputs that spike are added by carry-save adders, 512 outputs at a time, into counters whose bits lie in seven vectors.

`count_matches`, for few outputs: the weights of one output are a row of bits for each of their digits; what a digit is worth times the
bits that a row has in common with the spikes, summed over digits. It costs the same whatever spikes.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.compiled import compiled, inlined
from lehr.simulate.fast.lanes import add, bits_set, both, either, filled, mul, nothing_of_bytes, resized, shift_left, spread, sub, xor
from lehr.simulate.fast.layout import LINE, OUTPUTS
from lehr.simulate.fast.strips import list_spikes
from lehr.simulate.fast.vector import data, load, load_like, load_line, load_mask, peek, poke, store

BATCH = 120
"""Columns that seven digits count: at most 127, in eights."""


@inlined
def _carry(a: Any, b: Any, c: Any) -> Any:
    """What a full adder carries: the majority of three bits."""
    differ = xor(a, b)
    return either(both(a, b), both(c, differ))


@inlined
def _column(columns: Any, events: Any, i: Any, width: Any, at: Any) -> Any:
    return load_line(columns, peek(events, i) * width + at)


@compiled
def count_columns(spikes: Any, columns: Any, into: Any, sizes: Any, rows: Any, listed: Any, marks: Any, spare: Any, table: Any) -> None:
    """Make of spikes what a linear layer with weights of +-1 makes of them.

    Args:
        spikes: bits, rows of words.
        columns: uint64 `[inputs + 1, words of outputs]`, a bit for each weight of +1; the last column is all zeros.
        into: the sums, rows of as many elements as `columns` has bits in a column.
        sizes: samples, steps, bits in a row of `spikes`, inputs, words in a column, elements in a row of `into`, whether to overwrite it.
        rows: of `spikes` and `into` each: the row of the first sample's first step, from sample to sample, from step to step.
        listed: uint32, room for the events of all steps, and 8 for each step.
        marks: int64 `[steps, 2]`.
        spare: uint64 `[7 * 8]`.
        table: layout.POSITIONS.
    """
    bits, matrix, sums, events, starts = data(spikes), data(columns), data(into), data(listed), data(marks)
    digits, positions = data(spare), data(table)
    none, width, steps, fresh = sizes[3], sizes[4], sizes[1], sizes[6] != 0
    for n in range(sizes[0]):
        k = 0
        for t in range(steps):
            first = k
            k = list_spikes(bits, (rows[0] + n * rows[1] + t * rows[2]) * sizes[2], none, 0, events, k, positions)
            poke(starts, 2 * t, first)
            poke(starts, 2 * t + 1, k)
            while k & 7 != 0:  # columns are counted in eights
                poke(events, k, none)
                k += 1
        for block in range(0, width, LINE // 64):
            for t in range(steps):
                at = (rows[3] + n * rows[4] + t * rows[5]) * sizes[5] + block * 64
                first, stop = peek(starts, 2 * t), peek(starts, 2 * t + 1)
                clear = fresh
                while clear or first < stop:
                    last = min(first + BATCH, stop)
                    _count(matrix, events, first, last, width, block, digits)
                    _unpack(sums, at, digits, last - first, clear)
                    clear, first = False, last


@inlined
def _count(matrix: Any, events: Any, start: Any, stop: Any, width: Any, block: Any, digits: Any) -> None:
    """Count, for each output of a line, the columns in which its bit is set."""
    d0 = d1 = d2 = d3 = d4 = d5 = d6 = spread(0, load_line(matrix, 0))
    i = start
    while i < stop:
        a, b = _column(matrix, events, i, width, block), _column(matrix, events, i + 1, width, block)
        first, d0 = _carry(d0, a, b), xor(xor(d0, a), b)
        a, b = _column(matrix, events, i + 2, width, block), _column(matrix, events, i + 3, width, block)
        second, d0 = _carry(d0, a, b), xor(xor(d0, a), b)
        third, d1 = _carry(d1, first, second), xor(xor(d1, first), second)
        a, b = _column(matrix, events, i + 4, width, block), _column(matrix, events, i + 5, width, block)
        first, d0 = _carry(d0, a, b), xor(xor(d0, a), b)
        a, b = _column(matrix, events, i + 6, width, block), _column(matrix, events, i + 7, width, block)
        second, d0 = _carry(d0, a, b), xor(xor(d0, a), b)
        fourth, d1 = _carry(d1, first, second), xor(xor(d1, first), second)
        carry, d2 = _carry(d2, third, fourth), xor(xor(d2, third), fourth)
        carry, d3 = both(d3, carry), xor(d3, carry)
        carry, d4 = both(d4, carry), xor(d4, carry)
        carry, d5 = both(d5, carry), xor(d5, carry)
        d6 = xor(d6, carry)
        i += 8
    store(digits, 0, d0)
    store(digits, 8, d1)
    store(digits, 16, d2)
    store(digits, 24, d3)
    store(digits, 32, d4)
    store(digits, 40, d5)
    store(digits, 48, d6)


@inlined
def _doubled(total: Any, digits: Any, k: Any, group: Any) -> Any:
    """Twice a number and its next digit."""
    return sub(add(total, total), filled(load_mask(digits, k * (LINE // 64) + group, total), total))


@inlined
def _unpack(sums: Any, at: Any, digits: Any, count: Any, fresh: Any) -> None:
    """Turn counts into sums: twice the columns with a weight of +1, less all columns."""
    for group in range(LINE // 64):
        place = at + group * 64
        total = nothing_of_bytes()
        if count >= 64:
            total = _doubled(total, digits, 6, group)
        if count >= 32:
            total = _doubled(total, digits, 5, group)
        total = _doubled(_doubled(total, digits, 4, group), digits, 3, group)
        total = _doubled(_doubled(_doubled(total, digits, 2, group), digits, 1, group), digits, 0, group)
        before = load_like(sums, place, total)
        twice = shift_left(resized(total, before), 1)
        store(sums, place, sub(twice, count) if fresh else add(sub(twice, count), before))


@compiled
def count_matches(spikes: Any, digits: Any, worth: Any, into: Any, sizes: Any, rows: Any, spare: Any) -> None:
    """Make of spikes what a linear layer with few outputs makes of them.

    Args:
        spikes: bits, rows of words.
        digits: uint64 `[digits, blocks of outputs, words, 16]`: for each digit of the weights a bit for each input.
        worth: int64 `[digits + 1]`, what a digit is worth; the last is what each spike adds to every output besides.
        into: the sums, rows of outputs and padding.
        sizes: samples, steps, words in a row of `spikes`, outputs, elements in a row of `into`, whether to overwrite what is there.
        rows: of `spikes` and `into` each: the row of the first sample's first step, from sample to sample, from step to step.
        spare: int64 `[16]`.
    """
    bits, matrix, sums, factor, buffer = data(spikes), data(digits), data(into), data(worth), data(spare)
    words, out, count, fresh = sizes[2], sizes[3], worth.size - 1, sizes[5] != 0
    blocks = (out + OUTPUTS - 1) // OUTPUTS
    for n in range(sizes[0]):
        at, target = (rows[0] + n * rows[1]) * words, (rows[3] + n * rows[4]) * sizes[4]
        for _ in range(sizes[1]):
            all_spikes = 0
            if peek(factor, count) != 0:
                for w in range(words):
                    all_spikes += bits_set(peek(bits, at + w))
            for block in range(blocks):
                total = spread(peek(factor, count) * all_spikes, load(matrix, 0, ()))
                for digit in range(count):
                    row = (digit * blocks + block) * words * OUTPUTS
                    matches = spread(0, total)
                    for w in range(words):
                        matches = add(matches, bits_set(both(load(matrix, row + w * OUTPUTS, ()), peek(bits, at + w))))
                    total = add(total, mul(matches, peek(factor, digit)))
                store(buffer, 0, total)
                for j in range(min(OUTPUTS, out - block * OUTPUTS)):
                    place = target + block * OUTPUTS + j
                    poke(sums, place, peek(buffer, j) + (0 if fresh else peek(sums, place)))
            at += rows[2] * words
            target += rows[5] * sizes[4]
