"""Convolutions on spikes as `kernels.fields` takes them: how windows are cut, and their tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast.kernels.field_sizes import FIELDS, READING, Fields
from lehr.simulate.fast.plans.buffers import WORD, Buffer, flat_aligned, padded
from lehr.simulate.fast.plans.flows import LookUp
from lehr.simulate.fast.plans.runs import runs_of
from lehr.simulate.fast.plans.windows import Window, into_size

Array = npt.NDArray[Any]
MOST_BITS, MOST_FIELDS, TABLES = 10, 28, 96 << 10
"""Bits of a field, fields of a window, and bytes of tables, at most.

These are judgements of speed: what more fields cost, sparse spikes cost in other ways, too.
"""
FURTHEST = 400
"""Bits from one window to the next, at most: so many bytes are read beyond the last one."""
READS, WAITS, CLEANS = 12, 36, 150
"""What a reading of fields costs, and where the next one waits for it, in operations on vectors.

A row of the input costs as much as the last before which there are zeros.
"""
INT8, INT16 = 127, 2**15 - 1


@dataclass(frozen=True)
class Cut:
    """A way to cut the windows of a convolution into fields.

    Attributes:
        high, wide: rows and columns of the input in a field.
        each: channels in a field.
        rows, groups, columns: of fields in a window, groups by channels.
        across: outputs side by side that are summed together.
        passes: whether fields pass by them, each as wide as `across` outputs are apart.
        lanes: of a vector of outputs.
        dtype: of the tables, int8 or int16.
        chunk: rows of fields whose sum fits it.
    """

    high: int
    wide: int
    each: int
    rows: int
    groups: int
    columns: int
    across: int
    passes: bool
    lanes: int
    dtype: Any
    chunk: int

    def blocks(self, out: int) -> int:
        """Return how many vectors the outputs of a window take."""
        return -(-out * self.across * (1 + self.passes) // self.lanes)

    @property
    def seen(self) -> int:
        """Columns of fields that outputs side by side see."""
        return 1 if self.passes else self.columns + self.across - 1

    @property
    def reads(self) -> int:
        """Entries that a sum is made of."""
        return self.rows * self.groups * self.seen

    @property
    def bits(self) -> int:
        """Bits of a field."""
        return self.high * self.wide * self.each

    def bytes(self, out: int) -> int:
        """Return bytes of all tables."""
        size = self.blocks(out) * self.reads * self.lanes * np.dtype(self.dtype).itemsize
        return int(size << self.bits)

    def at_once(self, step: int) -> int:
        """Return how many fields, `step` bits from each other, one reading gives."""
        return min(FIELDS, max(1, (READING - self.wide * self.each) // step + 1))

    def unit(self, stride: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of the input from one field of the map to the next."""
        return (
            min(self.high, stride[0]) if self.rows > 1 else stride[0],
            self.wide if self.columns > 1 or self.passes else stride[1],
        )

    def cost(self, window: Window, sizes: tuple[int, int]) -> float:
        """Return about how long outputs of height and width `sizes` take, in operations."""
        out, (rows, columns) = len(window.weight), self.unit(window.stride)
        size = max(1, self.lanes * np.dtype(self.dtype).itemsize / 32)
        each = self.reads * (1 + size) + 2 * max(1, self.lanes / 16)
        at_once = self.at_once(columns * window.weight.shape[1])
        listed = window.stride[0] / rows * self.groups * self.high
        readings = listed * window.stride[1] / columns / at_once
        slow = self.high > 1 and at_once < FIELDS
        one = self.blocks(out) * each / self.across + readings * (WAITS if slow else READS)
        cleaned = listed * CLEANS if window.padding[1] else 0
        return float(sizes[0] * (sizes[1] * one + cleaned))


def cut(window: Window, source: Buffer) -> Cut | None:
    """Return the way to cut windows that costs least; None where none pays."""
    out, (_, height, width) = len(window.weight), source.shape
    sizes = into_size(window, (height, width))
    ways = [way for way in _ways(window, sizes[1]) if way.bytes(out) <= TABLES]
    return min(ways, key=lambda way: way.cost(window, sizes), default=None)


