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

from lehr.train.lif_kernels import Floats, compiled

Steps = npt.NDArray[np.int64]


@compiled
def _at(x: Floats, t: Any, n: Any, c: Any, p: Any) -> Any:
    """Return a value, and 0 before the first step and after the last."""
    return x[t, n, c, p] if 0 <= t < len(x) else x.dtype.type(0)


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
    steps, samples, channels, positions = delayed.shape
    early, one = len(x) - steps, x.dtype.type(1)
    for n in range(samples):
        for t in range(steps):
            for c in range(channels):
                at, f = early + t - whole[c], rest[c]
                for p in range(positions):
                    delayed[t, n, c, p] = (one - f) * _at(x, at, n, c, p) + f * _at(
                        x, at - 1, n, c, p
                    )


@compiled
def backward(given: Floats, whole: Steps, rest: Floats, gradient: Floats) -> None:
    """Fill `gradient`, of the values, from the one `given`, of the delayed values.

    Args:
        given: of the shape of `forward`'s `delayed`.
        whole: as in `forward`.
        rest: as in `forward`.
        gradient: filled, of the shape of `forward`'s `x`.
    """
    samples, channels, positions = given.shape[1:]
    early, one = len(gradient) - len(given), given.dtype.type(1)
    for n in range(samples):
        for t in range(len(gradient)):
            for c in range(channels):
                at, f = t - early + whole[c], rest[c]
                for p in range(positions):
                    gradient[t, n, c, p] = (one - f) * _at(given, at, n, c, p) + f * _at(
                        given, at + 1, n, c, p
                    )


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
    early = len(x) - steps
    share = x.dtype.type(1 / reach**2)
    before = np.zeros((len(x) + 1, channels, positions), x.dtype)  # sums over the steps before
    for n in range(samples):
        for t in range(len(x)):
            for c in range(channels):
                for p in range(positions):
                    before[t + 1, c, p] = before[t, c, p] + x[t, n, c, p]
        sums[n] = 0
        for t in range(steps):
            for c in range(channels):
                at = early + t - whole[c]
                low, middle, high = max(at - reach, 0), max(at, 0), max(min(at + reach, len(x)), 0)
                slope = x.dtype.type(0)
                for p in range(positions):
                    far = before[middle, c, p] - before[low, c, p]
                    near = before[high, c, p] - before[middle, c, p]
                    slope += given[t, n, c, p] * (far - near)
                sums[n, c] += slope * share
