"""Sums of weights over spikes, and the gradient of the weights, event by event.

A dense convolution multiplies every weight by every input, of which nine in ten are 0. Here the
spikes of a row (a step of a sample) are listed, and the weights of each are added up in registers;
of the gradient of the sums each spike takes the part that it had in them. Sums of integers are
exact in any order. That of the gradients is fixed: within `ROWS` rows, then over them.

Arrays are contiguous. Their letters: M rows, P places (of an image; 1 for fully connected layers),
C channels, Q places of the output, B blocks of L output channels, E events.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lehr.compiled import compiled
from lehr.simulate.fast.kernels.lanes import lowest_bit
from lehr.simulate.fast.kernels.vector import data
from lehr.train.floats.lif_kernels import Floats
from lehr.train.floats.vectors import ones_in, plus, put, zeros

Ints = npt.NDArray[np.int32]

WORD = 64
"""Inputs that are compared at once."""

ROWS = 128
"""Rows whose weights, or gradients, stay in the second-level cache."""


class Window(NamedTuple):
    """Where a kernel goes over an image, in rows (`y`) and columns (`x`)."""

    channels: int
    high: int
    wide: int
    kernel_y: int
    kernel_x: int
    step_y: int
    step_x: int
    pad_y: int
    pad_x: int
    out_y: int
    out_x: int


@compiled
def _fired(x: Floats, memory: Any, m: int, fired: Ints) -> int:
    """List the spikes of row `m`, and return how many there are; -1 where one is not 1."""
    size = x.shape[1]
    count = seen = 0
    while seen < size and size >= WORD:
        start = min(seen, size - WORD)  # the last word may begin within the one before
        ones, others = ones_in(memory, m * size + start)
        if ones != others:
            return -1
        ones = ones >> (seen - start) << (seen - start)
        while ones:
            fired[count] = start + lowest_bit(ones)
            count += 1
            ones &= ones - 1
        seen = start + WORD
    while seen < size:
        if x[m, seen] != 0:
            if x[m, seen] != 1:
                return -1
            fired[count] = seen
            count += 1
        seen += 1
    return count


@compiled
def listed(x: Floats, place: Ints, key: Ints, events: Ints, ends: Ints) -> int:
    """List the spikes of every row by their place, and return how many there are.

    Return -1 where an input is neither 0 nor 1, or where `events` is too short.

    Args:
        x: `[M, C * P]`.
        place: of each input, `[C * P]`.
        key: what stands for an input in the list, rising with its column and channel, likewise.
        events: filled with keys, `[E]`.
        ends: filled with where the events of each place begin, and with the end of the last one's,
            `[M, P + 1]`.
    """
    places, memory = ends.shape[1] - 1, data(x)
    fired, at = np.empty(x.shape[1], np.int32), np.empty(places, np.int32)
    total = 0
    for m in range(len(x)):
        count = _fired(x, memory, m, fired)
        if count < 0 or total + count > len(events):
            return -1
        at[:] = 0
        for k in range(count):
            at[place[fired[k]]] += 1
        for p in range(places):
            ends[m, p] = total
            total += at[p]
            at[p] = ends[m, p]
        ends[m, places] = total
        for k in range(count):
            p = place[fired[k]]
            events[at[p]] = key[fired[k]]
            at[p] += 1
    return total


@compiled
def turned(into: Floats, x: Floats) -> None:
    """Copy a matrix with its axes exchanged, as much of it as `into` and `x` both have."""
    high, wide = min(into.shape[0], x.shape[1]), min(into.shape[1], x.shape[0])
    if high == 1:
        for j in range(wide):
            into[0, j] = x[j, 0]
        return
    for i in range(high):
        for j in range(wide):
            into[i, j] = x[j, i]


@compiled
def forward(
    events: Ints, ends: Ints, kernel: Floats, out: Floats, lanes: tuple[int, ...], w: Window
) -> None:
    """Fill `out`.

    Args:
        events: of `listed`, with keys column * C + channel.
        ends: likewise.
        kernel: `[B, kernel rows * kernel columns * C, L]`.
        out: filled, `[M, output channels, Q]`.
        lanes: stands for L.
        w: where the kernel goes.
    """
    rows, width, places = out.shape
    size = kernel.shape[2]
    tile = np.empty((places, size), kernel.dtype)
    weights, sums, result = data(kernel), data(tile), data(out)
    for first in range(0, rows, ROWS):
        for block in range(len(kernel)):
            base, start = block * kernel.shape[1], block * size
            columns = min(size, width - start)
            straight = places == 1 and columns == size
            for m in range(first, min(first + ROWS, rows)):
                for q in range(places):
                    y0 = q // w.out_x * w.step_y - w.pad_y
                    x0 = q % w.out_x * w.step_x - w.pad_x
                    left = min(max(x0, 0), w.wide)
                    right = max(left, min(x0 + w.kernel_x, w.wide))
                    total = zeros(weights, lanes)
                    for y in range(max(y0, 0), min(y0 + w.kernel_y, w.high)):
                        tap = base + ((y - y0) * w.kernel_x - x0) * w.channels
                        for e in range(ends[m, y * w.wide + left], ends[m, y * w.wide + right]):
                            total = plus(total, weights, (tap + events[e]) * size)
                    if straight:
                        put(result, m * width + start, total)
                    else:
                        put(sums, q * size, total)
                if not straight:
                    turned(out[m, start : start + columns], tile)


@compiled
def _by_input(events: Ints, ends: Ints, rows_of: Ints, starts: Ints, w: Window) -> None:
    """List the rows in which each input spikes.

    Args:
        events: all of them.
        ends: of some rows, `[M, P + 1]`.
        rows_of: filled with the numbers of rows, from the first one's events on.
        starts: filled with where the rows of each input begin, `[P * C + 1]`; inputs are in order
            of their places, then of their channels.
        w: where the kernel goes.
    """
    rows, places = len(ends), ends.shape[1] - 1
    starts[:] = 0
    for m in range(rows):
        for p in range(places):
            base = (p - p % w.wide) * w.channels + 1
            for e in range(ends[m, p], ends[m, p + 1]):
                starts[base + events[e]] += 1
    starts[0] = ends[0, 0]
    for s in range(1, len(starts)):
        starts[s] += starts[s - 1]
    at = starts[:-1].copy()
    for m in range(rows):
        for p in range(places):
            base = (p - p % w.wide) * w.channels
            for e in range(ends[m, p], ends[m, p + 1]):
                s = base + events[e]
                rows_of[at[s]] = m
                at[s] += 1


@compiled
def _add_rows(
    rows_of: Ints,
    starts: Ints,
    tiled: Any,
    into: Any,
    base: int,
    lanes: tuple[int, ...],
    w: Window,
) -> None:
    """Add the gradients of some rows' sums, `[M, Q, L]`, to those of a block of weights.

    Args:
        rows_of: of `_by_input`.
        starts: likewise.
        tiled: memory of the gradients of the sums.
        into: memory of the gradients of all weights.
        base: number of the block's first tap.
        lanes: stands for L.
        w: where the kernel goes.
    """
    size = 16 << len(lanes)
    places = w.out_y * w.out_x
    for y in range(w.high):
        below, above = y + w.pad_y, y + w.pad_y - w.kernel_y
        top, bottom = max(0, above // w.step_y + 1), min(w.out_y - 1, below // w.step_y)
        for x in range(w.wide):
            after, before = x + w.pad_x, x + w.pad_x - w.kernel_x
            left, right = max(0, before // w.step_x + 1), min(w.out_x - 1, after // w.step_x)
            for c in range(w.channels):
                s = (y * w.wide + x) * w.channels + c
                if starts[s] == starts[s + 1]:
                    continue
                for oy in range(top, bottom + 1):
                    line = base + ((below - oy * w.step_y) * w.kernel_x + after) * w.channels + c
                    for ox in range(left, right + 1):
                        tap = (line - ox * w.step_x * w.channels) * size
                        q = oy * w.out_x + ox
                        total = plus(zeros(into, lanes), into, tap)
                        for e in range(starts[s], starts[s + 1]):
                            total = plus(total, tiled, (rows_of[e] * places + q) * size)
                        put(into, tap, total)


@compiled
def backward(
    events: Ints, ends: Ints, grad: Floats, into: Floats, lanes: tuple[int, ...], w: Window
) -> None:
    """Add the gradient of the weights to `into`.

    Args:
        events: as `forward` got them.
        ends: likewise.
        grad: of the sums, `[M, output channels, Q]`.
        into: `[B, kernel rows * kernel columns * C, L]`.
        lanes: stands for L.
        w: where the kernel goes.
    """
    rows, width, places = grad.shape
    size = into.shape[2]
    parts = (rows + ROWS - 1) // ROWS
    starts = np.empty((parts, w.channels * w.high * w.wide + 1), np.int32)
    rows_of = np.empty(len(events), np.int32)
    for part in range(parts):
        first = part * ROWS
        _by_input(events, ends[first : min(first + ROWS, rows)], rows_of, starts[part], w)
    tile = np.zeros((ROWS, places, size), into.dtype)
    for block in range(len(into)):
        start = block * size
        columns = min(size, width - start)
        for part in range(parts):
            first = part * ROWS
            for m in range(first, min(first + ROWS, rows)):
                turned(tile[m - first], grad[m, start : start + columns])
            base = block * into.shape[1]
            _add_rows(rows_of, starts[part], data(tile), data(into), base, lanes, w)