def _ways(window: Window, out_width: int) -> Iterator[Cut]:
    out, channels, height, width = window.weight.shape
    for high, wide, groups in product(
        range(1, height + 1), range(1, width + 1), range(1, channels + 1)
    ):
        each, (sy, sx) = -(-channels // groups), window.stride
        rows, columns = -(-height // high), -(-width // wide)
        whole = groups == 1 or (wide == 1 and -(-channels // each) == groups)
        few = rows * groups * columns <= MOST_FIELDS and high * wide * each <= MOST_BITS
        if not (few and whole and _meets(high, rows, sy) and sx * channels <= FURTHEST):
            continue
        fits = _fits(window, high, rows)
        if fits is None:
            continue
        fields = high, wide, each, rows, groups, columns
        if columns == 1 or sx % wide == 0:
            yield Cut(*fields, 1, False, 16 if out <= 16 else 32, *fits)
        for lanes in (16, 32):
            # what lies beyond the end of a row is overwritten, but not if sums are made in parts
            clean = fits[1] == rows or out_width * out % lanes == 0
            if wide == sx and lanes % out == 0 and lanes > out and clean:
                yield Cut(*fields, lanes // out, False, lanes, *fits)
        across = wide // sx
        fill = 2 * across * out == WORD and wide == across * sx and out_width % across == 0
        if fill and width <= wide + sx and fits == (np.int8, rows):
            yield Cut(*fields, across, True, WORD, *fits)


def _meets(high: int, rows: int, stride: int) -> bool:
    """Return whether the rows of fields of all outputs lie at one distance."""
    return rows == 1 or high % stride == 0 or stride % high == 0


def _fits(window: Window, high: int, rows: int) -> tuple[Any, int] | None:
    """Return the type of tables, and how many rows of fields it holds the sum of.

    Sums wrap on the way, so that only what comes out must fit. It is None where even 16 bits do
    not hold it.
    """
    if _most(window, 0, rows * high) > INT16:
        return None
    for chunk in range(rows, 0, -1):
        if all(
            _most(window, row * high, (row + chunk) * high) <= INT8 for row in range(0, rows, chunk)
        ):
            return np.int8, chunk
    return np.int16, rows


def _most(window: Window, first: int, last: int) -> int:
    """Return the greatest magnitude of a sum over some rows of a window."""
    taps = window.weight[:, :, first:last].astype(np.int64)
    return max(int(np.maximum(sign * taps, 0).sum(axis=(1, 2, 3)).max()) for sign in (1, -1))


def _passed(window: Window, way: Cut) -> Array:
    """Return weights of one field's columns: of `across` outputs before it, and of those at it."""
    out, channels, height, width = window.weight.shape
    taps = np.zeros((2, way.across, out, channels, height, way.wide), window.weight.dtype)
    for half, beside in product(range(2), range(way.across)):
        first = ((1 - half) * way.across - beside) * window.stride[1]
        seen = range(max(0, -first), min(way.wide, width - first))
        for x in seen:
            taps[half, beside, ..., x] = window.weight[..., first + x]
    return taps.reshape(-1, channels, height, way.wide)


def _tables(window: Window, way: Cut) -> Array:
    """Return what fields add by values, `[blocks, values, rows, groups, columns, lanes]`."""
    if way.passes:
        window = replace(window, weight=_passed(window, way))
        way = replace(way, columns=1, across=1, passes=False)
    out, channels, height, width = window.weight.shape
    size = way.rows, way.high, way.columns, way.wide, way.groups, way.each
    taps = np.zeros((size[0] * size[1], size[2] * size[3], size[4] * size[5], out), np.int64)
    taps[:height, :width, :channels] = window.weight.transpose(2, 3, 1, 0)
    bits = taps.reshape(*size, out).transpose(0, 4, 1, 3, 5, 2, 6)
    bits = bits.reshape(way.rows, way.groups, way.bits, way.columns, out)
    chosen = (np.arange(1 << way.bits)[:, None] >> np.arange(way.bits)) & 1
    sums = np.einsum("vb,rgbco->vrgco", chosen, bits)
    width = padded(out, way.lanes) if way.across == 1 else out
    whole = np.zeros((*sums.shape[:3], way.seen, way.across, width), way.dtype)
    for beside in range(way.across):
        whole[:, :, :, beside : beside + way.columns, beside, :out] = sums
    return np.moveaxis(whole.reshape(*whole.shape[:4], -1, way.lanes), 4, 0)


def look_up(window: Window, way: Cut, source: Buffer, into: Buffer, lag: int) -> LookUp:
    """Return the operation for a window over feature maps of bits."""
    out, (sy, sx), (channels, height, width) = len(window.weight), window.stride, source.shape
    high, wide = into_size(window, (height, width))
    unit, unit_x = way.unit(window.stride)
    beside, step, part = sx // unit_x, unit_x * channels, way.wide * way.each
    passing = wide // way.across + 1 if way.passes else 0
    fields_wide = padded(
        passing or (padded(wide, way.across) - way.across) * beside + way.seen, FIELDS
    )
    row = way.groups * fields_wide
    down, row_down = sy // unit * row, max(1, way.high // unit) * row
    columns = np.arange(0, 1 if passing else wide, way.across)
    y, x = np.meshgrid(np.arange(high), columns, indexing="ij")
    windows = np.stack((y * down + x * beside, (y * wide + x) * out), axis=-1).reshape(-1, 2)
    last = windows[-1] if passing else (0, high * wide * out)
    beyond = np.repeat([last], -len(windows) % 4, axis=0)
    seen = np.add.outer(
        np.arange(way.rows) * row_down,
        np.add.outer(np.arange(way.groups) * fields_wide, np.arange(way.seen)),
    )
    end = [0, 2 * high * wide * out + WORD]
    plain = (way.high, unit, way.groups, *window.padding) == (1, 1, 1, 0, 0)
    whole_bytes = plain and step == part == 8 and width * channels % 8 == 0
    fields_high = ((high - 1) * down + (way.rows - 1) * row_down) // row + 1
    shape = Fields(
        channels,
        height,
        width,
        source.row * WORD,
        out,
        high,
        wide,
        window.padding[0],
        left=window.padding[1] * channels,
        words=((fields_wide + FIELDS) * step + channels + part) // WORD + 2,
        field_height=way.high,
        unit=unit,
        step=step,
        part=part,
        at_once=way.at_once(step),
        whole_bytes=int(whole_bytes),
        groups=way.groups,
        fields_wide=fields_wide,
        passing=passing,
        end=(fields_high - 1) * unit - window.padding[0] + 1,
        windows=len(windows) + len(beyond),
        blocks=way.blocks(out),
        fields=way.reads,
        next=1,
        chunk=way.chunk * way.groups * way.seen,
        entry=way.reads * way.lanes,
        block=way.reads * way.lanes << way.bits,
        spare=2 * way.blocks(out) * way.lanes,
    )
    tables = flat_aligned(_tables(window, way))
    places = np.concatenate((windows.reshape(-1), beyond.reshape(-1), end, seen.reshape(-1)))
    token = (0,) * (way.lanes // 32)
    few, starts, runs = runs_of(window, source, int(way.cost(window, (high, wide))))
    own = tables, places.astype(np.int64), shape, fields_high * row, token, few, starts, runs
    return LookUp(source, into, lag, *own)
