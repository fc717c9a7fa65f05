"""Sums over windows of a map."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.interval import Interval
from lehr.nirnodes import Fields, whole
from lehr.nodes.base import Node, Pair, Shape, ShapeMismatch, pair, views, windows


@dataclass(frozen=True, eq=False)
class SumPool2d(Node):
    """Sum over windows: average pooling times the window's area.

    The area is folded into the thresholds.
    """

    nir_types = MappingProxyType({"SumPool2d": ("kernel_size", "stride", "padding")})
    monotonic = True
    nir_taken = frozenset({"kernel_size", "stride", "padding"})
    by_channel: ClassVar[bool] = True

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
            object.__setattr__(self, name, pair(getattr(self, name), f"SumPool2d {name}", least))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the windows."""
        if len(shape) != 3:
            raise ShapeMismatch(f"takes (channels, height, width) but gets {shape}")
        return (shape[0], *windows(shape[1:], self.kernel, self.stride, self.padding))

    def sums(self, x: Int64) -> Int64:
        """Compute the sums of `x` `[N, C, H, W]` over windows."""
        total: Int64 = views(x, self.kernel, self.stride, self.padding).sum(axis=(4, 5))
        return total

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of one value times the number of places in a window."""
        del taken
        return x.times(self.kernel[0] * self.kernel[1])

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's SumPool2d."""
        del taken
        kernel, stride, padding = (
            np.array(self.kernel),
            np.array(self.stride),
            np.array(self.padding),
        )
        return {"type": "SumPool2d", "kernel_size": kernel, "stride": stride, "padding": padding}

    @classmethod
    def of_nir(cls, fields: Fields) -> SumPool2d:
        """Return the node of these fields; each is one integer or two."""
        return cls(whole(fields, "kernel_size"), whole(fields, "stride"), whole(fields, "padding"))
