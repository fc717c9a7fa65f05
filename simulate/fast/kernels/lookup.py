"""Convolutions with narrow kernels on spikes, by tables of sums.

What one costs does not depend on how many spikes there are.

Each row of a kernel is cut into groups of six bits. A table has, for each of the 64 values of a
group, the sum of the rows of weights whose bits are set; an output is the sum of one entry for each
group of its window. Tables are so small that they stay in the first cache.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import add, apart, doubled, lanes_in, nothing, resized
from lehr.simulate.fast.kernels.layout import GROUP, FlowSizes, Rows, Window
from lehr.simulate.fast.kernels.strips import put
from lehr.simulate.fast.kernels.vector import beyond, data, load, peek, poke, read, word_at


@inlined
def _list_strip(
    bits: Any, source: Any, shape: Any, left: Any, scale: Any, groups: Any, listed: Any
) -> None:
    """List the groups that one column of outputs sees, row by row from the top.

    Each is `scale` times its value.
    """
    channels, height, width, kernel_width = shape
    x0, x1 = min(max(left, 0), width), min(left + kernel_width, width)
    start, offset, mask = (
        source + x0 * channels,
        (x0 - left) * channels,
        (1 << max(x1 - x0, 0) * channels) - 1,
    )
    k = 0
    for _ in range(height):
        word = (word_at(bits, start) & mask) << offset
        for _ in range(groups):
            poke(listed, k, (word & ((1 << GROUP) - 1)) * scale)
            word >>= GROUP
            k += 1
        start += width * channels


@inlined
def _entry(tables: Any, group: Any, value: Any, size: Any, like: Any, lanes: Any) -> Any:
    return resized(load(beyond(tables, group * size), value, lanes), like)


@inlined
def _looked_up(
    tables: Any, listed: Any, start: Any, stop: Any, size: Any, like: Any, lanes: Any
) -> Any:
    """Return the sum of the entries that `listed[start:stop]` names.

    Tables of `size` elements follow each other.
    """
    total, i = like, start
    while i + 4 <= stop:
        a, b = (
            _entry(tables, 0, peek(listed, i), size, like, lanes),
            _entry(tables, 1, peek(listed, i + 1), size, like, lanes),
        )
        c, d = (
            _entry(tables, 2, peek(listed, i + 2), size, like, lanes),
            _entry(tables, 3, peek(listed, i + 3), size, like, lanes),
        )
        total = add(total, apart(add(add(a, b), add(c, d))))
        tables = beyond(tables, 4 * size)
        i += 4
    while i < stop:
        total = add(total, _entry(tables, 0, peek(listed, i), size, like, lanes))
        tables = beyond(tables, size)
        i += 1
    return total


@compiled
def look_up(
    spikes: Any,
    tables: Any,
    into: Any,
    shape: Any,
    sizes: Any,
    rows: Any,
    listed: Any,
    spare: Any,
    lanes: Any,
) -> None:
    """Make of spikes what a convolution makes of them.

    Args:
        spikes: bits, rows of words, channels last.
        tables: int8 `[kernel height, groups, 64, lanes]`.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Window; `narrow` says whether every sum of weights fits an int8, otherwise it
            fits an int16.
        sizes: layout.FlowSizes.
        rows: layout.Rows of `spikes` and `into` each.
        listed: uint32 `[height, groups]`.
        spare: of the type of `into`, room for `lanes`.
        lanes: a token, of at least as many as there are outputs.
    """
    bits, all_tables, sums, fields, buffer = (
        data(spikes),
        data(tables),
        data(into),
        data(listed),
        data(spare),
    )
    w, s, here, there = (
        read(Window, shape, 0),
        read(FlowSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    height, out, wide, groups = (
        w.height,
        w.out,
        lanes_in(lanes),
        (w.kernel_width * w.channels + GROUP - 1) // GROUP,
    )
    strip, size, zeros = (
        (w.channels, height, w.width, w.kernel_width),
        wide << GROUP,
        nothing(all_tables, lanes),
    )
    narrow, fresh = w.narrow != 0, s.fresh != 0
    for n in range(s.samples):
        source, target = (
            (here.first + n * here.sample) * s.bits,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for column in range(w.out_width):
                _list_strip(
                    bits, source, strip, column * w.stride_x - w.pad_x, wide, groups, fields
                )
                top, at = -w.pad_y, target + column * out
                for _ in range(w.out_height):
                    y0, y1 = min(max(top, 0), height), max(min(top + w.kernel_height, height), 0)
                    seen = beyond(all_tables, (y0 - top) * groups * size)
                    start, stop = y0 * groups, y1 * groups
                    if narrow:
                        total = resized(
                            _looked_up(seen, fields, start, stop, size, zeros, lanes),
                            nothing(sums, lanes),
                        )
                    else:
                        total = resized(
                            _looked_up(seen, fields, start, stop, size, doubled(zeros), lanes),
                            nothing(sums, lanes),
                        )
                    put(total, sums, at, out, fresh, buffer)
                    top += w.stride_y
                    at += w.out_width * out
            source += here.step * s.bits
            target += there.step * s.into
