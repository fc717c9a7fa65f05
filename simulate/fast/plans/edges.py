"""The kernels that compute edges of the network, and their weights as each has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT, Linear
from lehr.simulate.fast import machine
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.kernels.layout import EIGHT, LINE, MANY_WORDS, OUTPUTS, SMALL
from lehr.simulate.fast.plans.buffers import (
    WORD,
    Buffer,
    aligned,
    flat_aligned,
    order_of,
    padded,
)
from lehr.simulate.fast.plans.cells import add_cells, by_cells, lanes_for
from lehr.simulate.fast.plans.fields import cut, look_up
from lehr.simulate.fast.plans.flows import (
    CountColumns,
    CountMatches,
    Edge,
    Gather,
    Multiply,
    Scatter,
)
from lehr.simulate.fast.plans.windows import Window, into_size, seen_by
from lehr.weights import LARGEST

Array = npt.NDArray[Any]
WIDE, FEW, MATCHES = range(256, 1 << 19), 32, 4
"""Outputs whose columns are counted; up to how many matches are, and in how many digits.

These are judgements of speed.
"""
DENSE_TAPS = 192
"""Inputs of an output from which on it gathers its events.

With fewer, events scatter, unless they can be looked up.
"""
FEW_FIELDS = 16
"""Fields up to which they are looked up where cells or a list of events could be taken, too."""
INT16, WIDE_CHUNK = 2**15 - 1, 256
"""The greatest int16; how many of the greatest int8 it holds, in eights."""


def convolution(window: Window, source: Buffer, into: Buffer, lag: int) -> Edge:
    """Return the operation for a window over feature maps."""
    plain = window.groups == 1 and window.dilation == (1, 1) and into.dtype is not np.int64
    taps, largest = math.prod(window.weight.shape[1:]), int(np.abs(window.weight).max())
    bits = plain and source.bits
    way, cells = (cut(window, source), by_cells(window, source)) if bits else (None, False)
    dense = cells or (taps >= DENSE_TAPS and largest <= SMALL)
    if way is not None and not (dense and way.reads > FEW_FIELDS):
        return look_up(window, way, source, into, lag)
    if cells:
        return add_cells(window, source, into, lag)
    if bits and taps >= DENSE_TAPS and largest <= SMALL:
        return _gather(window, source, into, lag)
    if plain and source.name == INPUT and source.dtype is np.uint8 and largest <= INT16:
        return _multiply(window, source, into, lag)
    return _scatter(window, source, into, lag)


def linear(node: Linear, source: Buffer, into: Buffer, lag: int) -> Edge:
    """Return the operation for a linear layer on a value of any shape, flattened."""
    order = order_of(source.shape)
    weight = node.weight[:, order]
    out = len(weight)
    if source.bits and node.kind == "binary" and out in WIDE:
        return CountColumns(source, into, lag, _columns(weight, into.row), out)
    if source.bits and out <= FEW and _digit_count(node) <= MATCHES:
        return _matches(node, weight, source, into, lag)
    if source.bits and into.dtype is not np.int64:
        flat = Buffer(source.name, (source.size,), source.dtype, row=source.row)
        window = Window(weight[:, :, None, None].astype(np.int32), (1, 1), (0, 0), (1, 1), 1)
        gather = _gather(window, flat, into, lag)
        gather.source = source
        return gather
    places = np.tile(np.array((0, 0, 0, 0, 0, 1, 0, 1), np.int32), (source.size, 1))
    places[:, 3] = order
    shape = layout.Reached(out, 1, 1, 1, 1, 1, 1, 1, each=source.size, per=out)
    return Scatter(
        source,
        into,
        lag,
        np.ascontiguousarray(node.weight.T).reshape(-1),
        places.reshape(-1),
        shape,
    )


def wide_row(node: Linear) -> int:
    """Return how many elements the sums need in a row, if columns are counted."""
    return (
        padded(len(node.weight), LINE) if node.kind == "binary" and len(node.weight) in WIDE else 0
    )


def _gather(window: Window, source: Buffer, into: Buffer, lag: int) -> Gather:
    out, channels, _, kernel_width = window.weight.shape
    lanes, taps = lanes_for(out), window.weight.transpose(2, 3, 1, 0).reshape(-1, out)
    blocks = -(-out // lanes)
    rows = np.zeros((blocks, len(taps) + 1, lanes), np.int8)
    for block in range(blocks):
        part = taps[:, block * lanes : (block + 1) * lanes]
        rows[block, :-1, : part.shape[1]] = part
    shape, (narrow, chunk) = _shape(window, source), _chunk(taps)
    listed = shape.height * kernel_width * channels
    return Gather(
        source,
        into,
        lag,
        flat_aligned(rows),
        shape._replace(narrow=int(narrow), chunk=chunk),
        listed,
        _token(lanes),
    )


def _multiply(window: Window, source: Buffer, into: Buffer, lag: int) -> Multiply:
    out, channels, height, width = window.weight.shape
    lanes = lanes_for(out)
    blocks, pairs = -(-out // lanes), -(-width * channels // 2)
    weights = np.zeros((blocks * lanes, height, 2 * pairs), np.int16)
    taps = window.weight.transpose(0, 2, 3, 1).reshape(out, height, width * channels)
    weights[:out, :, : width * channels] = taps
    weights = weights.reshape(blocks, lanes, height, pairs, 2).transpose(0, 2, 3, 1, 4)
    shape = _shape(window, source)
    return Multiply(source, into, lag, flat_aligned(weights), shape, _token(lanes))


def _shape(window: Window, source: Buffer) -> layout.Window:
    """Return the sizes of a convolution, as kernels read them."""
    out, channels, kernel_height, kernel_width = window.weight.shape
    height, width = source.maps
    out_height, out_width = into_size(window, source.maps)
    size = (channels, height, width, out, out_height, out_width, kernel_height, kernel_width)
    return layout.Window(*size, *window.stride, *window.padding)


def _token(lanes: int) -> tuple[int, ...]:
    return (0,) * (lanes // 32)


def _chunk(taps: Array) -> tuple[bool, int]:
    """Return whether rows of weights are added as int8, and how many at most, or as int16.

    No sum of so many leaves its type.
    """
    if int(np.abs(taps).sum(axis=0).max()) <= SMALL:
        return True, len(taps)
    most = SMALL // int(np.abs(taps).max()) // 8 * 8
    return (True, most) if most else (False, WIDE_CHUNK)


def _scatter(window: Window, source: Buffer, into: Buffer, lag: int) -> Scatter:
    out, each, kernel_height, kernel_width = window.weight.shape
    channels, height, width = source.shape
    per = out // window.groups
    grouped = window.weight.reshape(
        window.groups, per, each, kernel_height, kernel_width
    ).transpose(0, 3, 4, 2, 1)
    small = int(np.abs(grouped).max()) <= SMALL
    sizes = into_size(window, (height, width))
    (y, top, bottom), (x, left, right) = (
        seen_by(window, axis, size, out)
        for axis, size, out in zip((0, 1), (height, width), sizes, strict=True)
    )
    rows, columns, channel = np.meshgrid(
        np.arange(height), np.arange(width), np.arange(channels), indexing="ij"
    )
    fields = (
        y[rows],
        x[columns],
        channel // each,
        channel % each,
        top[rows],
        bottom[rows],
        left[columns],
        right[columns],
    )
    places = np.stack(fields, axis=-1).astype(np.int32)
    shape = layout.Reached(
        out, sizes[1], kernel_height, kernel_width, *window.stride, *window.dilation, each, per
    )
    weights = np.ascontiguousarray(grouped, np.int8 if small else np.int32).reshape(-1)
    return Scatter(source, into, lag, weights, places.reshape(-1), shape)


def _columns(weight: Array, row: int) -> Array:
    """Return columns of bits, those of outputs beyond the last one as its."""
    bits = np.zeros((weight.shape[1] + 1, row), np.uint8)
    bits[:-1] = weight[np.minimum(np.arange(row), len(weight) - 1)].T > 0
    in_lines = bits.reshape(len(bits), -1, 8, LINE // 8).swapaxes(2, 3).reshape(len(bits), -1)
    words = np.packbits(in_lines, axis=1, bitorder="little").view(np.uint64)
    lines = words.reshape(len(bits), -1, LINE // WORD).swapaxes(0, 1)
    array = aligned(words.size, np.uint64)[: words.size].reshape(lines.shape)
    array[:] = lines
    return array


def _digit_count(node: Linear) -> int:
    return 1 if node.kind == "binary" else LARGEST[node.kind].bit_length() + 1


def _matches(node: Linear, weight: Array, source: Buffer, into: Buffer, lag: int) -> CountMatches:
    """Weights of +-1 are twice a bit less 1; others are the bits of two's complement."""
    out, count = len(weight), _digit_count(node)
    planes = (
        [weight > 0]
        if node.kind == "binary"
        else [(weight.astype(np.int16) >> k) & 1 for k in range(count)]
    )
    worth = (
        [2] if node.kind == "binary" else [*(1 << k for k in range(count - 1)), -(1 << (count - 1))]
    )
    blocks, read = -(-out // OUTPUTS), source.row
    adders = read >= MANY_WORDS and not machine.counts_bits()
    if adders:  # in eights, which may reach beyond a row
        read = padded(read, EIGHT)
    each = np.zeros(blocks * OUTPUTS, np.int64)
    each[:out] = -1 if node.kind == "binary" else 0
    bits = np.zeros((count, blocks * OUTPUTS, read * WORD), np.uint8)
    for k, plane in enumerate(planes):
        bits[k, :out, : weight.shape[1]] = plane
    words = np.packbits(bits, axis=2, bitorder="little").view(np.uint64)
    digits = words.reshape(count, blocks, OUTPUTS, read).transpose(0, 1, 3, 2)
    kept = aligned(digits.size, np.uint64)
    kept[: digits.size] = digits.reshape(-1)
    return CountMatches(source, into, lag, kept, np.array(worth, np.int64), each, read, adders)
