"""Layers with binarized weights: the forward pass sees -1 and +1, the optimiser keeps real values.

Source: Courbariaux et al. 2016, "Binarized Neural Networks"; Eshraghian & Lu 2022 for their use in spiking networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:  # noqa: ARG004
        return rule(value)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grad[0], None


def straight_through(value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """`rule(value)`, whose gradient passes to `value` as if nothing had been done to it."""
    result: Tensor = _StraightThrough.apply(value, rule)  # type: ignore[no-untyped-call]
    return result


def sign(value: Tensor) -> Tensor:
    """Binarize: >= 0 gives +1 (torch.sign would give 0 at 0), everything else -1, with a straight-through gradient."""
    return straight_through(value, lambda x: torch.where(x >= 0, 1.0, -1.0).to(x.dtype))


class BinaryConv2d(nn.Conv2d):
    """torch.nn.Conv2d without bias whose weights are binarized in the forward pass."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Current `[N, out channels, H, W]` for `[N, in channels, H, W]`."""
        return functional.conv2d(x, sign(self.weight), None, self.stride, self.padding)


class BinaryLinear(nn.Linear):
    """torch.nn.Linear without bias whose weights are binarized in the forward pass."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Current `[N, out features]` for `[N, in features]`."""
        return functional.linear(x, sign(self.weight))
