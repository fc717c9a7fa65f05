"""Axonal delays over all steps, forward and backward, as compiled loops.

Arrays are contiguous, of one floating type, and carry `[steps, samples, channels, positions]`. A
delay of `whole` steps k and a `rest` f takes the values of two steps, y[t] = (1 - f) x[t - k] + f
x[t - k - 1]; what lies before the first step is 0. No operation is a fused multiply-add, so that
other devices give the same bits forward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.compiled import compiled
from lehr.train.floats.lif_kernels import Floats

Steps = npt.NDArray[np.int64]


@compiled
def _take(row: Floats, x: Floats, first: Any, whole: Steps, n: Any) -> None:
    """Fill a row `[channels, positions]` from the step `first` plus `whole`; 0 outside `x`."""
    channels, positions = row.shape
    zero = x.dtype.type(0)
    if positions == 1:  # a loop of its own, or it would take three times as long
        for c in range(channels):
            at = first + whole[c]
            row[c, 0] = x[min(max(at, 0), len(x) - 1), n, c, 0] if 0 <= at < len(x) else zero
        return
    for c in range(channels):
        at = first + whole[c]
        for p in range(positions):
            row[c, p] = x[at, n, c, p] if 0 <= at < len(x) else zero


@compiled
def _between(into: Floats, near: Floats, far: Floats, rest: Floats) -> None:
    channels, positions = into.shape
    one = rest.dtype.type(1)
    if positions == 1:
        for c in range(channels):
            into[c, 0] = (one - rest[c]) * near[c, 0] + rest[c] * far[c, 0]
        return
    for c in range(channels):
        f = rest[c]
        for p in range(positions):
            into[c, p] = (one - f) * near[c, p] + f * far[c, p]


@compiled
def forward(x: Floats, whole: Steps, rest: Floats, delayed: Floats) -> None:
    """Fill `delayed`.

    Args:
        x: `[steps, samples, channels, positions]`; its last steps are those of `delayed`, and what
            it has before them is what arrived earlier.
        whole: of every channel, at least 0.
        rest: of every channel, from 0 to below 1.
        delayed: filled, `[steps, samples, channels, positions]`.
    """
    early, back = len(x) - len(delayed), -whole
    near, far = np.empty_like(x[0, 0]), np.empty_like(x[0, 0])
    for n in range(delayed.shape[1]):
        _take(far, x, early - 1, back, n)
        for t in range(len(delayed)):
            _take(near, x, early + t, back, n)
            _between(delayed[t, n], near, far, rest)
            near, far = far, near


@compiled
def backward(given: Floats, whole: Steps, rest: Floats, gradient: Floats) -> None:
    """Fill `gradient`, of the values, from the one `given`, of the delayed values.

    Args:
        given: of the shape of `forward`'s `delayed`.
        whole: as in `forward`.
        rest: as in `forward`.
        gradient: filled, of the shape of `forward`'s `x`.
    """
    early = len(gradient) - len(given)
    near, far = np.empty_like(given[0, 0]), np.empty_like(given[0, 0])
    for n in range(given.shape[1]):
        _take(near, given, -early, whole, n)
        for t in range(len(gradient)):
            _take(far, given, t + 1 - early, whole, n)
            _between(gradient[t, n], near, far, rest)
            near, far = far, near


@compiled
def _rises(rise: Floats, before: Floats, x: Floats, n: Any, reach: int) -> None:
    """Fill `rise` of sample `n`, from step -reach on, and `before`, sums over the steps before."""
    steps, _, width = x.shape
    for t in range(steps):
        for i in range(width):
            before[t + 1, i] = before[t, i] + x[t, n, i]
    for t in range(-reach, steps):
        low, middle = before[max(t - reach, 0)], before[max(t, 0)]
        high, row = before[max(min(t + reach, steps), 0)], rise[t + reach]
        for i in range(width):
            row[i] = (middle[i] - low[i]) - (high[i] - middle[i])


@compiled
def slopes(given: Floats, x: Floats, whole: Steps, reach: int, sums: Floats) -> None:
    """Fill `sums` with the gradients of the delays, sample by sample.

    Along its delay, a delayed value grows by x[t - k - 1] - x[t - k] a step. With a `reach` r above
    1 the difference is that of the means of r steps on either side, over r steps.

    Args:
        given: gradient of the delayed values, of the shape of `forward`'s `delayed`.
        x: as in `forward`.
        whole: as in `forward`.
        reach: at least 1.
        sums: filled, `[samples, channels]`.
    """
    steps, samples, channels, positions = given.shape
    early, width = len(x) - steps, channels * positions
    values, gradients = x.reshape(len(x), samples, width), given.reshape(steps, samples, width)
    before = np.zeros((len(x) + 1, width), x.dtype)
    rise = np.empty((len(x) + reach, width), x.dtype)
    total = np.empty(width, x.dtype)
    for n in range(samples):
        _rises(rise, before, values, n, reach)
        total[:] = 0
        for t in range(steps):
            for c in range(channels):
                at = early + t - whole[c] + reach
                if 0 <= at < len(rise):  # a delay that is no number leads anywhere
                    for i in range(c * positions, (c + 1) * positions):
                        total[i] += gradients[t, n, i] * rise[at, i]
        for c in range(channels):
            slope = x.dtype.type(0)
            for i in range(c * positions, (c + 1) * positions):
                slope += total[i]
            sums[n, c] = slope / x.dtype.type(reach**2)
