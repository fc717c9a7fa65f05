"""Convolutions of random weights, and their sums by numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Case(NamedTuple):
    """A convolution, and how often its inputs spike."""

    channels: int
    size: tuple[int, int]
    out: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    largest: int = 1
    rate: float = 0.2
    steps: int = 3
    kind: Any = np.int32


def convolved(x: np.ndarray[Any, Any], case: Case, weight: np.ndarray[Any, Any]) -> Any:
    """Return the sums, `[samples, steps, height, width, channels]`."""
    top, left = case.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left), (0, 0))).astype(np.int64)
    seen = sliding_window_view(padded, case.kernel, (2, 3))
    seen = seen[:, :, :: case.stride[0], :: case.stride[1]]
    return np.einsum("ntyxckl,ockl->ntyxo", seen, weight.astype(np.int64))
