"""Two-dimensional convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.interval import Interval, weighted
from lehr.nirnodes import Fields, named_padding, weight_block, weight_kind, whole
from lehr.nodes.base import Node, Number, Pair, Shape, ShapeMismatch, pair, views, windows
from lehr.weights import Int8Array, WeightKind, declared_weight, exact_type


@dataclass(frozen=True, eq=False)
class Conv2d(Node):
    """Cross-correlation, as torch.nn.Conv2d without bias.

    `weight` is int8 `[out channels, in channels / groups, kernel height, kernel width]`; `kind`
    declares what it may hold.
    """

    nir_types = MappingProxyType(
        {"Conv2d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias")}
    )
    nir_taken = frozenset({"weight", "stride", "padding", "dilation", "groups"})

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
            raise FileRefused(
                f"Conv2d groups is {self.groups}; use a divisor of its {self.weight.shape[0]} "
                "output channels"
            )

    def output_shape(self, shape: Shape) -> Shape:
        """Return (out channels, height, width) for (channels, height, width)."""
        channels = self.weight.shape[1] * self.groups
        if len(shape) != 3 or shape[0] != channels:
            raise ShapeMismatch(f"takes ({channels}, height, width) but gets {shape}")
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        return (self.weight.shape[0], *windows(shape[1:], spans, self.stride, self.padding))

    def sums(self, x: Int64) -> Int64:
        """Compute the cross-correlation of `x` `[N, C, H, W]` with the weights."""
        exact = exact_type(x, self.weight)
        return self.sums_with(x.astype(exact), self.weight.astype(exact)).astype(np.int64)

    def sums_with(self, x: npt.NDArray[Number], weight: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Compute the sums of `x` with other weights of the same shape, in the type of both."""
        out_channels, per_group, height, width = self.weight.shape
        (step_y, step_x), out_per_group = self.dilation, out_channels // self.groups
        seen = views(
            x, [(height - 1) * step_y + 1, (width - 1) * step_x + 1], self.stride, self.padding
        )[..., ::step_y, ::step_x]
        n, _, out_height, out_width = seen.shape[:4]
        grouped = weight.reshape(self.groups, out_per_group, -1)
        parts = []
        for group in range(self.groups):
            patch = seen[:, group * per_group : (group + 1) * per_group].transpose(0, 2, 3, 1, 4, 5)
            parts.append(patch.reshape(n * out_height * out_width, -1) @ grouped[group].T)
        return (
            np.concatenate(parts, axis=1)
            .reshape(n, out_height, out_width, out_channels)
            .transpose(0, 3, 1, 2)
        )

    @property
    def present(self) -> Conv2d:
        """The same node with a weight of 1 for every one other than 0."""
        return replace(self, weight=(self.weight != 0).astype(np.int8), kind="ternary")

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of sums over all weights, as if the whole kernel lay on the map."""
        del taken
        return weighted(
            x, self.weight.astype(np.int64).reshape(*self.weight.shape[:2], -1), self.groups
        )

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's Conv2d, with a bias of 0."""
        return {
            "type": "Conv2d",
            "input_shape": taken[1:],
            "weight": self.weight,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": np.zeros(len(self.weight), np.int32),
            "metadata": weight_block(self.kind),
        }

    @classmethod
    def of_nir(cls, fields: Fields) -> Conv2d:
        """Return the convolution of these fields; padding may have torch.nn.Conv2d's names."""
        weight, kind = np.asarray(fields["weight"]), weight_kind(fields)
        stride, dilation = whole(fields, "stride"), whole(fields, "dilation")
        padding = fields["padding"]
        if isinstance(padding, str):
            padding = named_padding(padding, weight.shape[2:], stride, dilation)
        else:
            padding = whole(fields, "padding")
        return cls(weight, stride, padding, dilation, whole(fields, "groups"), kind)
