"""Linear layers by counting bits.

`count_columns`, for many outputs and weights of +-1: the weights of one input are a column of bits,
one for each output. The columns of the inputs that spike are added by carry-save adders, 256
outputs at a time, see `adders`: within a line bit `b` of byte `j` is output `32 * b + j`.

`count_matches`, for few outputs: the weights of one output are a row of bits for each of their
digits; what a digit is worth times the bits that a row has in common with the spikes, summed over
digits. It costs the same whatever spikes.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.adders import BATCH, eight_more, none_yet, transposed
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    as_bytes,
    bits_set,
    both,
    mul,
    no_words,
    spread,
    sub,
    unsigned,
)
from lehr.simulate.fast.kernels.layout import LINE, OUTPUTS, ColumnSizes, MatchSizes, Rows
from lehr.simulate.fast.kernels.strips import list_spikes
from lehr.simulate.fast.kernels.vector import beyond, data, load_like, peek, poke, read, store


@inlined
def _column(columns: Any, events: Any, i: Any) -> Any:
    return load_like(columns, peek(events, i), no_words())


@compiled
def count_columns(
    spikes: Any, columns: Any, into: Any, sizes: Any, rows: Any, listed: Any, marks: Any, table: Any
) -> None:
    """Make of spikes what a linear layer with weights of +-1 makes of them.

    Args:
        spikes: bits, rows of words.
        columns: uint64 `[lines, inputs + 1, 4]`, a bit for each weight of +1, in the order of a
            line; the last column is all zeros. So that those of one line stay in the first cache.
        into: the sums, rows of at least as many elements as there are bits in all lines.
        sizes: layout.ColumnSizes.
        rows: layout.Rows of `spikes` and `into` each.
        listed: uint32, room for the events of all steps, and 8 for each step.
        marks: int64 `[steps, 2]`.
        table: from `layout.scaled_positions`, for the words of a column in a line.
    """
    bits, matrix, sums, events, starts = (
        data(spikes),
        data(columns),
        data(into),
        data(listed),
        data(marks),
    )
    positions, s, here, there = (
        data(table),
        read(ColumnSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    none, steps, fresh, words = s.inputs, s.steps, s.fresh != 0, LINE // 64
    for n in range(s.samples):
        k = 0
        for t in range(steps):
            first = k
            k = list_spikes(
                bits,
                (here.first + n * here.sample + t * here.step) * s.bits,
                none,
                0,
                words,
                events,
                k,
                positions,
            )
            poke(starts, 2 * t, first)
            poke(starts, 2 * t + 1, k)
            while k & 7 != 0:  # columns are counted in eights
                poke(events, k, none * words)
                k += 1
        for line in range(s.lines):
            columns_of_line = beyond(matrix, line * (none + 1) * words)
            for t in range(steps):
                at = (there.first + n * there.sample + t * there.step) * s.into + line * LINE
                first, stop = peek(starts, 2 * t), peek(starts, 2 * t + 1)
                clear = fresh
                while clear or first < stop:
                    last = min(first + BATCH, stop)
                    _put_counts(
                        sums, at, _count(columns_of_line, events, first, last), last - first, clear
                    )
                    clear, first = False, last
                for j in range(max(s.outputs - line * LINE, 0), LINE):
                    poke(sums, at + j, 0)


@inlined
def _count(matrix: Any, events: Any, start: Any, stop: Any) -> Any:
    """Count, for each output of a line, the columns in which its bit is set.

    Returns the digits of the counts, from the lowest on.
    """
    digits, i = none_yet(), start
    while i < stop:
        digits = eight_more(
            digits,
            _column(matrix, events, i),
            _column(matrix, events, i + 1),
            _column(matrix, events, i + 2),
            _column(matrix, events, i + 3),
            _column(matrix, events, i + 4),
            _column(matrix, events, i + 5),
            _column(matrix, events, i + 6),
            _column(matrix, events, i + 7),
        )
        i += 8
    return digits


@inlined
def _put_counts(sums: Any, at: Any, digits: Any, count: Any, fresh: Any) -> None:
    """Turn counts into sums: twice the columns with a weight of +1, less all columns."""
    d0, d1, d2, d3, d4, d5, d6 = digits
    a, b, c, d, e, f, g, h = transposed(
        no_words(), d0, d1, d2, d3, d4, d5, d6
    )  # of no digit first, so that it is twice the counts that come out
    _put_bytes(sums, at, a, count, fresh)
    _put_bytes(sums, at + 32, b, count, fresh)
    _put_bytes(sums, at + 64, c, count, fresh)
    _put_bytes(sums, at + 96, d, count, fresh)
    _put_bytes(sums, at + 128, e, count, fresh)
    _put_bytes(sums, at + 160, f, count, fresh)
    _put_bytes(sums, at + 192, g, count, fresh)
    _put_bytes(sums, at + 224, h, count, fresh)


@inlined
def _put_bytes(sums: Any, at: Any, twice: Any, count: Any, fresh: Any) -> None:
    before = load_like(sums, at, as_bytes(twice))
    difference = sub(unsigned(as_bytes(twice), before), count)
    store(sums, at, difference if fresh else add(difference, before))


@compiled
def count_matches(
    spikes: Any, digits: Any, worth: Any, into: Any, sizes: Any, rows: Any, spare: Any
) -> None:
    """Make of spikes what a linear layer with few outputs makes of them.

    Args:
        spikes: bits, rows of words.
        digits: uint64 `[digits, blocks of outputs, words, 4]`: for each digit of the weights a bit
            for each input.
        worth: int64 `[digits + 1]`, what a digit is worth; the last is what each spike adds to
            every output besides.
        into: the sums, rows of outputs and padding.
        sizes: layout.MatchSizes.
        rows: layout.Rows of `spikes` and `into` each.
        spare: int64 `[4]`.
    """
    bits, matrix, sums, factor, buffer = (
        data(spikes),
        data(digits),
        data(into),
        data(worth),
        data(spare),
    )
    s, here, there = read(MatchSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    words, out, count, fresh = s.words, s.outputs, worth.size - 1, s.fresh != 0
    blocks = (out + OUTPUTS - 1) // OUTPUTS
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * words,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            all_spikes = 0
            if peek(factor, count) != 0:
                for w in range(words):
                    all_spikes += bits_set(peek(bits, at + w))
            for block in range(blocks):
                total, place = (
                    spread(peek(factor, count) * all_spikes, no_words()),
                    target + block * OUTPUTS,
                )
                for digit in range(count):
                    row = (digit * blocks + block) * words * OUTPUTS
                    matches = no_words()
                    for w in range(words):
                        weights = load_like(matrix, row + w * OUTPUTS, matches)
                        matches = add(matches, bits_set(both(weights, peek(bits, at + w))))
                    total = add(total, mul(matches, peek(factor, digit)))
                store(buffer, 0, total)
                for j in range(min(OUTPUTS, out - block * OUTPUTS)):
                    poke(sums, place + j, peek(buffer, j) + (0 if fresh else peek(sums, place + j)))
            at += here.step * words
            target += there.step * s.into
