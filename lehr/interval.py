"""Bounds of values, per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64

BEYOND = 2**40


@dataclass(frozen=True)
class Interval:
    """Bounds of a node's values, per channel, int64 `[channels]`.

    Attributes:
        low, high: of the value itself; 0 is always between them.
        magnitude: of any partial sum on the way to it, in whatever order it is summed.
    """

    low: Int64
    high: Int64
    magnitude: Int64

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            self.low + other.low, self.high + other.high, self.magnitude + other.magnitude
        )

    def times(self, factor: int) -> Interval:
        """Return the bounds of the sum of so many such values."""
        return Interval(self.low * factor, self.high * factor, self.magnitude * factor)

    def repeated(self, times: int) -> Interval:
        """Return the same with every channel repeated, as channels of its own."""
        return Interval(
            *(np.repeat(bound, times) for bound in (self.low, self.high, self.magnitude))
        )

    def clipped(self) -> Interval:
        """Return the same with all bounds brought within 2**40.

        Sums of sums stay far inside int64 so.
        """
        return Interval(
            np.maximum(self.low, -BEYOND),
            np.minimum(self.high, BEYOND),
            np.minimum(self.magnitude, BEYOND),
        )

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest over all channels."""
        return int(self.low.min()), int(self.high.max())


def weighted(x: Interval, weight: Int64, groups: int) -> Interval:
    """Bound weighted sums of `x`, for weights `[out channels, in channels / groups, places]`."""
    plus, minus = np.maximum(weight, 0).sum(axis=2), np.maximum(-weight, 0).sum(axis=2)
    out, fan_in = weight.shape[0] // groups, weight.shape[1]
    low, high, magnitude = [], [], []
    for group in range(groups):
        rows, columns = (
            slice(group * out, (group + 1) * out),
            slice(group * fan_in, (group + 1) * fan_in),
        )
        p, m = plus[rows], minus[rows]
        low.append(p @ x.low[columns] - m @ x.high[columns])
        high.append(p @ x.high[columns] - m @ x.low[columns])
        magnitude.append((p + m) @ x.magnitude[columns])
    return Interval(np.concatenate(low), np.concatenate(high), np.concatenate(magnitude))
