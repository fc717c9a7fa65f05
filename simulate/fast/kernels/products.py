"""Convolutions on bytes: values times weights, two at once, of which the sums stay in registers.

Processors multiply 16-bit integers in pairs and add the two products. Bytes are copied as int16
into maps with the padding around them, so that a row of a window is one run of values.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import add, lanes_in, nothing, pair_products, resized
from lehr.simulate.fast.kernels.layout import FlowSizes, Rows, Window
from lehr.simulate.fast.kernels.strips import put
from lehr.simulate.fast.kernels.vector import beyond, data, peek, poke, read


@compiled
def multiply(
    values: Any, weights: Any, into: Any, shape: Any, sizes: Any, rows: Any, padded: Any,
    spare: Any, lanes: Any,
) -> None:  # fmt: skip
    """Make of bytes what a convolution makes of them.

    Args:
        values: uint8, rows of `[height, width, channels]` and padding.
        weights: int16 `[blocks of outputs, kernel height, pairs, lanes, 2]`: of pairs in a row of
            the kernel, in the order (x, channel).
        into: the sums, rows of `[out height, out width, out channels]` and padding.
        shape: layout.Window.
        sizes: layout.FlowSizes, with elements in place of bits.
        rows: layout.Rows of `values` and `into` each.
        padded: int16 `[height + 2 pad_y, width + 2 pad_x, channels]` and one more; zeros.
        spare: of the type of `into`, room for one block.
        lanes: the token of a block's width.
    """
    source, all_weights, sums = data(values), data(weights), data(into)
    maps, buffer, wide = data(padded), data(spare), lanes_in(lanes)
    w, s, here, there = (
        read(Window, shape, 0),
        read(FlowSizes, sizes, 0),
        read(Rows, rows, 0),
        read(Rows, rows, 3),
    )
    line, fresh = (w.width + 2 * w.pad_x) * w.channels, s.fresh != 0
    pairs = (w.kernel_width * w.channels + 1) // 2
    for n in range(s.samples):
        for t in range(s.steps):
            at = (here.first + n * here.sample + t * here.step) * s.bits
            for y in range(w.height):
                row = (y + w.pad_y) * line + w.pad_x * w.channels
                for x in range(row, row + w.width * w.channels):
                    poke(maps, x, peek(source, at))
                    at += 1
            at = (there.first + n * there.sample + t * there.step) * s.into
            for y in range(w.out_height):
                for x in range(w.out_width):
                    first = y * w.stride_y * line + x * w.stride_x * w.channels
                    window, taps = beyond(maps, first), all_weights
                    for done in range(0, w.out, wide):
                        total = _products(window, taps, w.kernel_height, line, pairs, lanes)
                        put(
                            resized(total, nothing(sums, lanes)),
                            sums, at + done, w.out - done, fresh, buffer,
                        )  # fmt: skip
                        taps = beyond(taps, w.kernel_height * pairs * 2 * wide)
                    at += w.out


@inlined
def _products(window: Any, weights: Any, height: Any, line: Any, pairs: Any, lanes: Any) -> Any:
    """Return the sum of all values of a window times their weights."""
    wide, k = 2 * lanes_in(lanes), 0
    total = pair_products(window, 0, weights, 0, lanes)
    for k in range(1, pairs):
        total = add(total, pair_products(window, 2 * k, weights, k * wide, lanes))
    for _ in range(1, height):
        window, weights = beyond(window, line), beyond(weights, pairs * wide)
        for k in range(pairs):
            total = add(total, pair_products(window, 2 * k, weights, k * wide, lanes))
    return total
