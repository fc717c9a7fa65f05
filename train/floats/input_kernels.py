"""The gradient that a pooled convolution gives its inputs, as a compiled loop.

The sum over a pooling window of a convolution is, by its inputs, a convolution with the window's
shape of what a convolution without pooling gives (`lehr.train.floats.pooling`): so the gradient
takes 25 products instead of 36 for each output of a 5x5 kernel before 2x2 pooling, and then three
additions for each input. Inputs get their gradient whether they spike or not, so that all products
are needed. Products may be fused with their additions, by processors that can.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lehr.compiled import compiled
from lehr.simulate.fast.kernels.vector import data
from lehr.train.floats.event_kernels import Window, turned
from lehr.train.floats.lif_kernels import Floats
from lehr.train.floats.vectors import plus, plus_product, put, taken, zeros

ROWS = 6
"""Rows computed at once: their sums, of 16 channels each, fill 12 of 16 vector registers."""

LANES = 16


class Pooling(NamedTuple):
    """What a convolution's outputs are summed up over, in rows and columns.

    Attributes:
        high, wide: the window.
        step_y, step_x: from one output of the convolution to the next, in inputs.
    """

    high: int
    wide: int
    step_y: int
    step_x: int


@compiled
def _spread(
    grad: Any, weights: Any, into: Any, first: int, width: int, size: tuple[int, int], w: Window
) -> None:
    """Fill the gradient, before pooling, of 16 channels of `ROWS` rows, `[P', ROWS, 16]`.

    Args:
        grad: memory of the outputs' gradients, `[Q, output channels, ROWS]`.
        weights: memory of the weights, `[B, kernel rows, kernel columns, output channels, 16]`.
        into: filled, memory of the result.
        first: number of the first of the weights' taps.
        width: number of the output channels.
        size: of the kernel, in rows and columns.
        w: where the kernel goes.
    """
    lanes = ()
    kernel_y, kernel_x = size
    high = (w.out_y - 1) * w.step_y + kernel_y
    wide = (w.out_x - 1) * w.step_x + kernel_x
    for y in range(high):
        top, bottom = max(0, (y - kernel_y) // w.step_y + 1), min(w.out_y - 1, y // w.step_y)
        for x in range(wide):
            left = max(0, (x - kernel_x) // w.step_x + 1)
            right = min(w.out_x - 1, x // w.step_x)
            sum0, sum1, sum2 = zeros(into, lanes), zeros(into, lanes), zeros(into, lanes)
            sum3, sum4, sum5 = zeros(into, lanes), zeros(into, lanes), zeros(into, lanes)
            for oy in range(top, bottom + 1):
                for ox in range(left, right + 1):
                    tap = first + (y - oy * w.step_y) * kernel_x + x - ox * w.step_x
                    place = (oy * w.out_x + ox) * width
                    for o in range(width):
                        of = taken(weights, (tap * width + o) * LANES, lanes)
                        at = (place + o) * ROWS
                        sum0 = plus_product(sum0, grad, at, of)
                        sum1 = plus_product(sum1, grad, at + 1, of)
                        sum2 = plus_product(sum2, grad, at + 2, of)
                        sum3 = plus_product(sum3, grad, at + 3, of)
                        sum4 = plus_product(sum4, grad, at + 4, of)
                        sum5 = plus_product(sum5, grad, at + 5, of)
            at = (y * wide + x) * ROWS * LANES
            put(into, at, sum0)
            put(into, at + LANES, sum1)
            put(into, at + 2 * LANES, sum2)
            put(into, at + 3 * LANES, sum3)
            put(into, at + 4 * LANES, sum4)
            put(into, at + 5 * LANES, sum5)


@compiled
def _gathered(
    spread: Any, into: Any, row: int, size: tuple[int, int], p: Pooling, w: Window
) -> None:
    """Sum up over the pooling window, for a row, `[P, 16]`.

    Args:
        spread: memory of what `_spread` filled.
        into: filled, memory of the result.
        row: its number in `spread`.
        size: of the kernel, in rows and columns.
        p: the pooling.
        w: where the kernel goes.
    """
    lanes = ()
    high = (w.out_y - 1) * w.step_y + size[0]
    wide = (w.out_x - 1) * w.step_x + size[1]
    for y in range(w.high):
        for x in range(w.wide):
            total = zeros(into, lanes)
            for a in range(p.high):
                line = y + w.pad_y - a * p.step_y
                if 0 <= line < high:
                    for b in range(p.wide):
                        column = x + w.pad_x - b * p.step_x
                        if 0 <= column < wide:
                            at = (line * wide + column) * ROWS + row
                            total = plus(total, spread, at * LANES)
            put(into, (y * w.wide + x) * LANES, total)


@compiled
def of_inputs(grad: Floats, weights: Floats, into: Floats, p: Pooling, w: Window) -> None:
    """Fill `into`.

    Args:
        grad: of the pooled sums, `[M, output channels, Q]`.
        weights: of the convolution without pooling, `[B, kernel rows, kernel columns, output
            channels, 16]`; input channels are padded to B times 16.
        into: filled with the gradient of the inputs, `[M, C, P]`.
        p: the pooling.
        w: where the pooled kernel goes.
    """
    rows, width, places = grad.shape
    size = (weights.shape[1], weights.shape[2])
    high = (w.out_y - 1) * w.step_y + size[0]
    wide = (w.out_x - 1) * w.step_x + size[1]
    given = np.zeros((places, width, ROWS), grad.dtype)
    spread = np.empty((high * wide, ROWS, LANES), grad.dtype)
    summed = np.empty((w.high * w.wide, LANES), grad.dtype)
    for first in range(0, rows, ROWS):
        count = min(ROWS, rows - first)
        for r in range(count):
            for o in range(width):
                for q in range(places):
                    given[q, o, r] = grad[first + r, o, q]
        for block in range(len(weights)):
            base, start = block * size[0] * size[1], block * LANES
            _spread(data(given), data(weights), data(spread), base, width, size, w)
            for r in range(count):
                _gathered(data(spread), data(summed), r, size, p, w)
                turned(into[first + r, start : start + LANES], summed)
