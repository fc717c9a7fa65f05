"""A map as one row of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nirnodes import Fields
from lehr.nodes.base import Node, Shape


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """A node that makes all axes one, channel first (C order)."""

    monotonic = True
    nir_types = MappingProxyType({"Flatten": ("input_type", "start_dim", "end_dim")})
    copies: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return one axis, as long as all of them together."""
        return (math.prod(shape),)

    def sums(self, x: Int64) -> Int64:
        """Return the same values in one row."""
        return x.reshape(len(x), -1)

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return for each value the bounds of the channel that it comes from."""
        return x.repeated(math.prod(taken[1:]))

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's Flatten, of all axes."""
        return {"type": "Flatten", "input_type": np.array(taken), "start_dim": 0, "end_dim": -1}

    @classmethod
    def of_nir(cls, fields: Fields) -> Flatten:
        """Return the node; all of its fields follow from its input."""
        del fields
        return cls()
