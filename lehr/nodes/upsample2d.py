"""A larger map, in which each value of a map stands several times."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nirnodes import Fields, whole
from lehr.nodes.base import Node, Pair, Shape, ShapeMismatch, pair


@dataclass(frozen=True, eq=False)
class Upsample2d(Node):
    """Each value of a map as a block of its own, as torch.nn.Upsample with mode 'nearest'.

    Attributes:
        scale: rows and columns of a block.
    """

    nir_types = MappingProxyType({"Upsample2d": ("scale_factor",)})
    monotonic = True
    nir_taken = frozenset({"scale_factor"})
    by_channel: ClassVar[bool] = True
    copies: ClassVar[bool] = True

    scale: Pair

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", pair(self.scale, "Upsample2d scale", 1))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the larger map."""
        if len(shape) != 3:
            raise ShapeMismatch(f"takes (channels, height, width) but gets {shape}")
        return shape[0], shape[1] * self.scale[0], shape[2] * self.scale[1]

    def sums(self, x: Int64) -> Int64:
        """Repeat the rows and the columns of `x` `[N, C, H, W]`."""
        return x.repeat(self.scale[0], axis=2).repeat(self.scale[1], axis=3)

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of what arrives."""
        del taken
        return x

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of lehr's own type Upsample2d, named as torch names them."""
        del taken
        return {"type": "Upsample2d", "scale_factor": np.array(self.scale)}

    @classmethod
    def of_nir(cls, fields: Fields) -> Upsample2d:
        """Return the node of these fields: one integer or two."""
        return cls(whole(fields, "scale_factor"))
