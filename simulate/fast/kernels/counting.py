"""Linear layers with many outputs and weights of +-1, by counting bits.

The weights of one input are a column of bits, one for each output. The columns of the inputs that
spike are added by carry-save adders, 256 outputs at a time, see `adders`: within a line bit `b` of
byte `j` is output `32 * b + j`.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.adders import BATCH, add_spikes, eight_more, none_yet, transposed
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    as_bytes,
    bits_set,
    greater,
    greatest,
    lanes_of,
    less,
    lowest_bit,
    mask_word,
    no_words,
    resized,
    select,
    sub,
    unsigned,
    xor,
)
from lehr.simulate.fast.kernels.layout import (
    LINE,
    TILE,
    WORD,
    ColumnSizes,
    NeuronSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.neurons import (
    add_extremes,
    is_usual,
    no_extremes,
    one_step,
    updated,
    usual,
    whole,
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

FEW_SPIKES = 16
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
                first, stop = peek(starts, 2 * t), peek(starts, 2 * t + 1)
                _put_line(columns_of_line, events, first, stop, sums, at, fresh)
                for j in range(max(s.outputs - line * LINE, 0), LINE):
                    poke(sums, at + j, 0)


@compiled
def count_columns_of_neurons(
    spikes: Any, columns: Any, sums: Any, state: Any, out: Any, layer: Any, rule: Any, totals: Any,
    saturations: Any, membranes: Any, spare: Any, extremes: Any, every: Any, counts: Any,
    sizes: Any, facts: Any, rows: Any, listed: Any, marks: Any, table: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons that hears a linear layer with weights of +-1, and nothing else.

    What a line of outputs hears in a step never leaves the first cache.

    Args:
        spikes: as for `count_columns`, as `columns`, `listed`, `marks` and `table`.
        columns: likewise.
        sums: room for those of one line in TILE steps.
        state: as for `neurons.neurons`, as all up to `spare`.
        out: its `spikes`.
        layer: likewise.
        rule: likewise.
        totals: likewise.
        saturations: likewise.
        membranes: likewise.
        spare: likewise.
        extremes: in lanes' type, room for four lines.
        every: what each neuron has, `[3, neurons]`, those beyond the last one as it.
        counts: uint8, room for a line in TILE steps.
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
    full = f.used // lanes * lanes
    for n in range(s.samples):
        _list_steps(bits, here, n, s, events, starts, data(table))
        there, own = into.first + n * into.sample, where.first + n * where.sample
        for line in range(s.lines):
            columns_of_line = beyond(matrix, line * (s.inputs + 1) * (LINE // WORD))
            begin = line * LINE
            if known:
                lowest, highest = _run_line(
                    columns_of_line, events, starts, s, usual(p), f, heard, data(counts), held,
                    n * f.neurons, data(every), begin, fired, there * words + begin // WORD,
                    into.step * words,
                )  # fmt: skip
                at = n * f.totals + begin
                add_extremes(data(totals), at, f.neurons, lowest, highest)
                continue
            parts = 2 if line == s.lines - 1 and full < f.used else 1
            for part in range(parts):
                low, high, lost = no_extremes(held)
                store(ends, 2 * part * lanes, low)
                store(ends, (2 * part + 1) * lanes, high)
            for t in range(s.steps):
                first, stop = peek(starts, 2 * t), peek(starts, 2 * t + 1)
                _put_line(columns_of_line, events, first, stop, heard, 0, True)
                row, keep = (there + t * into.step) * words, (own + t * where.step) * f.neurons
                if parts == 2:
                    for j in range(f.used - begin, full + lanes - begin):
                        poke(heard, j, 0)
                for part in range(parts):  # lines with padding have extremes of their own
                    at, end, place = begin, min(begin + LINE, full), begin % f.period
                    if part != 0:
                        at, end, place = full, full + lanes, f.last
                    low = load_like(ends, 2 * part * lanes, low)
                    high = load_like(ends, (2 * part + 1) * lanes, high)
                    low, high, more = one_step(
                        p, known, f, heard, -begin, held, n * f.neurons, each, fired, row,
                        kept, keep, at, end, place, low, high,
                    )  # fmt: skip
                    store(ends, 2 * part * lanes, low)
                    store(ends, (2 * part + 1) * lanes, high)
                    lost += more
            for part in range(parts):
                low = load_like(ends, 2 * part * lanes, low)
                high = load_like(ends, (2 * part + 1) * lanes, high)
                place = begin if part == 0 else full
                if place < full or part != 0:
                    add_extremes(data(totals), n * f.totals + place, f.neurons, low, high)
            saturations[n] += lost
        add_spikes(
            data(totals), n * f.totals, fired, there * words, into.step * words, s.steps, words,
            data(spare),
        )  # fmt: skip


@inlined
def _run_line(
    columns: Any, events: Any, starts: Any, s: Any, p: Any, f: Any, heard: Any, twice: Any,
    held: Any, own: Any, each: Any, begin: Any, fired: Any, bits: Any, step: Any,
) -> Any:  # fmt: skip
    """Run a line of neurons through all steps.

    Counts of some steps are made before neurons hear the first of them: one step's neurons wait
    for its counts, and a processor that looks no further has nothing else to do.
    Neurons beyond the last one are it once more, and their spikes are left out.

    Args:
        columns: of the line.
        events: of all steps.
        starts: of each step in them, and its end.
        s: layout.ColumnSizes.
        p: the rule.
        f: layout.NeuronSizes.
        heard: room for sums of the line in TILE steps.
        twice: uint8, room for twice the counts of so many.
        held: what steps leave.
        own: where a row of it begins.
        each: what each neuron has.
        begin: the first neuron.
        fired: bits of the neurons.
        bits: the word in which those of the line begin in the first step.
        step: words from one step to the next.

    Returns:
        The lowest and the highest membranes, 32 of them.
    """
    low = greatest(load_like(held, 0, as_bytes(no_words())))
    high = xor(low, -1)
    for early in range(0, s.steps, TILE):
        late = min(early + TILE, s.steps)
        for t in range(early, late):
            first, stop, at = peek(starts, 2 * t), peek(starts, 2 * t + 1), (t - early) * LINE
            if stop - first > BATCH:
                left = first + (stop - first - 1) // BATCH * BATCH
                _put_line(columns, events, first, left, heard, at, True)
                first = left
            _put_twice(twice, at, _count(columns, events, first, stop))
        if p.fraction == 0:
            low, high = _hear(
                whole(p), f, starts, early, late, twice, heard, held, own, each, begin, fired, bits,
                step, low, high,
            )  # fmt: skip
        else:
            low, high = _hear(
                p, f, starts, early, late, twice, heard, held, own, each, begin, fired, bits,
                step, low, high,
            )  # fmt: skip
    return low, high


@inlined
def _hear(
    p: Any, f: Any, starts: Any, early: Any, late: Any, twice: Any, heard: Any, held: Any, own: Any,
    each: Any, begin: Any, fired: Any, bits: Any, step: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Run a line of neurons through the steps from `early` to `late`, whose counts there are."""
    words = min(LINE // WORD, (f.used - begin + WORD - 1) // WORD)
    last = -1 if begin + LINE < f.used else (1 << (f.used - 1) % WORD) * 2 - 1
    for t in range(early, late):
        count, row = peek(starts, 2 * t + 1) - peek(starts, 2 * t), bits + t * step
        more = count > BATCH
        if more:
            count = (count - 1) % BATCH + 1
        for w in range(words):
            at, place = (t - early) * LINE + w * WORD, begin + w * WORD
            low, high, some = _run_half(
                p, f, twice, at, count, heard, more, held, own, each, place, low, high
            )
            at, place = at + WORD // 2, place + WORD // 2
            low, high, others = _run_half(
                p, f, twice, at, count, heard, more, held, own, each, place, low, high
            )
            word = mask_word(some) | mask_word(others) << WORD // 2
            poke(fired, row + w, word & last if w == words - 1 else word)
    return low, high


@inlined
def _run_half(
    p: Any, f: Any, twice: Any, at: Any, count: Any, heard: Any, more: Any, held: Any, own: Any,
    each: Any, place: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Run 32 neurons through a step; return lowest and highest membranes, and which fire."""
    drive = sub(unsigned(load_like(twice, at, low), low), count)
    if more:
        drive = add(drive, resized(load_like(heard, at, low), low))
    left, v, fires, _ = updated(
        load_like(held, own + place, low), drive,
        load_like(each, place, low), load_like(each, f.neurons + place, low),
        load_like(each, 2 * f.neurons + place, low), p,
    )  # fmt: skip
    store(held, own + place, left)
    return select(less(v, low), v, low), select(greater(v, high), v, high), fires


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
                while word != 0:  # eight at a time; what is beyond the last one is overwritten
                    for _ in range(8):
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
    columns: Any, events: Any, first: Any, stop: Any, sums: Any, at: Any, fresh: Any
) -> None:
    """Put what events make of a line of outputs to `sums[at]` and after it."""
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
    if i < stop:  # half of what adders do to nothing the compiler leaves out
        digits, i = _eight_columns(none_yet(), matrix, events, i), i + 8
    while i < stop:
        digits, i = _eight_columns(digits, matrix, events, i), i + 8
    return digits


@inlined
def _eight_columns(digits: Any, matrix: Any, events: Any, i: Any) -> Any:
    return eight_more(
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


@inlined
def _put_twice(into: Any, at: Any, digits: Any) -> None:
    """Put twice the counts as bytes to `into[at]` and after it."""
    d0, d1, d2, d3, d4, d5, d6 = digits
    a, b, c, d, e, f, g, h = transposed(no_words(), d0, d1, d2, d3, d4, d5, d6)
    store(into, at, as_bytes(a))
    store(into, at + 32, as_bytes(b))
    store(into, at + 64, as_bytes(c))
    store(into, at + 96, as_bytes(d))
    store(into, at + 128, as_bytes(e))
    store(into, at + 160, as_bytes(f))
    store(into, at + 192, as_bytes(g))
    store(into, at + 224, as_bytes(h))


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
