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

from lehr.simulate.fast.kernels.adders import BATCH, add_spikes, eight_more, none_yet, transposed
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    as_bytes,
    bits_set,
    both,
    lanes_of,
    lowest_bit,
    mul,
    no_words,
    resized,
    shift_left,
    sub,
    unsigned,
)
from lehr.simulate.fast.kernels.layout import (
    EIGHT,
    LINE,
    MANY_WORDS,
    OUTPUTS,
    WORD,
    ColumnSizes,
    MatchSizes,
    NeuronSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.neurons import (
    add_extremes,
    is_usual,
    no_extremes,
    one_step,
    usual,
)
from lehr.simulate.fast.kernels.strips import list_spikes
from lehr.simulate.fast.kernels.vector import (
    beyond,
    data,
    load_like,
    load_line,
    peek,
    poke,
    read,
    store,
)

FEW_SPIKES = 12
"""Spikes of a word that are listed one by one."""


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
    none, steps, fresh = s.inputs, s.steps, s.fresh != 0
    for n in range(s.samples):
        _list_steps(bits, here, n, s, events, starts, positions)
        for line in range(s.lines):
            columns_of_line = beyond(matrix, line * (none + 1) * (LINE // WORD))
            for t in range(steps):
                at = (there.first + n * there.sample + t * there.step) * s.into + line * LINE
                _put_line(columns_of_line, events, starts, t, sums, at, fresh)
                for j in range(max(s.outputs - line * LINE, 0), LINE):
                    poke(sums, at + j, 0)


@compiled
def count_columns_of_neurons(
    spikes: Any, columns: Any, sums: Any, state: Any, out: Any, layer: Any, rule: Any, totals: Any,
    saturations: Any, membranes: Any, spare: Any, extremes: Any, sizes: Any, facts: Any, rows: Any,
    listed: Any, marks: Any, table: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons that hears a linear layer with weights of +-1, and nothing else.

    What a line of outputs hears in a step never leaves the first cache.

    Args:
        spikes: as for `count_columns`, as `columns`, `listed`, `marks` and `table`.
        columns: likewise.
        sums: room for those of one line.
        state: as for `neurons.neurons`, as all up to `spare`.
        out: its `spikes`.
        layer: likewise.
        rule: likewise.
        totals: likewise.
        saturations: likewise.
        membranes: likewise.
        spare: likewise.
        extremes: in lanes' type, room for four lines.
        sizes: layout.ColumnSizes.
        facts: layout.NeuronSizes.
        rows: layout.Rows of `spikes`, `out` and `membranes` each.
        listed: likewise.
        marks: likewise.
        table: likewise.
    """
    bits, matrix, heard, events, starts = (
        data(spikes), data(columns), data(sums), data(listed), data(marks),
    )  # fmt: skip
    held, fired, each, kept, ends = (
        data(state), data(out), data(layer), data(membranes), data(extremes),
    )  # fmt: skip
    s, f, p = read(ColumnSizes, sizes, 0), read(NeuronSizes, facts, 0), read(UpdateRule, rule, 0)
    here, into, where = read(Rows, rows, 0), read(Rows, rows, 3), read(Rows, rows, 6)
    lanes, words, known = lanes_of(load_line(held, 0)), f.neurons // WORD, is_usual(p)
    whole = f.used // lanes * lanes
    for n in range(s.samples):
        _list_steps(bits, here, n, s, events, starts, data(table))
        there, own = into.first + n * into.sample, where.first + n * where.sample
        for line in range(s.lines):
            columns_of_line = beyond(matrix, line * (s.inputs + 1) * (LINE // WORD))
            begin = line * LINE
            parts = 2 if line == s.lines - 1 and whole < f.used else 1
            for part in range(parts):
                low, high, lost = no_extremes(held)
                store(ends, 2 * part * lanes, low)
                store(ends, (2 * part + 1) * lanes, high)
            for t in range(s.steps):
                _put_line(columns_of_line, events, starts, t, heard, 0, True)
                row, keep = (there + t * into.step) * words, (own + t * where.step) * f.neurons
                if parts == 2:
                    for j in range(f.used - begin, whole + lanes - begin):
                        poke(heard, j, 0)
                for part in range(parts):  # lines with padding have extremes of their own
                    at, end, place = begin, min(begin + LINE, whole), begin % f.period
                    if part != 0:
                        at, end, place = whole, whole + lanes, f.last
                    low = load_like(ends, 2 * part * lanes, low)
                    high = load_like(ends, (2 * part + 1) * lanes, high)
                    if known:
                        low, high, more = one_step(
                            usual(p), f, heard, -begin, held, n * f.neurons, each, fired, row,
                            kept, keep, at, end, place, low, high,
                        )  # fmt: skip
                    else:
                        low, high, more = one_step(
                            p, f, heard, -begin, held, n * f.neurons, each, fired, row,
                            kept, keep, at, end, place, low, high,
                        )  # fmt: skip
                    store(ends, 2 * part * lanes, low)
                    store(ends, (2 * part + 1) * lanes, high)
                    lost += more
            for part in range(parts):
                low = load_like(ends, 2 * part * lanes, low)
                high = load_like(ends, (2 * part + 1) * lanes, high)
                place = begin if part == 0 else whole
                if place < whole or part != 0:
                    add_extremes(data(totals), n * f.totals + place, f.neurons, low, high)
            saturations[n] += lost
        add_spikes(
            data(totals), n * f.totals, fired, there * words, into.step * words, s.steps, words,
            data(spare),
        )  # fmt: skip


@inlined
def _list_steps(
    bits: Any, here: Any, n: Any, s: Any, events: Any, starts: Any, positions: Any
) -> None:
    """List the spikes of all steps of a sample, and where in the list each step begins and ends."""
    words = LINE // WORD
    k = 0
    for t in range(s.steps):
        first, row = k, (here.first + n * here.sample + t * here.step) * (s.bits // WORD)
        for w in range(s.bits // WORD):
            word = peek(bits, row + w)
            count = bits_set(word)
            if count > FEW_SPIKES:
                at = (row + w) * WORD
                k = list_spikes(bits, at, WORD, w * WORD, words, events, k, positions)
            else:
                i = k
                while word != 0:  # four at a time; what is beyond the last one is overwritten
                    for _ in range(4):
                        poke(events, i, (w * WORD + lowest_bit(word)) * words)
                        word &= word - 1
                        i += 1
                k += count
        poke(starts, 2 * t, first)
        poke(starts, 2 * t + 1, k)
        while k & 7 != 0:  # columns are counted in eights
            poke(events, k, s.inputs * words)
            k += 1


@inlined
def _put_line(
    columns: Any, events: Any, starts: Any, t: Any, sums: Any, at: Any, fresh: Any
) -> None:
    """Put what the spikes of step `t` make of a line of outputs to `sums[at]` and after it."""
    first, stop = peek(starts, 2 * t), peek(starts, 2 * t + 1)
    clear = fresh
    while clear or first < stop:
        last = min(first + BATCH, stop)
        _put_counts(sums, at, _count(columns, events, first, last), last - first, clear)
        clear, first = False, last


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
    spikes: Any, digits: Any, worth: Any, each: Any, into: Any, sizes: Any, rows: Any
) -> None:
    """Make of spikes what a linear layer with few outputs makes of them.

    Args:
        spikes: bits, rows of words; up to seven words behind a row are read, too, and not used.
        digits: uint64 `[digits, blocks of outputs, words, 4]`: for each digit of the weights a bit
            for each input.
        worth: int64 `[digits]`, what a digit is worth.
        each: int64 `[blocks of outputs, 4]`, what a spike adds to an output besides.
        into: the sums, rows of outputs and padding.
        sizes: layout.MatchSizes.
        rows: layout.Rows of `spikes` and `into` each.
    """
    bits, matrix, sums, factor, more = (
        data(spikes),
        data(digits),
        data(into),
        data(worth),
        data(each),
    )
    s, here, there = read(MatchSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    blocks, fresh = each.size // OUTPUTS, s.fresh != 0
    for n in range(s.samples):
        at = (here.first + n * here.sample) * s.words
        target = (there.first + n * there.sample) * s.into
        for _ in range(s.steps):
            all_spikes = 0
            for w in range(s.words):
                all_spikes += bits_set(peek(bits, at + w))
            for block in range(blocks):
                place = target + block * OUTPUTS
                total = mul(load_like(more, block * OUTPUTS, no_words()), all_spikes)
                for digit in range(worth.size):
                    row = beyond(matrix, (digit * blocks + block) * s.read * OUTPUTS)
                    total = add(total, mul(_matches(bits, at, row, s.read), peek(factor, digit)))
                before = load_like(sums, place, total)
                store(sums, place, total if fresh else add(resized(before, total), total))
            at += here.step * s.words
            target += there.step * s.into


@inlined
def _matches(bits: Any, at: Any, weights: Any, words: Any) -> Any:
    """Count, for each of four outputs, the bits that a row has in common with its weights."""
    count = no_words()
    if words < MANY_WORDS:
        for w in range(words):
            count = add(count, bits_set(_common(bits, at, weights, w)))
        return count
    for first in range(0, words, BATCH):
        digits = none_yet()
        for w in range(first, min(first + BATCH, words), EIGHT):
            digits = eight_more(
                digits,
                _common(bits, at, weights, w),
                _common(bits, at, weights, w + 1),
                _common(bits, at, weights, w + 2),
                _common(bits, at, weights, w + 3),
                _common(bits, at, weights, w + 4),
                _common(bits, at, weights, w + 5),
                _common(bits, at, weights, w + 6),
                _common(bits, at, weights, w + 7),
            )
        d0, d1, d2, d3, d4, d5, d6 = digits
        low = add(bits_set(d0), shift_left(bits_set(d1), 1))
        middle = add(shift_left(bits_set(d2), 2), shift_left(bits_set(d3), 3))
        high = add(shift_left(bits_set(d4), 4), shift_left(bits_set(d5), 5))
        count = add(count, add(add(low, middle), add(high, shift_left(bits_set(d6), 6))))
    return count


@inlined
def _common(bits: Any, at: Any, weights: Any, w: Any) -> Any:
    return both(load_like(weights, w * OUTPUTS, no_words()), peek(bits, at + w))
