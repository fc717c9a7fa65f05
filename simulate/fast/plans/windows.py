"""Convolutions and poolings, and both at once, as windows over feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.network import Conv2d, SumPool2d

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Window:
    """A convolution, or what can be written as one: int `[out, in / groups, height, width]`."""

    weight: Array
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def pooling(node: SumPool2d, channels: int) -> Window:
    """Return a pooling of feature maps of `channels` as a window."""
    return Window(
        np.ones((channels, 1, *node.kernel), np.int32), node.stride, node.padding, (1, 1), channels
    )


def window_of(node: Conv2d, pool: SumPool2d | None = None) -> Window:
    """Return a convolution as a window; with the pooling that follows it, both at once.

    A convolution and the sum over windows of its output are one convolution with a larger kernel:
    36 products in place of 100 for 5x5 before 2x2.
    """
    weight, stride = node.weight.astype(np.int32), node.stride
    if pool is not None:
        high, wide = (
            (size - 1) * step for size, step in zip(pool.kernel, node.stride, strict=True)
        )
        summed = np.zeros(
            (*weight.shape[:2], weight.shape[2] + high, weight.shape[3] + wide), np.int32
        )
        for y in range(0, high + 1, node.stride[0]):
            for x in range(0, wide + 1, node.stride[1]):
                summed[:, :, y : y + weight.shape[2], x : x + weight.shape[3]] += weight
        weight, stride = summed, (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
    return Window(weight, stride, node.padding, node.dilation, node.groups)


def into_size(window: Window, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what a window makes of feature maps of height and width `size`."""
    spans = (d * (k - 1) + 1 for d, k in zip(window.dilation, window.weight.shape[2:], strict=True))
    height, width = (
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(size, window.padding, spans, window.stride, strict=True)
    )
    return height, width


def seen_by(window: Window, axis: int, size: int, out: int) -> tuple[Array, Array, Array]:
    """Return places of rows (axis 0) or columns of the input.

    Of each: its place with padding, the first output that sees it, and the one after the last.
    """
    place, stride = np.arange(size) + window.padding[axis], window.stride[axis]
    span = (window.weight.shape[2 + axis] - 1) * window.dilation[axis]
    first, last = np.maximum(0, -(-(place - span) // stride)), np.minimum(out, place // stride + 1)
    return place, first, np.maximum(first, last)
