"""Convolutions on spikes with few inputs, by tables of sums.

What one costs does not depend on how many spikes there are; a step with few of them adds runs of
weights instead, see `runs`.

The window of an output is cut into fields of a few bits: so many of its rows, and so many columns
of all channels. A table has, for each field and each value of its bits, what they add to the
outputs; an output is the sum of an entry for each field of its window. A map holds the values of
the fields at all places, where windows that overlap read the same ones. Where fields are as wide as
the stride, outputs side by side are summed together: what a field adds to each of them lies in one
row of entries, and zeros on either side of it stand for those that do not see the field. Where
fields are as wide as such outputs are apart, an entry has what a field adds to these and to those
before them, and rows of fields pass by sums that stay in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.adders import add_spikes
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.field_sizes import FIELDS, READING, Fields, Runs
from lehr.simulate.fast.kernels.lanes import (
    add,
    both,
    lanes_in,
    lanes_of,
    lower_half,
    mul,
    nothing,
    resized,
    unsigned_right,
    upper_half_and_zeros,
)
from lehr.simulate.fast.kernels.layout import (
    WORD,
    FlowSizes,
    NeuronSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.neurons import (
    add_extremes,
    is_usual,
    no_extremes,
    one_step,
    part_of,
)
from lehr.simulate.fast.kernels.runs import add_runs, events_in
from lehr.simulate.fast.kernels.vector import (
    beyond,
    data,
    eight,
    eight_bytes,
    load,
    load_like,
    load_line,
    peek,
    poke,
    read,
    store,
    word_at,
)


@inlined
def _clean(bits: Any, start: Any, count: Any, left: Any, into: Any, first: Any, words: Any) -> None:
    """Copy a row of `count` bits to `words` words, behind `left` zeros and before others.

    What lies beside a row is another one.
    """
    for i in range(first, first + words):
        poke(into, i, 0)
    for done in range(0, count, READING):
        part = word_at(bits, start + done) & ((1 << min(count - done, READING)) - 1)
        at, places = first + (left + done) // WORD, (left + done) % WORD
        poke(into, at, peek(into, at) | part << places)
        if places > WORD - READING:
            poke(into, at + 1, part >> (WORD - places))


@inlined
def _list_fields(bits: Any, source: Any, p: Any, marks: Any, clean: Any, shifts: Any) -> None:
    """Put the values of all fields to a map, each times the size of an entry."""
    none, row, words = eight(0), p.width * p.channels, p.words
    if p.whole_bytes != 0:
        for y in range(p.end):
            for i in range(0, p.fields_wide, FIELDS):
                part = mul(eight_bytes(bits, source + y * row + 8 * i), p.entry)
                store(marks, y * p.fields_wide + i, part)
        return
    shift, mask, from_clean = (
        load_like(shifts, 0, none),
        load_like(shifts, FIELDS, none),
        p.left > 0,
    )
    rows = clean if from_clean else bits
    at, top, group = 0, -p.pad_y, 0
    while top < p.end:
        end = at + p.fields_wide
        first, last = max(0, -top), min(p.field_height, p.height - top)
        if first >= last:
            for i in range(at, end, FIELDS):
                store(marks, i, none)
        for y in range(first, last):
            start, worth, i = source + (top + y) * row, p.entry << y * p.part, at
            if from_clean:
                _clean(bits, start, row, p.left, clean, 0, words)
                start = 0
            start += group * p.part
            while i < end:
                part = both(unsigned_right(eight(word_at(rows, start)), shift), mask)
                part = mul(part, worth)
                store(marks, i, part if y == first else add(load_like(marks, i, none), part))
                i += p.at_once
                start += p.at_once * p.step
        at, group = end, group + 1
        if group == p.groups:
            top, group = top + p.unit, 0


@inlined
def _more(part: Any, table: Any, marks: Any, place: Any, lanes: Any) -> Any:
    """Return a sum with one more entry, of the field at `marks[place]`."""
    return add(part, load(table, peek(marks, place), lanes))


@inlined
def _sum_four(p: Any, tables: Any, where: Any, i: Any, marks: Any, sums: Any, lanes: Any) -> None:
    """Put the sums of the entries of four windows to a row of sums.

    Of `chunk` fields each a sum is made in the type of the tables. What windows beyond the end of a
    row of outputs come to is overwritten by the next row, or set to 0 again.
    """
    like, wide, size = nothing(tables, lanes), nothing(sums, lanes), lanes_in(lanes)
    first, second = beyond(marks, peek(where, i)), beyond(marks, peek(where, i + 2))
    third, fourth = beyond(marks, peek(where, i + 4)), beyond(marks, peek(where, i + 6))
    seen = beyond(where, 2 * p.windows + 2)
    for k in range(p.blocks):  # the last one first: it puts zeros where the next window begins
        block = p.blocks - 1 - k
        table, field = beyond(tables, block * p.block), 0
        while field != p.fields:
            a = b = c = d = like
            fresh, stop = field == 0, min(field + p.chunk, p.fields)
            while field != stop:
                place = peek(seen, field)
                a, b = _more(a, table, first, place, lanes), _more(b, table, second, place, lanes)
                c, d = _more(c, table, third, place, lanes), _more(d, table, fourth, place, lanes)
                table, field = beyond(table, size), field + p.next
            done = block * size
            _put(sums, peek(where, i + 1) + done, resized(a, wide), fresh)
            _put(sums, peek(where, i + 3) + done, resized(b, wide), fresh)
            _put(sums, peek(where, i + 5) + done, resized(c, wide), fresh)
            _put(sums, peek(where, i + 7) + done, resized(d, wide), fresh)
    if i + 8 == 2 * p.windows:
        at = p.out_height * p.out_width * p.out
        for j in range(0, p.spare, size):
            store(sums, at + j, wide)


@inlined
def _sum_rows(p: Any, tables: Any, where: Any, i: Any, marks: Any, sums: Any, lanes: Any) -> None:
    """Put four rows of sums to their places, as their fields pass by.

    An entry has two halves: what a field adds to the outputs before those that begin at it, and to
    these.
    """
    a = b = c = d = nothing(tables, lanes)
    first, second = beyond(marks, peek(where, i)), beyond(marks, peek(where, i + 2))
    third, fourth = beyond(marks, peek(where, i + 4)), beyond(marks, peek(where, i + 6))
    seen, size = beyond(where, 2 * p.windows + 2), lanes_in(lanes)
    done, like = -(size // 2), nothing(sums, lanes)
    for x in range(p.passing):
        table = tables
        for field in range(p.fields):
            place = peek(seen, field) + x
            a, b = _more(a, table, first, place, lanes), _more(b, table, second, place, lanes)
            c, d = _more(c, table, third, place, lanes), _more(d, table, fourth, place, lanes)
            table = beyond(table, size)
        if x > 0:
            store(sums, peek(where, i + 1) + done, resized(lower_half(a), like))
            store(sums, peek(where, i + 3) + done, resized(lower_half(b), like))
            store(sums, peek(where, i + 5) + done, resized(lower_half(c), like))
            store(sums, peek(where, i + 7) + done, resized(lower_half(d), like))
        a, b = upper_half_and_zeros(a), upper_half_and_zeros(b)
        c, d = upper_half_and_zeros(c), upper_half_and_zeros(d)
        done += size // 2


@inlined
def _put(sums: Any, at: Any, part: Any, fresh: Any) -> None:
    store(sums, at, part if fresh else add(part, load_like(sums, at, part)))


@inlined
def _sum(
    bits: Any, row: Any, p: Any, r: Any, tables: Any, windows: Any, shifts: Any, marks: Any,
    clean: Any, events: Any, places: Any, runs: Any, sums: Any, lanes: Any,
) -> None:  # fmt: skip
    """Make of a row of spikes a row of sums: where they are few, each adds runs of weights."""
    count = events_in(bits, row * r.words, r.words)
    if count <= r.few:
        add_runs(bits, row * r.words, r, count, events, places, runs, sums)
        return
    _list_fields(bits, row * p.bits, p, marks, clean, shifts)
    for i in range(0, 2 * p.windows, 8):
        if lanes_in(lanes) == WORD:
            _sum_rows(p, tables, windows, i, marks, beyond(sums, r.margin), lanes)
        else:
            _sum_four(p, tables, windows, i, marks, beyond(sums, r.margin), lanes)


@compiled
def look_up(
    spikes: Any, tables: Any, windows: Any, into: Any, shape: Any, sizes: Any, rows: Any,
    shifts: Any, marks: Any, clean: Any, sums: Any, few: Any, places: Any, runs: Any, events: Any,
    lanes: Any,
) -> None:  # fmt: skip
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        tables: int8 or int16, see `plans.fields`.
        windows: int64 `[windows + 1, 2]`: of all that are summed, in fours, where in the map their
            fields begin, and where in a row of sums what they come to goes, and the end of both;
            then of each field of a window how far it is from the first.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: field_sizes.Fields.
        sizes: layout.FlowSizes.
        rows: layout.Rows of `spikes` and `into` each.
        shifts: uint32 `[8]`: where, in one reading, fields begin.
        marks: uint32, room for the map.
        clean: uint64, room for the rows of a field, with their padding.
        sums: int16, room for those of a step, all zeros, and for more.
        few: field_sizes.Runs.
        places: as for `runs.add_runs`.
        runs: likewise.
        events: likewise.
        lanes: a token, of outputs that are summed together.
    """
    bits, total, p, r = data(spikes), data(into), read(Fields, shape, 0), read(Runs, few, 0)
    step = beyond(data(sums), r.margin)
    s, here, there = read(FlowSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        for t in range(s.steps):
            _sum(
                bits, here.first + n * here.sample + t * here.step, p, r, data(tables),
                data(windows), data(shifts), data(marks), data(clean), data(events), data(places),
                data(runs), data(sums), lanes,
            )  # fmt: skip
            target = (there.first + n * there.sample + t * there.step) * s.into
            for i in range(0, s.into, WORD // 4):
                v = load(total, target + i, ())
                more = resized(load(step, i, ()), v)
                store(total, target + i, more if s.fresh != 0 else add(v, more))


@compiled
def look_up_of_neurons(
    spikes: Any, tables: Any, windows: Any, state: Any, fired: Any, layer: Any, rule: Any,
    totals: Any, saturations: Any, membranes: Any, counts: Any, extremes: Any, shape: Any,
    sizes: Any, rows: Any, shifts: Any, marks: Any, clean: Any, sums: Any, few: Any, places: Any,
    runs: Any, events: Any, lanes: Any,
) -> None:  # fmt: skip
    """Make of spikes what a convolution and the neurons behind it make of them.

    Args:
        spikes: bits, rows of words, channels last.
        tables: as for `look_up`.
        windows: likewise.
        state: of the neurons, as for `neurons.neurons`.
        fired: bits of the neurons, rows of words.
        layer: as for `neurons.neurons`.
        rule: likewise.
        totals: likewise.
        saturations: likewise.
        membranes: likewise.
        counts: uint8 `[256]`.
        extremes: in the neurons' type, room for four lines.
        shape: field_sizes.Fields.
        sizes: layout.NeuronSizes, all neurons in one block.
        rows: layout.Rows of `spikes`, `fired` and `membranes` each.
        shifts: as for `look_up`.
        marks: likewise.
        clean: likewise.
        sums: likewise.
        few: likewise.
        places: likewise.
        runs: likewise.
        events: likewise.
        lanes: likewise.
    """
    p, f, s = read(Fields, shape, 0), read(UpdateRule, rule, 0), read(NeuronSizes, sizes, 0)
    here, into, where = read(Rows, rows, 0), read(Rows, rows, 3), read(Rows, rows, 6)
    bits, held, out, each = data(spikes), data(state), data(fired), data(layer)
    r = read(Runs, few, 0)
    inputs = beyond(data(sums), r.margin)
    all_totals, kept, known, reached = data(totals), data(membranes), is_usual(f), data(extremes)
    line, words = lanes_of(load_line(held, 0)), s.neurons // WORD
    whole = s.used // line * line
    for n in range(s.samples):
        low, high, lost = no_extremes(held)
        for part in range(2):
            store(reached, 2 * line * part, low)
            store(reached, 2 * line * part + line, high)
        for t in range(s.steps):
            _sum(
                bits, here.first + n * here.sample + t * here.step, p, r, data(tables),
                data(windows), data(shifts), data(marks), data(clean), data(events), data(places),
                data(runs), data(sums), lanes,
            )  # fmt: skip
            place_of_bits = (into.first + n * into.sample + t * into.step) * words
            keep = (where.first + n * where.sample + t * where.step) * s.neurons
            at = np.int64(0)
            while at < s.used:
                end, place = part_of(s, at, line)
                own = 2 * line * (at >= whole)
                low, high = load_line(reached, own), load_line(reached, own + line)
                low, high, more = one_step(
                    f, known, s, inputs, 0, held, n * s.neurons, each, out, place_of_bits, kept,
                    keep, at, end, place, low, high,
                )  # fmt: skip
                store(reached, own, low)
                store(reached, own + line, high)
                lost += more
                at = end
        at = np.int64(0)
        while at < s.used:
            end, _ = part_of(s, at, line)
            own = 2 * line * (at >= whole)
            low, high = load_line(reached, own), load_line(reached, own + line)
            add_extremes(all_totals, n * s.totals + end - line, s.neurons, low, high)
            at = end
        saturations[n] += lost
        add_spikes(
            all_totals, n * s.totals, out, (into.first + n * into.sample) * words,
            into.step * words, s.steps, words, data(counts),
        )  # fmt: skip
