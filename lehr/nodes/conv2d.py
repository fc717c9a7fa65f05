"""Two-dimensional convolution."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.errors import FileRefused
from lehr.nodes.base import Node, Pair, Shape, ShapeMismatch, pair, windows
from lehr.weights import Int8Array, WeightKind, declared_weight


@dataclass(frozen=True, eq=False)
class Conv2d(Node):
    """Cross-correlation, as torch.nn.Conv2d without bias.

    `weight` is int8 `[out channels, in channels / groups, kernel height, kernel width]`; `kind` declares what it may hold.
    """

    weight: Int8Array
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    kind: WeightKind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", declared_weight(self.weight, self.kind, 4, "Conv2d"))
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, pair(getattr(self, name), f"Conv2d {name}", least))
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise FileRefused(f"Conv2d groups is {self.groups}; use a divisor of its {self.weight.shape[0]} output channels")

    def output_shape(self, shape: Shape) -> Shape:
        """(out channels, height, width) for (channels, height, width)."""
        channels = self.weight.shape[1] * self.groups
        if len(shape) != 3 or shape[0] != channels:
            raise ShapeMismatch(f"takes ({channels}, height, width) but gets {shape}")
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        return (self.weight.shape[0], *windows(shape[1:], spans, self.stride, self.padding))
