"""Memories of weights of 8 bits, with one shift for each, and biases as rows of such weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lehr.arithmetic import Int64

LEAST, MOST = -128, 127
SHIFTS = 7
"""The greatest shift."""


def common_shift(values: Iterable[Int64]) -> int:
    """Return by how many bits all numbers can be shifted to the right without loss.

    It is at most as far as the machine shifts them back.
    """
    bits = 0
    for each in values:
        bits |= int(np.bitwise_or.reduce(np.abs(each), axis=None, initial=0))
    return min(SHIFTS, (bits & -bits).bit_length() - 1) if bits else 0


def rows(values: Int64, shift: int) -> list[Int64]:
    """Rows of weights that add up to `values >> shift`; none where all are 0."""
    rest, parts = values >> shift, list[Int64]()
    while rest.any():
        parts.append(np.clip(rest, LEAST, MOST))
        rest = rest - parts[-1]
    return parts


def fits(values: Int64, shift: int) -> bool:
    """Return whether a memory with this shift holds all numbers."""
    held = values >> shift
    return bool(held.min(initial=0) >= LEAST and held.max(initial=0) <= MOST)
