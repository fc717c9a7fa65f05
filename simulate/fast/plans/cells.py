"""Convolutions on spikes as `kernels.cells` takes them: how cells are cut, and their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast.kernels.layout import BIT_ROWS, SMALL, WORD, Cells
from lehr.simulate.fast.plans.buffers import Buffer, flat_aligned, padded
from lehr.simulate.fast.plans.flows import AddCells
from lehr.simulate.fast.plans.windows import Window, into_size

Array = npt.NDArray[Any]
READABLE = 57
"""Bits that one reading gives wherever they begin; all of a word where it is on a byte."""
EVENTS = 16
"""Events that the sums of int8 hold, at least: with fewer, they would be put away all the time."""
TOGETHER, TALL, MOST_OUT, TALL_OUT = 3, 6, 64, 32
"""Rows and columns of cells whose sums fit into registers; and outputs for which this is fastest.

More rows, up to TALL, are passed by several times, which pays for up to TALL_OUT outputs. This and
what follows was measured at 3 to 25 % of spikes against rows of weights that a list names.
"""
BITS, TALL_BITS = 16, 32
"""Bits of a cell from which on this is fastest, and where cells are passed by several times."""
KEPT, MOST = 1 << 10, 16
"""Words of cells that are kept at once, and of how many steps at most."""


def widened(window: Window, source: Buffer) -> Window:
    """Return a window that makes two neighbours in a row at once, where that is faster.

    They are outputs of one window that is wider by a stride.
    """
    out, channels, height, width = window.weight.shape
    step, columns = window.stride[1], into_size(window, source.maps)[1]
    if columns % 2 or (out > 16 and -(-width // step) <= TOGETHER):
        return window
    both = np.zeros((2 * out, channels, height, width + step), window.weight.dtype)
    both[:out, :, :, :width] = both[out:, :, :, step:] = window.weight
    return replace(window, weight=both, stride=(window.stride[0], 2 * step))


def by_cells(window: Window, source: Buffer) -> bool:
    """Return whether cells are the fastest way to compute a window."""
    out, wide = len(window.weight), widened(window, source)
    (rows, columns), (height, width) = _seen(wide), _cell(wide)
    sizes, bits = into_size(wide, source.maps), height * width * source.shape[0]
    tall = rows > TOGETHER
    return (
        int(np.abs(wide.weight).max()) * EVENTS <= SMALL
        and columns <= TOGETHER
        and rows <= TALL
        and rows <= sizes[0]
        and columns <= sizes[1]
        and out <= (TALL_OUT if tall else MOST_OUT)
        and bits >= (TALL_BITS if tall else BITS)
    )


def add_cells(window: Window, source: Buffer, into: Buffer, lag: int) -> AddCells:
    """Return the operation for a window over feature maps of bits."""
    window = widened(window, source)
    columns, lanes = _seen(window)[1], lanes_for(len(window.weight))
    shape = _shape(window, source)
    return AddCells(
        source,
        into,
        lag,
        flat_aligned(_weights(window, shape, columns, lanes)),
        shape,
        _places(window, shape),
        (0,) * (lanes // 32),
        (0,) * columns,
    )


def lanes_for(out: int) -> int:
    """Return how many outputs are summed together."""
    return 16 if out <= 16 else 32 if out <= 32 else 64


def _seen(window: Window) -> tuple[int, int]:
    """Return rows and columns of cells that an output sees."""
    (height, width), (y, x) = window.weight.shape[2:], window.stride
    return -(-height // y), -(-width // x)


def _cell(window: Window) -> tuple[int, int]:
    """Return rows and columns of pixels in a cell, without those that no window sees."""
    (height, width), (y, x) = window.weight.shape[2:], window.stride
    return min(height, y), min(width, x)


def _shape(window: Window, source: Buffer) -> Cells:
    out, channels = window.weight.shape[:2]
    sizes, (rows, columns), (height, width) = (
        into_size(window, source.maps),
        _seen(window),
        _cell(window),
    )
    aligned = channels % 8 == 0
    parts = -(-width * channels // (WORD if aligned else READABLE))
    bits = padded(-(-width * channels // parts), 8 if aligned else 1)
    rows_in_word = WORD // bits if parts == 1 else 1
    words = parts * -(-height // rows_in_word)
    high, wide = sizes[0] - 1 + rows, sizes[1] - 1 + columns
    return Cells(
        channels,
        *source.maps,
        out,
        *sizes,
        *window.stride,
        *window.padding,
        cell_height=height,
        cells_high=high,
        cells_wide=wide,
        parts=parts,
        part_bits=bits,
        rows_in_word=rows_in_word,
        words=words,
        rows=rows,
        limit=SMALL // max(1, int(np.abs(window.weight).max())),
        batch=max(1, min(MOST, KEPT // (high * wide * words))),
    )


def _weights(window: Window, shape: Cells, columns: int, lanes: int) -> Array:
    """Return int8 `[blocks of outputs, words, BIT_ROWS, rows, columns, lanes]`."""
    out, channels, height, width = window.weight.shape
    (y_step, x_step), (high, wide), blocks = window.stride, _cell(window), -(-out // lanes)
    taps = np.zeros(
        (shape.rows * y_step, columns * x_step, channels, blocks * lanes), window.weight.dtype
    )
    taps[:height, :width, :, :out] = window.weight.transpose(2, 3, 1, 0)
    taps = taps.reshape(shape.rows, y_step, columns, x_step, channels, blocks, lanes)
    taps = taps[:, :high, :, :wide].transpose(5, 1, 3, 4, 0, 2, 6)
    taps = taps.reshape(blocks, high, wide * channels, shape.rows, columns, lanes)
    weights = np.zeros((blocks, shape.words, BIT_ROWS, *taps.shape[3:]), np.int8)
    for y in range(high):
        for part in range(shape.parts):
            word = y // shape.rows_in_word * shape.parts + part
            first = y % shape.rows_in_word * shape.part_bits
            own = taps[:, y, part * shape.part_bits : (part + 1) * shape.part_bits]
            weights[:, word, first : first + own.shape[1]] = own
    return weights


def _places(window: Window, shape: Cells) -> Array:
    """Return int64 `[parts, columns of cells, 3]`, see `cells._cut`."""
    wide, places = _cell(window)[1], np.zeros((shape.parts, shape.cells_wide, 3), np.uint64)
    for part in range(shape.parts):
        for x in range(shape.cells_wide):
            left = x * shape.stride_x - shape.pad_x
            first = max(-left * shape.channels, part * shape.part_bits, 0)
            last = min(min(wide, shape.width - left) * shape.channels, (part + 1) * shape.part_bits)
            if last > first:
                place, shift = left * shape.channels + first, first - part * shape.part_bits
                places[part, x] = place, (1 << last - first) - 1, shift
    return places.view(np.int64).reshape(-1)
