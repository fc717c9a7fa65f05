"""Layers whose weights are quantized in the forward pass; the optimiser keeps real values."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from lehr.nodes import Pair
from lehr.train.floats.events import connected, convolved
from lehr.train.floats.quantize import Quantizer


class QuantizedConv2d(nn.Conv2d):
    """torch.nn.Conv2d without bias, with quantized weights."""

    def __init__(
        self,
        quantizer: Quantizer,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False
        )
        self.quantizer = quantizer

    @property
    def geometry(self) -> tuple[Pair, Pair, Pair, int]:
        """Stride, padding and dilation, in rows and columns, and groups."""
        pairs = (self.stride, self.padding, self.dilation)
        return (*cast(tuple[Pair, Pair, Pair], pairs), self.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[N, out channels, H, W]` for `[N, in channels, H, W]`."""
        sums = convolved(x, self.quantizer.driving(self.weight), *self.geometry)
        return self.quantizer.scaled(sums, self.weight)


class QuantizedLinear(nn.Linear):
    """torch.nn.Linear without bias, with quantized weights."""

    def __init__(self, quantizer: Quantizer, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[N, out features]` for `[N, in features]`."""
        return self.quantizer.scaled(connected(x, self.quantizer.driving(self.weight)), self.weight)


Quantized = QuantizedConv2d | QuantizedLinear
