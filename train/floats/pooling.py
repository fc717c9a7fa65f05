"""Pooling: of currents together with the convolution before it, and of spikes.

A convolution and the sum pooling after it are one convolution with a larger kernel and stride.

A 5x5 kernel before 2x2 pooling becomes 6x6 with stride 2: 36 products for each pooled sum instead
of 100. Sums of integers come out the same; sums of other numbers are rounded in another order.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]


def pooled_kernel(weight: Tensor, pool: Pair, stride: Pair = (1, 1)) -> Tensor:
    """Return the kernel that computes what `weight` and then a sum over windows of `pool` would.

    Args:
        weight: `[out, in / groups, height, width]`, not dilated.
        pool: height and width of the pooling windows.
        stride: of the convolution; that of the result is its product with the pooling's.

    Returns:
        `[out, in / groups, height + (pool - 1) * stride, ...]`.
    """
    high, wide = ((size - 1) * step for size, step in zip(pool, stride, strict=True))
    offsets = product(range(0, high + 1, stride[0]), range(0, wide + 1, stride[1]))
    return torch.stack(
        [functional.pad(weight, (x, wide - x, y, high - y)) for y, x in offsets]
    ).sum(0)


def any_spike(spikes: Tensor, window: Pair) -> Tensor:
    """Return whether any neuron of a window fires, `[T, N, ...]` for spikes `[T, N, ...]`.

    The gradient of a window goes to the first of those that fire, or to its first neuron, as that
    of torch.nn.MaxPool2d.
    """
    pooled = functional.max_pool2d(spikes.flatten(0, 1), window)
    return pooled.view(*spikes.shape[:2], *pooled.shape[1:])
