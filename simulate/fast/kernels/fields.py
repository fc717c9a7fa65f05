"""Convolutions on spikes with few inputs, by tables of sums.

What one costs does not depend on how many spikes there are.

The window of an output is cut into fields of a few bits: so many of its rows, and so many columns
of all channels. A table has, for each field and each value of its bits, what they add to the
outputs; an output is the sum of an entry for each field of its window. A map holds the values of
the fields at all places, where windows that overlap read the same ones. Where fields are as wide as
the stride, outputs side by side are summed together: what a field adds to each of them lies in one
row of entries, and zeros on either side of it stand for those that do not see the field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.adders import add_spikes
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    both,
    lanes_in,
    lanes_of,
    mul,
    nothing,
    resized,
    unsigned_right,
)
from lehr.simulate.fast.kernels.layout import (
    FIELDS,
    READING,
    WORD,
    Fields,
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
    usual,
)
from lehr.simulate.fast.kernels.vector import (
    beyond,
    data,
    eight,
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
    shift, mask, from_clean = (
        load_like(shifts, 0, none),
        load_like(shifts, FIELDS, none),
        p.left > 0,
    )
    rows = clean if from_clean else bits
    for k in range(p.fields_high * p.groups):
        high, group = k // p.groups, k % p.groups
        at, top = k * p.fields_wide, high * p.unit - p.pad_y
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
def _put(sums: Any, at: Any, part: Any, fresh: Any) -> None:
    store(sums, at, part if fresh else add(part, load_like(sums, at, part)))


@compiled
def look_up(
    spikes: Any, tables: Any, windows: Any, into: Any, shape: Any, sizes: Any, rows: Any,
    shifts: Any, marks: Any, clean: Any, sums: Any, lanes: Any,
) -> None:  # fmt: skip
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        tables: int8 or int16, see `plans.fields`.
        windows: int64 `[windows + 1, 2]`: of all that are summed, in fours, where in the map their
            fields begin, and where in a row of sums what they come to goes, and the end of both;
            then of each field of a window how far it is from the first.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Fields.
        sizes: layout.FlowSizes.
        rows: layout.Rows of `spikes` and `into` each.
        shifts: uint32 `[8]`: where, in one reading, fields begin.
        marks: uint32, room for the map.
        clean: uint64, room for the rows of a field, with their padding.
        sums: int16, room for those of a step, all zeros, and for more.
        lanes: a token, of outputs that are summed together.
    """
    bits, total, step, p = data(spikes), data(into), data(sums), read(Fields, shape, 0)
    s, here, there = read(FlowSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        for t in range(s.steps):
            _list_fields(
                bits, (here.first + n * here.sample + t * here.step) * s.bits, p, data(marks),
                data(clean), data(shifts),
            )  # fmt: skip
            for i in range(0, 2 * p.windows, 8):
                _sum_four(p, data(tables), data(windows), i, data(marks), step, lanes)
            target = (there.first + n * there.sample + t * there.step) * s.into
            for i in range(0, s.into, WORD // 4):
                v = load(total, target + i, ())
                more = resized(load(step, i, ()), v)
                store(total, target + i, more if s.fresh != 0 else add(v, more))


@compiled
def look_up_of_neurons(
    spikes: Any, tables: Any, windows: Any, state: Any, fired: Any, layer: Any, rule: Any,
    totals: Any, saturations: Any, membranes: Any, counts: Any, extremes: Any, shape: Any,
    sizes: Any, rows: Any, shifts: Any, marks: Any, clean: Any, sums: Any, lanes: Any,
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
        shape: layout.Fields.
        sizes: layout.NeuronSizes, all neurons in one block.
        rows: layout.Rows of `spikes`, `fired` and `membranes` each.
        shifts: as for `look_up`.
        marks: likewise.
        clean: likewise.
        sums: likewise.
        lanes: as for `look_up`.
    """
    p, f, s = read(Fields, shape, 0), read(UpdateRule, rule, 0), read(NeuronSizes, sizes, 0)
    here, into, where = read(Rows, rows, 0), read(Rows, rows, 3), read(Rows, rows, 6)
    bits, held, out, each, inputs = data(spikes), data(state), data(fired), data(layer), data(sums)
    all_totals, kept, known, reached = data(totals), data(membranes), is_usual(f), data(extremes)
    line, words = lanes_of(load_line(held, 0)), s.neurons // WORD
    whole = s.used // line * line
    for n in range(s.samples):
        low, high, lost = no_extremes(held)
        for part in range(2):
            store(reached, 2 * line * part, low)
            store(reached, 2 * line * part + line, high)
        for t in range(s.steps):
            _list_fields(
                bits, (here.first + n * here.sample + t * here.step) * p.bits, p, data(marks),
                data(clean), data(shifts),
            )  # fmt: skip
            place_of_bits = (into.first + n * into.sample + t * into.step) * words
            keep = (where.first + n * where.sample + t * where.step) * s.neurons
            for i in range(0, 2 * p.windows, 8):
                _sum_four(p, data(tables), data(windows), i, data(marks), inputs, lanes)
            at = np.int64(0)
            while at < s.used:
                end, place = part_of(s, at, line)
                own = 2 * line * (at >= whole)
                low, high = load_line(reached, own), load_line(reached, own + line)
                if known:
                    low, high, more = one_step(
                        usual(f), s, inputs, 0, held, n * s.neurons, each, out, place_of_bits,
                        kept, keep, at, end, place, low, high,
                    )  # fmt: skip
                else:
                    low, high, more = one_step(
                        f, s, inputs, 0, held, n * s.neurons, each, out, place_of_bits,
                        kept, keep, at, end, place, low, high,
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
