"""Convolutions and linear layers on spikes, event by event: each event adds its row of weights.

The columns of the input that one column of outputs sees make a strip. Its spikes are listed once, row by row from the top, so that what
one output sees is one contiguous slice of the list; its sum is made in registers: eight rows of int8 weights at a time, added as int8
where the planner has proven that they fit, then to the accumulators. A linear layer is the convolution whose strip is all of its input.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.compiled import compiled, inlined
from lehr.simulate.fast.lanes import add, bits_set, doubled, lanes_in, lanes_of, lowest_bit, nothing, resized
from lehr.simulate.fast.vector import data, list_bits, load, load_like, peek, poke, store, word_at

FIELDS: tuple[str, ...] = ("channels", "height", "width", "out", "out_height", "out_width", "kernel_height", "kernel_width")
FIELDS += ("stride_y", "stride_x", "pad_y", "pad_x", "narrow")
WORD = 56
"""Bits that one reading of eight bytes gives wherever it begins."""


@inlined
def list_spikes(bits: Any, start: Any, count: Any, label: Any, events: Any, k: Any, positions: Any) -> Any:
    """List the bits that are set among `count` from `start` on, as `label` plus their place, from `events[k]` on; where the list ends."""
    done = 0
    while done < count:
        word = word_at(bits, start + done) & ((1 << min(count - done, WORD)) - 1)
        base = label + done
        while word != 0:
            byte = word & 255
            list_bits(positions, byte, base, events, k)
            k += bits_set(byte)
            word >>= 8
            base += 8
        done += WORD
    return k


@inlined
def _row(weights: Any, number: Any, lanes: Any) -> Any:
    return load(weights, number * lanes_in(lanes), lanes)


@inlined
def _eight(weights: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, narrow: Any, lanes: Any) -> Any:
    """The sum of eight rows, in 16 bits."""
    p, q, r, s = _row(weights, a, lanes), _row(weights, b, lanes), _row(weights, c, lanes), _row(weights, d, lanes)
    t, u, v, w = _row(weights, e, lanes), _row(weights, f, lanes), _row(weights, g, lanes), _row(weights, h, lanes)
    if narrow:
        return doubled(add(add(add(p, q), add(r, s)), add(add(t, u), add(v, w))))
    first = add(add(doubled(p), doubled(q)), add(doubled(r), doubled(s)))
    return add(first, add(add(doubled(t), doubled(u)), add(doubled(v), doubled(w))))


@inlined
def _gathered(weights: Any, events: Any, start: Any, stop: Any, shift: Any, none: Any, narrow: Any, sums: Any, lanes: Any) -> Any:
    """The sum of the rows `events[start:stop] + shift`, in the type of `sums`; row `none` is all zeros."""
    total = nothing(sums, lanes)
    i = start
    while i + 8 <= stop:
        a, b, c, d = peek(events, i), peek(events, i + 1), peek(events, i + 2), peek(events, i + 3)
        e, f, g, h = peek(events, i + 4), peek(events, i + 5), peek(events, i + 6), peek(events, i + 7)
        a, b, c, d, e, f, g, h = a + shift, b + shift, c + shift, d + shift, e + shift, f + shift, g + shift, h + shift
        total = add(total, resized(_eight(weights, a, b, c, d, e, f, g, h, narrow, lanes), total))
        i += 8
    if i < stop:
        a = peek(events, i) + shift
        b = peek(events, i + 1) + shift if i + 1 < stop else none
        c = peek(events, i + 2) + shift if i + 2 < stop else none
        d = peek(events, i + 3) + shift if i + 3 < stop else none
        e = peek(events, i + 4) + shift if i + 4 < stop else none
        f = peek(events, i + 5) + shift if i + 5 < stop else none
        g = peek(events, i + 6) + shift if i + 6 < stop else none
        total = add(total, resized(_eight(weights, a, b, c, d, e, f, g, none, narrow, lanes), total))
    return total


@inlined
def _put(total: Any, sums: Any, at: Any, count: Any, fresh: Any, buffer: Any) -> None:
    """Write the first `count` lanes to `sums[at]` and after it, or add them to what is there."""
    if count >= lanes_of(total):
        store(sums, at, total if fresh else add(load_like(sums, at, total), total))
        return
    store(buffer, 0, total)
    for j in range(count):
        poke(sums, at + j, peek(buffer, j) + (0 if fresh else peek(sums, at + j)))


@inlined
def _list_strip(bits: Any, source: Any, shape: Any, column: Any, events: Any, starts: Any, positions: Any) -> None:
    """List the spikes of one strip, and where in the list each row begins."""
    channels, height, width, kernel_width, stride_x, pad_x = shape
    left = column * stride_x - pad_x
    x0, x1 = max(left, 0), min(left + kernel_width, width)
    k = 0
    for y in range(height):
        poke(starts, y, k)
        label = (y * kernel_width + x0 - left) * channels
        k = list_spikes(bits, source + (y * width + x0) * channels, (x1 - x0) * channels, label, events, k, positions)
    poke(starts, height, k)


@inlined
def _list_strips(bits: Any, source: Any, shape: Any, out_width: Any, columns: Any, events: Any, starts: Any, room: Any) -> None:
    """The same for all strips at once: each spike is put on the lists of the few strips that hold it."""
    channels, height, width, kernel_width, stride_x, pad_x = shape
    for column in range(out_width):
        poke(starts, column * (height + 1), column * room)
    for y in range(height):
        for column in range(out_width):
            at = column * (height + 1) + y
            poke(starts, at + 1, peek(starts, at))
        row = y * width * channels
        for done in range(0, width * channels, WORD):
            word = word_at(bits, source + row + done) & ((1 << min(width * channels - done, WORD)) - 1)
            while word != 0:
                place = done + lowest_bit(word)
                word &= word - 1
                for column in range(peek(columns, 2 * place), peek(columns, 2 * place + 1)):
                    at = column * (height + 1) + y + 1
                    k = peek(starts, at)
                    poke(events, k, y * kernel_width * channels + place - (column * stride_x - pad_x) * channels)
                    poke(starts, at, k + 1)


@compiled
def gather(
    spikes: Any,
    rows_of_weights: Any,
    into: Any,
    shape: Any,
    sizes: Any,
    rows: Any,
    columns: Any,
    listed: Any,
    marks: Any,
    spare: Any,
    lanes: Any,
    table: Any,
) -> None:
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        rows_of_weights: int8 `[blocks of outputs, taps + 1, lanes]`, taps in the order (y, x, channel); the last row of a block is zeros.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: of the convolution, see FIELDS; `narrow` says whether eight weights add up to no more than an int8.
        sizes: samples, steps, bits in a row of `spikes`, elements in a row of `into`, whether to overwrite what is there.
        rows: of `spikes` and `into` each: the row of the first sample's first step, from sample to sample, from step to step.
        columns: int32 `[bits in a row of the input, 2]`, the first output column that sees a bit and the one after the last; empty for
            lists made strip by strip, which is quicker where a strip's rows have many bits.
        listed: uint32, room for as many events as a strip has bits, and 8; with `columns` for all strips.
        marks: int64 `[height + 1]`; with `columns` for each strip.
        spare: of the type of `into`, room for one block.
        lanes: the token of a block's width.
        table: layout.POSITIONS.
    """
    bits, weights, sums, events, starts = data(spikes), data(rows_of_weights), data(into), data(listed), data(marks)
    buffer, positions, seen_by = data(spare), data(table), data(columns)
    channels, height, width, out, out_height, out_width = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    kernel_height, kernel_width, stride_y, stride_x, pad_y, pad_x = shape[6], shape[7], shape[8], shape[9], shape[10], shape[11]
    narrow, fresh, line, wide, at_once = shape[12] != 0, sizes[4] != 0, kernel_width * channels, lanes_in(lanes), columns.size > 0
    none, strip = kernel_height * line, (channels, height, width, kernel_width, stride_x, pad_x)
    for n in range(sizes[0]):
        source, target = (rows[0] + n * rows[1]) * sizes[2], (rows[3] + n * rows[4]) * sizes[3]
        for _ in range(sizes[1]):
            if at_once:
                _list_strips(bits, source, strip, out_width, seen_by, events, starts, height * line)
            for column in range(out_width):
                if not at_once:
                    _list_strip(bits, source, strip, column, events, starts, positions)
                mark = column * (height + 1) if at_once else 0
                for row in range(out_height):
                    top = row * stride_y - pad_y
                    y0 = min(max(top, 0), height)
                    y1 = max(min(top + kernel_height, height), y0)
                    start, stop = peek(starts, mark + y0), peek(starts, mark + y1)
                    at, first = target + (row * out_width + column) * out, 0
                    for block in range(0, out, wide):
                        total = _gathered(weights, events, start, stop, first - top * line, first + none, narrow, sums, lanes)
                        _put(total, sums, at + block, out - block, fresh, buffer)
                        first += none + 1
            source += rows[2] * sizes[2]
            target += rows[5] * sizes[3]
