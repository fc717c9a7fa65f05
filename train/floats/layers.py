"""Layers whose weights are quantized in the forward pass; the optimiser keeps real values."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lehr.nodes import Pair
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

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[N, out channels, H, W]` for `[N, in channels, H, W]`."""
        levels = self.quantizer.driving(self.weight)
        return self.quantizer.scaled(
            functional.conv2d(
                x, levels, None, self.stride, self.padding, self.dilation, self.groups
            ),
            self.weight,
        )


class QuantizedLinear(nn.Linear):
    """torch.nn.Linear without bias, with quantized weights."""

    def __init__(self, quantizer: Quantizer, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[N, out features]` for `[N, in features]`."""
        return self.quantizer.scaled(
            functional.linear(x, self.quantizer.driving(self.weight)), self.weight
        )


Quantized = QuantizedConv2d | QuantizedLinear
