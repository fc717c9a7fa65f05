"""Kernels of machines that have less than `Conv2d`; exact, in whole numbers.

They have no dilation, no groups, and no pooling behind a convolution.
"""

from __future__ import annotations

import numpy as np

from lehr.arithmetic import Int64
from lehr.nodes import Conv2d, Pair


def undilated(conv: Conv2d) -> Int64:
    """Return the kernel of a convolution, with zeros where its dilation leaves places out.

    The kernel is `[out, in / groups, height, width]`.
    """
    out, into, height, width = conv.weight.shape
    rows, columns = conv.dilation
    kernel = np.zeros((out, into, (height - 1) * rows + 1, (width - 1) * columns + 1), np.int64)
    kernel[:, :, ::rows, ::columns] = conv.weight
    return kernel


def ungrouped(kernel: Int64, groups: int) -> Int64:
    """Return a kernel in groups as one of all inputs, with zeros between groups.

    `[out, in / groups, height, width]` becomes `[out, in, height, width]`.
    """
    out, into, height, width = kernel.shape
    whole, each = np.zeros((out, into * groups, height, width), np.int64), out // groups
    for group in range(groups):
        own = slice(group * each, (group + 1) * each)
        whole[own, group * into : (group + 1) * into] = kernel[own]
    return whole


def pooled(kernel: Int64, window: Pair, stride: Pair) -> Int64:
    """Return the kernel that sums windows of places of a convolution at once.

    Its stride is the product of both strides.

    Args:
        kernel: of the convolution, not dilated.
        window: height and width of the windows.
        stride: of the convolution.
    """
    high, wide = ((size - 1) * step for size, step in zip(window, stride, strict=True))
    total = np.zeros((*kernel.shape[:2], kernel.shape[2] + high, kernel.shape[3] + wide), np.int64)
    for row in range(0, high + 1, stride[0]):
        for column in range(0, wide + 1, stride[1]):
            total[:, :, row : row + kernel.shape[2], column : column + kernel.shape[3]] += kernel
    return total
