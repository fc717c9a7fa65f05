"""Fully connected weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.interval import Interval, weighted
from lehr.nirnodes import Fields, weight_block, weight_kind
from lehr.nodes.base import Node, Number, Shape, ShapeMismatch
from lehr.weights import Int8Array, WeightKind, declared_weight, exact_type


@dataclass(frozen=True, eq=False)
class Linear(Node):
    """Fully connected weights, int8 `[out features, in features]`, without a bias.

    `kind` declares what they may hold.
    """

    nir_types = MappingProxyType({"Linear": ("weight",)})
    nir_taken = frozenset({"weight"})

    weight: Int8Array
    kind: WeightKind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", declared_weight(self.weight, self.kind, 2, "Linear"))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (out features,) for (in features,)."""
        if shape != (self.weight.shape[1],):
            raise ShapeMismatch(f"takes ({self.weight.shape[1]},) but gets {shape}")
        return (self.weight.shape[0],)

    def sums(self, x: Int64) -> Int64:
        """Compute the weighted sums of `x` `[N, in features]`."""
        exact = exact_type(x, self.weight)
        return self.sums_with(x.astype(exact), self.weight.astype(exact)).astype(np.int64)

    def sums_with(self, x: npt.NDArray[Number], weight: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Compute the sums of `x` with other weights of the same shape, in the type of both."""
        sums: npt.NDArray[Number] = np.matmul(x, weight.T)
        return sums

    @property
    def present(self) -> Linear:
        """The same node with a weight of 1 for every one other than 0."""
        return replace(self, weight=(self.weight != 0).astype(np.int8), kind="ternary")

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of sums over all weights."""
        del taken
        return weighted(x, self.weight.astype(np.int64)[:, :, None], 1)

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's Linear."""
        del taken
        return {"type": "Linear", "weight": self.weight, "metadata": weight_block(self.kind)}

    @classmethod
    def of_nir(cls, fields: Fields) -> Linear:
        """Return the weights of the kind that its block declares."""
        return cls(fields["weight"], weight_kind(fields))
