"""A map as one row of values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nodes.base import Node, Shape


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """All axes into one, channel first (C order)."""

    def output_shape(self, shape: Shape) -> Shape:
        """One axis, as long as all of them."""
        return (math.prod(shape),)

    def sums(self, x: Int64) -> Int64:
        """The same values in one row."""
        return x.reshape(len(x), -1)

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Those of the channel that each value comes from."""
        return x.repeated(math.prod(taken[1:]))
