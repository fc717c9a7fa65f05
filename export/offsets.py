"""Offsets: what a model's values are where no integer comes, on their way through its layers.

An offset is one number a channel, or one a value where it differs within a channel: a convolution
that pads its input with zeros takes less of an offset at the edges than inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lehr.export.fold import Float
from lehr.nodes import Shape, SumPool2d


def along_channels(values: Float, shape: Shape) -> Float:
    """Return numbers by channel with axes of 1 for the others of a shape; others as they are."""
    return values.reshape(-1, *[1] * (len(shape) - 1)) if values.ndim == 1 else values


def by_value(offset: Float, shape: Shape) -> Float:
    """Return an offset as one number a value, of the layer's shape."""
    return np.broadcast_to(along_channels(offset, shape), shape).copy()


def changed(offset: Float, factor: Float, plus: Float, shape: Shape) -> Float:
    """Return `factor * offset + plus`, of numbers by channel or of one for all."""
    if offset.ndim == 1:
        return factor * offset + plus
    return along_channels(factor, shape) * offset + along_channels(plus, shape)


def narrowed(offset: Float) -> Float:
    """Return one number a channel where there is no other in it; else the offset as it is."""
    rows = offset.reshape(len(offset), -1)
    return rows[:, 0].copy() if (rows == rows[:, :1]).all() else offset


def columns(weight: Float, factors: Float, groups: int) -> Float:
    """Take factors of the input, one an input channel, into weights `[outputs, inputs, ...]`.

    Of a convolution in groups each output has its own part of the inputs.
    """
    own = factors.reshape(groups, -1).repeat(len(weight) // groups, axis=0)
    return weight * own.reshape(*own.shape, *[1] * (weight.ndim - 2))


def through_weights(module: Any, offset: Float, shape: Shape) -> Float:
    """Return what weights, without their bias, make of an offset.

    Args:
        module: nn.Linear or nn.Conv2d in double precision, which pads with zeros.
        offset: of its input.
        shape: of its input.
    """
    weight = module.weight.detach()
    if weight.ndim == 2:
        return np.asarray(functional.linear(torch.from_numpy(offset), weight).numpy())
    whole = torch.from_numpy(by_value(offset, shape))[None]
    given = functional.conv2d(
        whole, weight, None, module.stride, module.padding, module.dilation, module.groups
    )
    return narrowed(given[0].numpy())


def through_average(pool: SumPool2d, divisor: int, offset: Float, shape: Shape) -> Float:
    """Return what average pooling, which counts its padding as zeros, makes of an offset."""
    whole = torch.from_numpy(by_value(offset, shape))[None]
    given = functional.avg_pool2d(
        whole, pool.kernel, pool.stride, pool.padding, divisor_override=divisor
    )
    return narrowed(given[0].numpy())
