"""Fully connected weights."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.nodes.base import Node, Shape, ShapeMismatch
from lehr.weights import Int8Array, WeightKind, declared_weight


@dataclass(frozen=True, eq=False)
class Linear(Node):
    """Fully connected weights, int8 `[out features, in features]`, no bias; `kind` declares what they may hold."""

    weight: Int8Array
    kind: WeightKind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", declared_weight(self.weight, self.kind, 2, "Linear"))

    def output_shape(self, shape: Shape) -> Shape:
        """(out features,) for (in features,)."""
        if shape != (self.weight.shape[1],):
            raise ShapeMismatch(f"takes ({self.weight.shape[1]},) but gets {shape}")
        return (self.weight.shape[0],)
