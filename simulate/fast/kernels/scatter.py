"""The general way: whatever is not 0 adds its value times its weights to every output it reaches.

It takes any convolution (stride, padding, dilation, groups), pooling and linear layer, on bits and
on integers, and is as exact in any of its types as the sums are proven to fit them; int64 wraps
where the reference does.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import add, lowest_bit, mul, resized
from lehr.simulate.fast.kernels.layout import Reached, Rows, ScatterSizes
from lehr.simulate.fast.kernels.vector import data, load, peek, poke, read, store

PLACE = 8
"""Numbers that tell of the place of an element in the input."""


@inlined
def _add_row(sums: Any, at: Any, weights: Any, row: Any, count: Any, value: Any) -> None:
    """Add `value` times a row of weights."""
    j = 0
    while j + 16 <= count:
        before = load(sums, at + j, ())
        store(sums, at + j, add(before, mul(resized(load(weights, row + j, ()), before), value)))
        j += 16
    while j < count:
        poke(sums, at + j, peek(sums, at + j) + value * peek(weights, row + j))
        j += 1


@inlined
def _reach(
    sums: Any, target: Any, weights: Any, shape: Any, places: Any, index: Any, value: Any
) -> None:
    """Add one value, at flat place `index` of the input, to all outputs that see it."""
    out, kernel_width, stride_x, each, per = (
        shape.out,
        shape.kernel_width,
        shape.stride_x,
        shape.each,
        shape.per,
    )
    dilation_y, dilation_x = shape.dilation_y, shape.dilation_x
    at = PLACE * index
    y, x, group, inner = (
        peek(places, at),
        peek(places, at + 1),
        peek(places, at + 2),
        peek(places, at + 3),
    )
    top, bottom, left, right = (
        peek(places, at + 4),
        peek(places, at + 5),
        peek(places, at + 6),
        peek(places, at + 7),
    )
    kernel = group * shape.kernel_height * kernel_width
    for row in range(top, bottom):
        ky = y - row * shape.stride_y
        into = target + (row * shape.out_width + left) * out + group * per
        if dilation_y == 1 and dilation_x == 1:
            tap = ((kernel + ky * kernel_width + x - left * stride_x) * each + inner) * per
            for _ in range(left, right):
                _add_row(sums, into, weights, tap, per, value)
                into += out
                tap -= stride_x * each * per
        elif ky % dilation_y == 0:
            for column in range(left, right):
                kx = x - column * stride_x
                if kx % dilation_x == 0:
                    tap = kernel + ky // dilation_y * kernel_width + kx // dilation_x
                    _add_row(sums, into, weights, (tap * each + inner) * per, per, value)
                into += out


@compiled
def scatter(
    values: Any, weights: Any, places: Any, into: Any, shape: Any, sizes: Any, rows: Any
) -> None:
    """Add to `into` what a convolution makes of integers.

    Args:
        values: rows of `[height, width, channels]` and padding.
        weights: `[groups, kernel height, kernel width, channels / groups, out channels / groups]`.
        places: int32 `[values, 8]`: of each value its row and column in the padded input, its
            group, its channel within the group; the first row of outputs that sees it and the one
            after the last; and such columns.
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Reached.
        sizes: layout.ScatterSizes.
        rows: layout.Rows of `values` and `into` each.
    """
    source, row, where, sums, whole = (
        data(values),
        data(weights),
        data(places),
        data(into),
        read(Reached, shape, 0),
    )
    s, here, there = read(ScatterSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for i in range(s.size):
                value = peek(source, at + i)
                if value != 0:
                    _reach(sums, target, row, whole, where, i, value)
            at += here.step * s.row
            target += there.step * s.into


@compiled
def scatter_bits(
    spikes: Any, weights: Any, places: Any, into: Any, shape: Any, sizes: Any, rows: Any
) -> None:
    """Scatter spikes in rows of words; how many elements are not padding is not asked."""
    source, row, where, sums, whole = (
        data(spikes),
        data(weights),
        data(places),
        data(into),
        read(Reached, shape, 0),
    )
    s, here, there = read(ScatterSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for i in range(s.row):
                word = peek(source, at + i)
                while word != 0:
                    _reach(sums, target, row, whole, where, 64 * i + lowest_bit(word), 1)
                    word &= word - 1
            at += here.step * s.row
            target += there.step * s.into


@compiled
def repeat_bits(spikes: Any, places: Any, into: Any, sizes: Any, rows: Any) -> None:
    """Set the bits of each spike's places, as many for one as for another, in rows of words."""
    source, words, where = data(spikes), data(into), data(places)
    s, here, there = read(ScatterSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    each = places.size // s.size
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for i in range(s.row):
                word = peek(source, at + i)
                while word != 0:
                    first = (64 * i + lowest_bit(word)) * each
                    for k in range(first, first + each):
                        bit = peek(where, k)
                        j = target + (bit >> 6)
                        poke(words, j, peek(words, j) | (1 << (bit & 63)))
                    word &= word - 1
            at += here.step * s.row
            target += there.step * s.into


@compiled
def copy(values: Any, order: Any, into: Any, sizes: Any, rows: Any) -> None:
    """Add integers to others, element by element; `order`, if not empty, says where each goes."""
    source, sums, places, ordered = data(values), data(into), data(order), order.size > 0
    s, here, there = read(ScatterSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for i in range(s.size):
                j = target + (peek(places, i) if ordered else i)
                poke(sums, j, peek(sums, j) + peek(source, at + i))
            at += here.step * s.row
            target += there.step * s.into


@compiled
def copy_bits(spikes: Any, order: Any, into: Any, sizes: Any, rows: Any) -> None:
    """Scatter spikes in rows of words; how many elements are not padding is not asked."""
    source, sums, places, ordered = data(spikes), data(into), data(order), order.size > 0
    s, here, there = read(ScatterSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            for i in range(s.row):
                word = peek(source, at + i)
                while word != 0:
                    place = 64 * i + lowest_bit(word)
                    j = target + (peek(places, place) if ordered else place)
                    poke(sums, j, peek(sums, j) + 1)
                    word &= word - 1
            at += here.step * s.row
            target += there.step * s.into
