"""Convolutions on spikes: each adds a run of weights to all outputs that it reaches.

The pixels by which a window moves on, all of their channels, are a cell: a word or several, cut out
of the rows of spikes. An output sees so many rows and columns of cells. As the cells of a row pass
by, the sums of the outputs that see the present one stay in registers, as int8; a column of them
that has seen all of its cells is added to the sums in memory. No list of events is made, and each
word is gone through once for all rows and columns.

An int8 holds `limit` events: before there could be more, all sums are added to those in memory.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.bundles import (
    add_last_column,
    bundle,
    count_in,
    moved_on,
    with_taps,
)
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import bits_set, lanes_in, lowest_bit
from lehr.simulate.fast.kernels.layout import BIT_ROWS, WORD, Cells, FlowSizes, Rows
from lehr.simulate.fast.kernels.vector import beyond, data, peek, poke, read, word_at

AT_ONCE = 4
"""Events that are added without a look at whether there are as many.

The end of a loop that nobody foresees costs more than rows of zeros. So as many times as are enough
for the mean of all words they are added to each, see `_enough`.
"""
IN_REGISTERS = 96
"""Outputs in a row of sums, at most, of which three fit into registers; of more, two."""


@inlined
def _cut(bits: Any, w: Any, places: Any, cells: Any, count: Any, step: Any) -> None:
    """Cut the cells out of `count` rows of spikes, `[count, rows, words, columns]`.

    Args:
        bits: from the first bit of the first one on.
        w: layout.Cells.
        places: of each part of a row of a cell and each column the first bit in a row of the map,
            a mask of those that lie in the map, and their place in a word.
        cells: where to put them.
        count: how many.
        step: words from one row to the next.
    """
    line, size, full = w.width * w.channels, w.cells_wide * w.parts, w.rows_in_word * w.part_bits
    for row in range(w.cells_high):
        y, first, left = row * w.stride_y - w.pad_y, row * w.words * w.cells_wide, 0
        for _ in range(w.cell_height):
            inside = 0 <= y < w.height
            for k in range(size):
                mask = peek(places, 3 * k + 1) if inside else 0
                place = y * line + peek(places, 3 * k) if inside else 0
                shift, at, here = peek(places, 3 * k + 2) + left, first + k, bits
                if left == 0:
                    for _ in range(count):
                        poke(cells, at, (word_at(here, place) & mask) << shift)
                        at, here = at + w.cells_high * w.words * w.cells_wide, beyond(here, step)
                else:
                    for _ in range(count):
                        word = (word_at(here, place) & mask) << shift
                        poke(cells, at, peek(cells, at) | word)
                        at, here = at + w.cells_high * w.words * w.cells_wide, beyond(here, step)
            y += 1
            left += w.part_bits
            if left == full:
                first, left = first + size, 0


@inlined
def _with_word(
    acc: Any, word: Any, enough: Any, weights: Any, each: Any, columns: Any, before: Any,
    behind: Any,
) -> Any:  # fmt: skip
    """Return sums with the weights of all bits of a word; `each` of a bit.

    But for so many first columns and so many last ones. `enough` is as often as AT_ONCE bits are
    taken whether they are there or not.
    """
    turns = enough
    while turns > 0 or word != 0:
        for _ in range(AT_ONCE):
            acc = with_taps(acc, weights, lowest_bit(word) * each, columns, before, behind)
            word &= word - 1
        turns -= 1
    return acc


@inlined
def _all_put_away(acc: Any, columns: Any, sums: Any, at: Any, x: Any, w: Any) -> Any:
    """Add all columns of sums, of which the last is of output `x`, to those in memory."""
    for place in range(x, x + count_in(columns)):
        if 0 <= place < w.out_width:
            add_last_column(acc, columns, sums, at + place * w.out, -w.out_width * w.out)
        acc = moved_on(acc, columns)
    return acc


@inlined
def _with_cell(
    acc: Any, cell: Any, enough: Any, weights: Any, each: Any, columns: Any, before: Any,
    behind: Any, last: Any, last_but_one: Any, sums: Any, at: Any, x: Any, w: Any,
) -> Any:  # fmt: skip
    """Return sums with a cell, its events, and those of the last two cells.

    All sums are put away before one could leave its type, and events until then are taken for 0.
    The last column of sums is of output `x`.
    """
    own = 0
    for j in range(w.words):
        todo, taps = peek(cell, j * w.cells_wide), beyond(weights, j * BIT_ROWS * each)
        while todo != 0:
            part = todo
            if bits_set(todo) + own + last + last_but_one > w.limit:
                acc = _all_put_away(acc, columns, sums, at, x, w)
                own, last, last_but_one = 0, 0, 0
                if bits_set(todo) > w.limit:
                    part = todo & (((1 << w.limit) - 1) << lowest_bit(todo))
            own += bits_set(part)
            todo ^= part
            acc = _with_word(acc, part, enough, taps, each, columns, before, behind)
    return acc, own, last


@inlined
def _pass(
    cells: Any, enough: Any, weights: Any, sums: Any, at: Any, w: Any, lanes: Any, rows: Any,
    columns: Any,
) -> None:  # fmt: skip
    """Let a row of cells pass by; `sums[at]` is the first output of the lowest row."""
    acc, wide = bundle(weights, lanes, rows, columns), count_in(columns)
    each, line, inner = w.rows * wide * lanes_in(lanes), w.out_width * w.out, w.out_width - wide
    m, n, cell, place = 0, 0, cells, at
    for x in range(1 - wide, 0):
        acc, m, n = _with_cell(
            acc, cell, enough, weights, each, columns, (), (0,), m, n, sums, at, x, w
        )
        acc, cell = moved_on(acc, columns), beyond(cell, 1)
    for x in range(w.out_width):
        if wide == 1 or x <= inner:
            acc, m, n = _with_cell(
                acc, cell, enough, weights, each, columns, (), (), m, n, sums, at, x, w
            )
        else:
            acc, m, n = _with_cell(
                acc, cell, enough, weights, each, columns, (0,), (), m, n, sums, at, x, w
            )
        add_last_column(acc, columns, sums, place, -line)
        acc, cell = moved_on(acc, columns), beyond(cell, 1)
        place += w.out


@inlined
def _enough(words: Any, count: Any) -> Any:
    """Return how often AT_ONCE events make at least as many as these words have on average."""
    total = 0
    for k in range(count):
        total += bits_set(peek(words, k))
    return (total + AT_ONCE * count - 1) // (AT_ONCE * count)


@compiled
def cells(
    spikes: Any, weights: Any, into: Any, shape: Any, sizes: Any, rows: Any, places: Any,
    words: Any, lanes: Any, columns: Any,
) -> None:  # fmt: skip
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        weights: int8 `[blocks of outputs, words, BIT_ROWS, rows, columns, lanes]`: of each bit of
            a word those of all outputs that it reaches; the last ones of a word are zeros.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Cells.
        sizes: layout.FlowSizes.
        rows: layout.Rows of `spikes` and `into` each.
        places: int64 `[parts, columns of cells, 3]`, see `_cut`.
        words: uint64 `[batch, rows of cells, words, columns of cells]`.
        lanes: the token of a block's width.
        columns: as many elements as columns are summed together.
    """
    bits, all_weights, sums = data(spikes), data(weights), data(into)
    where, cut = data(places), data(words)
    w, s, here, there = (
        read(Cells, shape, 0),
        read(FlowSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    row, wide, size = s.bits // WORD, lanes_in(lanes), w.cells_high * w.words * w.cells_wide
    block = w.words * BIT_ROWS * w.rows * count_in(columns) * wide
    outer, inner = s.samples, s.steps
    source_out, source_in, target_out, target_in = here.sample, here.step, there.sample, there.step
    if inner == 1:  # samples are taken together in place of steps
        outer, inner, source_in, target_in = 1, outer, source_out, target_out
    for n in range(outer):
        t = 0
        while t < inner:
            count = min(w.batch, inner - t)
            source = here.first + n * source_out + t * source_in
            target = (there.first + n * target_out + t * target_in) * s.into
            _cut(beyond(bits, source * row), w, where, cut, count, source_in * row)
            taps, enough = all_weights, _enough(cut, size)
            for done in range(0, w.out, wide):
                for k in range(count):
                    at = target + k * target_in * s.into + done
                    fresh = s.fresh != 0 and done == 0
                    _block(beyond(cut, k * size), enough, taps, sums, at, w, fresh, lanes, columns)
                taps = beyond(taps, block)
            t += count


@inlined
def _block(
    words: Any, enough: Any, weights: Any, sums: Any, target: Any, w: Any, fresh: Any, lanes: Any,
    columns: Any,
) -> None:  # fmt: skip
    """Let all cells of a step pass by for one block of outputs.

    A row of sums is cleared where it is `fresh`, when the first of its cells come.
    """
    wide = count_in(columns) * lanes_in(lanes)
    three = wide <= IN_REGISTERS
    for y in range(w.cells_high):
        row = beyond(words, y * w.words * w.cells_wide)
        first, end = max(0, y - w.out_height + 1), min(y + 1, w.rows)
        if fresh and y < w.out_height:
            for i in range(w.out_width * w.out):
                poke(sums, target + y * w.out_width * w.out + i, 0)
        while first < end:
            left = end - first
            taps, at = beyond(weights, first * wide), target + (y - first) * w.out_width * w.out
            if three and (left == 3 or left > 4):
                _pass(row, enough, taps, sums, at, w, lanes, (0, 0, 0), columns)
                first += 3
            elif left > 1:
                _pass(row, enough, taps, sums, at, w, lanes, (0, 0), columns)
                first += 2
            else:
                _pass(row, enough, taps, sums, at, w, lanes, (0,), columns)
                first += 1
