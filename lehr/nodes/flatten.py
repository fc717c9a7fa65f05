"""A map as one row of values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.nodes.base import Node, Shape


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """All axes into one, channel first (C order)."""

    def output_shape(self, shape: Shape) -> Shape:
        """One axis, as long as all of them."""
        return (math.prod(shape),)
