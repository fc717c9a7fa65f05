"""Convolutions and linear layers on spikes: each output adds up rows of weights that a list names.

The columns of the input that one column of outputs sees make a strip. It is listed once, row by row
from the top, so that what one output sees is one contiguous slice of the list; its sum is made in
registers, as int8 for as many rows as the planner has proven to fit, then as int16. A linear layer
is the convolution whose strip is all of its input.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    apart,
    bits_set,
    doubled,
    lanes_in,
    lanes_of,
    nothing,
    resized,
    select,
)
from lehr.simulate.fast.kernels.layout import FlowSizes, Rows, Window
from lehr.simulate.fast.kernels.vector import (
    beyond,
    data,
    eight,
    list_bits,
    load,
    load_like,
    peek,
    poke,
    read,
    store,
    word_at,
)

UNIT = 32
"""Bits that are listed without a look at each byte, unless none of them is set."""


@inlined
def list_spikes(
    bits: Any, start: Any, count: Any, label: Any, scale: Any, events: Any, k: Any, positions: Any
) -> Any:
    """List the bits that are set among `count` from `start` on, from `events[k]` on.

    A bit is listed as `scale` times the sum of its place and `label`; `positions` are from
    `layout.scaled_positions`.
    """
    further = eight(8 * scale)
    for done in range(0, count, UNIT):
        word = word_at(bits, start + done) & ((1 << min(count - done, UNIT)) - 1)
        if word != 0:
            base = eight((label + done) * scale)
            for part in range(UNIT // 8):
                byte = word >> 8 * part & 255
                list_bits(positions, byte, base, events, k)
                base = add(base, further)
                k += bits_set(byte)
    return k


@inlined
def _list_strip(
    bits: Any,
    source: Any,
    shape: Any,
    left: Any,
    scale: Any,
    events: Any,
    starts: Any,
    positions: Any,
) -> None:
    """List one strip, and where in the list each row begins."""
    channels, height, width, kernel_width = shape
    x0, x1 = min(max(left, 0), width), min(left + kernel_width, width)
    k, label, start = 0, (x0 - left) * channels, source + x0 * channels
    for y in range(height):
        poke(starts, y, k)
        k = list_spikes(bits, start, (x1 - x0) * channels, label, scale, events, k, positions)
        start += width * channels
        label += kernel_width * channels
    poke(starts, height, k)


@inlined
def _eight(
    weights: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
    like: Any,
    lanes: Any,
) -> Any:
    """Return the sum of eight rows, in lanes as wide as those of `like`."""
    p, q = resized(load(weights, a, lanes), like), resized(load(weights, b, lanes), like)
    r, s = resized(load(weights, c, lanes), like), resized(load(weights, d, lanes), like)
    t, u = resized(load(weights, e, lanes), like), resized(load(weights, f, lanes), like)
    v, w = resized(load(weights, g, lanes), like), resized(load(weights, h, lanes), like)
    return add(apart(add(add(p, q), add(r, s))), apart(add(add(t, u), add(v, w))))


@inlined
def _gathered(
    weights: Any,
    events: Any,
    start: Any,
    stop: Any,
    none: Any,
    chunk: Any,
    like: Any,
    sums: Any,
    lanes: Any,
) -> Any:
    """Return the sum of the rows that `events[start:stop]` names, in the type of `sums`.

    Of each `chunk` of rows the sum is made in lanes as wide as those of `like`, zeros; row `none`
    is all zeros.
    """
    total = nothing(sums, lanes)
    i = start
    while i < stop:
        last, part = min(stop, i + chunk), like
        while i + 8 <= last:
            a, b, c, d = (
                peek(events, i),
                peek(events, i + 1),
                peek(events, i + 2),
                peek(events, i + 3),
            )
            e, f, g, h = (
                peek(events, i + 4),
                peek(events, i + 5),
                peek(events, i + 6),
                peek(events, i + 7),
            )
            part = add(part, _eight(weights, a, b, c, d, e, f, g, h, like, lanes))
            i += 8
        left = last - i
        if left > 0:  # what the list holds beyond is read, too, which takes no branch, and not used
            a, b, c, d = (
                peek(events, i),
                peek(events, i + 1),
                peek(events, i + 2),
                peek(events, i + 3),
            )
            e, f, g = peek(events, i + 4), peek(events, i + 5), peek(events, i + 6)
            b, c, d = (
                select(left > 1, b, none),
                select(left > 2, c, none),
                select(left > 3, d, none),
            )
            e, f, g = (
                select(left > 4, e, none),
                select(left > 5, f, none),
                select(left > 6, g, none),
            )
            part = add(part, _eight(weights, a, b, c, d, e, f, g, none, like, lanes))
            i = last
        total = add(total, resized(part, total))
    return total


@inlined
def put(total: Any, sums: Any, at: Any, count: Any, fresh: Any, buffer: Any) -> None:
    """Write the first `count` lanes to `sums[at]` and after it, or add them to what is there."""
    if count >= lanes_of(total):
        store(sums, at, total if fresh else add(load_like(sums, at, total), total))
        return
    store(buffer, 0, total)
    for j in range(count):
        poke(sums, at + j, peek(buffer, j) + (0 if fresh else peek(sums, at + j)))


@compiled
def gather(
    spikes: Any, rows_of_weights: Any, into: Any, shape: Any, sizes: Any, rows: Any, listed: Any,
    marks: Any, spare: Any, lanes: Any,
    table: Any,
) -> None:  # fmt: skip
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        rows_of_weights: int8 `[blocks of outputs, rows + 1, lanes]`: a row for each tap in the
            order (y, x, channel). The last row of a block is zeros.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Window.
        sizes: layout.FlowSizes.
        rows: layout.Rows of `spikes` and `into` each.
        listed: uint32, room for as many events as a strip has bits, and SPARE.
        marks: int64 `[height + 1]`.
        spare: of the type of `into`, room for one block.
        lanes: the token of a block's width.
        table: from `layout.scaled_positions`, for the width of a block.
    """
    bits, all_weights, sums, events, starts = (
        data(spikes),
        data(rows_of_weights),
        data(into),
        data(listed),
        data(marks),
    )
    buffer, positions, wide = data(spare), data(table), lanes_in(lanes)
    w, s, here, there = (
        read(Window, shape, 0),
        read(FlowSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    height, out, narrow, fresh, line = (
        w.height,
        w.out,
        w.narrow != 0,
        s.fresh != 0,
        w.kernel_width * w.channels,
    )
    block, strip = (
        (w.kernel_height * line + 1) * wide,
        (w.channels, height, w.width, w.kernel_width),
    )
    zeros, line, chunk = nothing(all_weights, lanes), line * wide, w.chunk
    for n in range(s.samples):
        source, target = (
            (here.first + n * here.sample) * s.bits,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for column in range(w.out_width):
                _list_strip(
                    bits,
                    source,
                    strip,
                    column * w.stride_x - w.pad_x,
                    wide,
                    events,
                    starts,
                    positions,
                )
                top, at = -w.pad_y, target + column * out
                for _ in range(w.out_height):
                    start, stop = (
                        peek(starts, min(max(top, 0), height)),
                        peek(starts, max(min(top + w.kernel_height, height), 0)),
                    )
                    weights, none = beyond(all_weights, -top * line), block - wide + top * line
                    for done in range(0, out, wide):
                        if narrow:
                            total = _gathered(
                                weights, events, start, stop, none, chunk, zeros, sums, lanes
                            )
                        else:
                            total = _gathered(
                                weights,
                                events,
                                start,
                                stop,
                                none,
                                chunk,
                                doubled(zeros),
                                sums,
                                lanes,
                            )
                        put(total, sums, at + done, out - done, fresh, buffer)
                        weights = beyond(weights, block)
                    top += w.stride_y
                    at += w.out_width * out
            source += here.step * s.bits
            target += there.step * s.into
