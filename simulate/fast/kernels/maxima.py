"""The greatest of each window of a map, of integers or of bits, added to what is there."""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled
from lehr.simulate.fast.kernels.layout import MaximumSizes, Rows
from lehr.simulate.fast.kernels.vector import data, peek, poke, read


@compiled
def maxima(values: Any, ends: Any, taps: Any, into: Any, sizes: Any, rows: Any) -> None:
    """Add the greatest integer of each window.

    Args:
        values: rows of `[height, width, channels]` and padding.
        ends: int32 `[outputs]`: of each place of the output, where its taps end in `taps`.
        taps: int32: places of the map in each window, one at least.
        into: rows of `[outputs, channels]` and padding.
        sizes: layout.MaximumSizes.
        rows: layout.Rows of `values` and `into` each.
    """
    source, end, tap, sums = data(values), data(ends), data(taps), data(into)
    s, here, there = read(MaximumSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            first = 0
            for place in range(s.outputs):
                last = peek(end, place)
                for c in range(s.channels):
                    most = peek(source, at + peek(tap, first) * s.channels + c)
                    for k in range(first + 1, last):
                        most = max(most, peek(source, at + peek(tap, k) * s.channels + c))
                    j = target + place * s.channels + c
                    poke(sums, j, peek(sums, j) + most)
                first = last
            at += here.step * s.row
            target += there.step * s.into


@compiled
def maxima_of_bits(spikes: Any, ends: Any, taps: Any, into: Any, sizes: Any, rows: Any) -> None:
    """Add 1 where any bit of a window is set; spikes are in rows of words."""
    source, end, tap, sums = data(spikes), data(ends), data(taps), data(into)
    s, here, there = read(MaximumSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        at, target = (
            (here.first + n * here.sample) * s.row,
            (there.first + n * there.sample) * s.into,
        )
        for _ in range(s.steps):
            first = 0
            for place in range(s.outputs):
                last = peek(end, place)
                for c in range(s.channels):
                    for k in range(first, last):
                        bit = peek(tap, k) * s.channels + c
                        if peek(source, at + bit // 64) >> (bit % 64) & 1:
                            j = target + place * s.channels + c
                            poke(sums, j, peek(sums, j) + 1)
                            break
                first = last
            at += here.step * s.row
            target += there.step * s.into
