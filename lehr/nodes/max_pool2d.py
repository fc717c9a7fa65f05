"""Maxima over windows of a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.interval import Interval
from lehr.nirnodes import Fields, whole
from lehr.nodes.base import Node, Pair, Shape, ShapeMismatch, pair

LEAST = -(2**63)
"""What stands around the map: no sum of a network is as low (`Interval.clipped`)."""


@dataclass(frozen=True, eq=False)
class MaxPool2d(Node):
    """Greatest value of each window, as torch.nn.MaxPool2d: of currents of any sign, or of spikes.

    Around the map nothing stands, so that padding never wins. Every window has at least one value
    of the map in it. What arrives along several edges is added before.

    Attributes:
        ceil_mode: whether there is a last window where it hangs over the end of the map, unless it
            would start in the padding behind the map.
    """

    nir_types = MappingProxyType(
        {"MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    )
    monotonic = True
    nir_taken = frozenset({"kernel_size", "stride", "padding", "dilation", "ceil_mode"})
    additive: ClassVar[bool] = False
    by_channel: ClassVar[bool] = True

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, pair(getattr(self, name), f"MaxPool2d {name}", least))
        if type(self.ceil_mode) is not bool:
            raise FileRefused(f"MaxPool2d ceil_mode is {self.ceil_mode!r}; use true or false")

    @property
    def spans(self) -> Pair:
        """Rows and columns from the first to the last of a window."""
        high, wide = (d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        return high, wide

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, height, width) of the windows."""
        if len(shape) != 3:
            raise ShapeMismatch(f"takes (channels, height, width) but gets {shape}")
        rows, columns = (self._windows(axis, size) for axis, size in enumerate(shape[1:]))
        if min(rows, columns) < 1:
            raise ShapeMismatch(
                f"covers {self.spans} pixels but gets {shape[1:]} with padding {self.padding}"
            )
        for axis, (size, out) in enumerate(zip(shape[1:], (rows, columns), strict=True)):
            if any(len(inside) == 0 for inside in self.taps(axis, size, out)):
                raise ShapeMismatch(
                    f"has windows with nothing but padding in them, of {self.padding} around "
                    f"{shape[1:]}"
                )
        return shape[0], rows, columns

    def _windows(self, axis: int, size: int) -> int:
        """Return how many windows there are along an axis of `size` values."""
        stride, padding = self.stride[axis], self.padding[axis]
        rest = size + 2 * padding - self.spans[axis]
        if not self.ceil_mode:
            return rest // stride + 1
        count = -(-rest // stride) + 1
        return count if (count - 1) * stride < size + padding else count - 1

    def taps(self, axis: int, size: int, out: int) -> Iterator[range]:
        """Yield the rows (axis 0) or columns of the map that are in each of `out` windows."""
        step = self.dilation[axis]
        for index in range(out):
            first = index * self.stride[axis] - self.padding[axis]
            inside = [at for at in range(first, first + self.spans[axis], step) if 0 <= at < size]
            yield range(inside[0], inside[-1] + 1, step) if inside else range(0)

    def ends(self, shape: Shape) -> Pair:
        """Return how far the last windows reach beyond a map of `shape`, in rows and columns."""
        out = self.output_shape(shape)[1:]
        low, wide = (
            max(0, (count - 1) * stride + span - padding - size)
            for count, stride, span, padding, size in zip(
                out, self.stride, self.spans, self.padding, shape[1:], strict=True
            )
        )
        return low, wide

    def sums(self, x: Int64) -> Int64:
        """Compute the greatest of `x` `[N, C, H, W]` in every window."""
        (top, left), (bottom, right) = self.padding, self.ends(x.shape[1:])
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=LEAST)
        seen = np.lib.stride_tricks.sliding_window_view(padded, self.spans, axis=(2, 3))
        every = seen[
            :, :, :: self.stride[0], :: self.stride[1], :: self.dilation[0], :: self.dilation[1]
        ]
        greatest: Int64 = every.max(axis=(4, 5))
        return greatest

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of what arrives: the greatest of several lies between the same ends."""
        del taken
        return x

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of lehr's own type MaxPool2d, named as torch names them."""
        del taken
        return {
            "type": "MaxPool2d",
            "kernel_size": np.array(self.kernel),
            "stride": np.array(self.stride),
            "padding": np.array(self.padding),
            "dilation": np.array(self.dilation),
            "ceil_mode": np.array(int(self.ceil_mode)),
        }

    @classmethod
    def of_nir(cls, fields: Fields) -> MaxPool2d:
        """Return the node of these fields; each is one integer or two, `ceil_mode` 0 or 1."""
        ceil = whole(fields, "ceil_mode")
        if ceil not in (0, 1):
            raise FileRefused(f"ceil_mode is {ceil!r}; use 0 or 1")
        kernel, stride = whole(fields, "kernel_size"), whole(fields, "stride")
        return cls(kernel, stride, whole(fields, "padding"), whole(fields, "dilation"), bool(ceil))
