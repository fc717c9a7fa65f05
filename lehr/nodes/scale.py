"""Values times factors of their own."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.interval import Interval
from lehr.nirnodes import Fields, integers
from lehr.nodes.base import Int32Array, Node, Shape, ShapeMismatch
from lehr.nodes.parameters import parameter_array
from lehr.weights import LARGEST

MAX_FACTOR = LARGEST["int8"]


@dataclass(frozen=True, eq=False)
class Scale(Node):
    """A node that multiplies each value by an integer.

    It gives each of several branches that are added a gain of its own.

    Attributes:
        factor: from -127 to 127, as weights of kind `int8`; int32 by channel `[channels]`, or by
            value in the input's own shape. One by value that is the same all over each channel is
            kept by channel. A factor may be 0, as weights that are pruned are: nothing of that
            value goes on.
    """

    monotonic = True
    nir_types = MappingProxyType({"Scale": ("scale",)})
    one_to_one: ClassVar[bool] = True
    by_channel: ClassVar[bool] = True

    factor: Int32Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", parameter_array(self.factor, "Scale factor"))
        if (beyond := self.factor[np.abs(self.factor.astype(np.int64)) > MAX_FACTOR]).size:
            raise FileRefused(
                f"Scale factor holds {int(beyond[0])}; use {-MAX_FACTOR} to {MAX_FACTOR}"
            )

    def spread(self, shape: Shape) -> Int64:
        """Return the factor of every value, as a read-only view of int64 in the input's shape."""
        factor = self.factor.astype(np.int64)
        return np.broadcast_to(
            factor.reshape(*factor.shape, *[1] * (len(shape) - factor.ndim)), shape
        )

    @property
    def present(self) -> Scale:
        """The same node with a factor of 1 for every one other than 0."""
        return Scale((self.factor != 0).astype(np.int32))

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape; ShapeMismatch if the factors do not fit it."""
        own = self.factor.shape
        if own[0] != shape[0] or (len(own) > 1 and own != shape):
            raise ShapeMismatch(f"has factors of shape {own} but gets {shape}")
        return shape

    def sums(self, x: Int64) -> Int64:
        """Multiply every value of `x` `[N, *shape]` by its factor."""
        return x * self.spread(x.shape[1:])

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of the products with the least and the greatest factor of a channel.

        A negative factor turns the ends round.
        """
        factor = self.spread(taken).reshape(taken[0], -1)
        ends = [
            bound * f for bound in (x.low, x.high) for f in (factor.min(axis=1), factor.max(axis=1))
        ]
        return Interval(
            np.min(ends, axis=0), np.max(ends, axis=0), x.magnitude * np.abs(factor).max(axis=1)
        )

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's Scale: the factor of every value, int8."""
        return {"type": "Scale", "scale": self.spread(taken).astype(np.int8)}

    @classmethod
    def of_nir(cls, fields: Fields) -> Scale:
        """Return the node of these fields; factors are integers, whatever their width."""
        return cls(np.asarray(integers(fields, "scale")))
