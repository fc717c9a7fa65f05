"""Layers of torch in the words of the integer network: nodes, and the numbers of a batch norm."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.export.torchmodels.recurrent import ONE_TO_ONE
from lehr.nodes import (
    Conv2d,
    Linear,
    MaxPool2d,
    Neuron,
    Pair,
    Shape,
    ShapeMismatch,
    SumPool2d,
    Upsample2d,
)
from lehr.weights import WeightKind

SILENT: tuple[type[nn.Module], ...] = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.Identity,
)
"""Layers that give what they take in evaluation."""
_OR = Arithmetic(decay_numerator=0, reset="none", fraction_bits=1)
"""A neuron that keeps nothing and fires where the sum of its inputs is above 0.

It takes twice the sum, and its threshold is 1.
"""


def node_of(module: Any, levels: npt.NDArray[np.int8], kind: WeightKind) -> Conv2d | Linear:
    """Return weights, the levels of a layer, as a node.

    Raises:
        NotMappable: when no node pads as the layer does. The caller names it.
    """
    if levels.ndim == 2:
        return Linear(levels, kind)
    if isinstance(module, ONE_TO_ONE):
        return Conv2d(levels, groups=len(levels), kind=kind)
    if module.padding_mode != "zeros":
        raise NotMappable(f"its padding_mode is '{module.padding_mode}'; use 'zeros'")
    padding = module.padding
    if padding == "valid":
        padding = 0
    elif padding == "same":
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise NotMappable("its padding 'same' has no equal sides; use an odd kernel")
        padding = tuple(span // 2 for span in spans)
    return Conv2d(levels, module.stride, padding, module.dilation, module.groups, kind)


def with_equal_sides(module: Any) -> Any:
    """Return a convolution that pads as much on one side as on the other, with padding 'same'.

    torch pads one place more behind than before where windows span an even number of places. A
    weight of 0 in front makes that equal; where weights are apart, those between them are written
    out as 0. Other layers are returned as they are.
    """
    if getattr(module, "padding", None) != "same":
        return module
    spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    if not any(span % 2 for span in spans):
        return module
    weight, dilation = module.weight.detach(), [*module.dilation]
    for axis, span in enumerate(spans, 2):
        if span % 2:
            shape = [*weight.shape]
            shape[axis] = span + 2
            places = 1 + torch.arange(weight.shape[axis]) * dilation[axis - 2]
            weight = torch.zeros(shape, dtype=weight.dtype).index_copy_(axis, places, weight)
            dilation[axis - 2] = 1
    equal = nn.Conv2d(
        module.in_channels,
        module.out_channels,
        (weight.shape[2], weight.shape[3]),
        1,
        ((spans[0] + 1) // 2, (spans[1] + 1) // 2),
        (dilation[0], dilation[1]),
        module.groups,
        padding_mode=module.padding_mode,
        dtype=weight.dtype,
    )
    equal.weight, equal.bias = nn.Parameter(weight), module.bias
    return equal


def cut_off(pool: SumPool2d, shape: Shape) -> Pair:
    """Return how far the last windows hang over a padded map with ceil_mode, in rows and columns.

    It is (0, 0) where none is cut off.
    """
    greatest = MaxPool2d(pool.kernel, pool.stride, pool.padding, ceil_mode=True)
    beyond = zip(greatest.ends(shape), pool.padding, strict=True)
    rows, columns = (max(0, end - padding) for end, padding in beyond)
    return rows, columns


def why_cut_off(pool: SumPool2d, shape: Shape, *, over_maps: bool) -> str:
    """Say by what an average pool divides where its last windows are cut off, and the way out."""
    area = pool.kernel[0] * pool.kernel[1]
    least = math.prod(
        size - over for size, over in zip(pool.kernel, cut_off(pool, shape), strict=True)
    )
    given = f", or give divisor_override={area}" if over_maps else ""
    return (
        f"its last windows are cut off (ceil_mode=True), so that it divides by {least} to {area}; "
        f"use ceil_mode=False{given}"
    )


def cut_sums(pool: SumPool2d, channels: int, more: Pair, divisor: int) -> nn.Conv2d:
    """Return an average pool with windows cut off, as a convolution of each channel by itself.

    A convolution pads as much in front as behind. Weights of 0 in front make that equal.

    Args:
        pool: the windows.
        channels: how many there are.
        more: as `cut_off` says it.
        divisor: by which all windows are divided.
    """
    kernel = (pool.kernel[0] + more[0], pool.kernel[1] + more[1])
    padding = (pool.padding[0] + more[0], pool.padding[1] + more[1])
    conv = nn.Conv2d(
        channels, channels, kernel, pool.stride, padding, groups=channels, bias=False
    ).double()
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:, :, more[0] :, more[1] :] = 1 / divisor
    return conv


def equal_windows(module: Any, shape: Shape) -> Pair:
    """Return the windows of one size with which an adaptive pool makes a map of the size asked for.

    Raises:
        NotMappable: when it takes windows of several sizes. The caller names the layer.
    """
    if len(shape) != 3:
        raise ShapeMismatch(f"takes (channels, height, width) but gets {shape}")
    asked, (height, width) = module.output_size, shape[1:]
    rows, columns = asked if isinstance(asked, tuple) else (asked, asked)
    rows, columns = rows or height, columns or width  # None keeps a size
    if height % rows or width % columns:
        raise NotMappable(
            f"its windows over {(height, width)} are of several sizes, for {(rows, columns)} of "
            "them; use an output size that divides"
        )
    return height // rows, width // columns


def maximum_of(module: Any) -> MaxPool2d:
    """Return the maxima of a layer.

    Raises:
        NotMappable: when it gives their places as well. The caller names it.
    """
    if module.return_indices:
        raise NotMappable("it returns indices; use return_indices=False")
    return MaxPool2d(
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        bool(module.ceil_mode),
    )


def upsampled_by(module: Any, sizes: Shape) -> Upsample2d:
    """Return the blocks that nn.Upsample makes of values, along one axis or two of `sizes` values.

    Raises:
        NotMappable: when it is not each value a whole number of times. The caller names the layer.
    """
    if module.mode not in ("nearest", "nearest-exact"):
        corners = "" if module.align_corners is None else f", align_corners={module.align_corners}"
        raise NotMappable(
            f"its mode is '{module.mode}'{corners}, which adds parts of several values; use mode="
            "'nearest' and train with it"
        )
    if module.align_corners is not None:
        raise NotMappable(
            f"its align_corners is {module.align_corners}, which mode='{module.mode}' does not "
            "take; leave it out"
        )
    if (module.size is None) is (module.scale_factor is None):
        both = "no size and no" if module.size is None else "size and"
        raise NotMappable(f"it has {both} scale_factor; give it one of the two")
    by_size = module.scale_factor is None
    given = module.size if by_size else module.scale_factor
    name = f"its {'size' if by_size else 'scale_factor'} is {given}"
    asked = given if isinstance(given, tuple | list) else (given,) * len(sizes)
    if len(asked) != len(sizes):
        raise NotMappable(
            f"{name}, of {len(asked)} axes, and it gets {len(sizes)}; give it one number for each"
        )
    times = [a / size if by_size else a for a, size in zip(asked, sizes, strict=True)]
    if not all(float(each).is_integer() and each >= 1 for each in times):
        over = f", and it gets {sizes}" if by_size else ""
        raise NotMappable(
            f"{name}{over}: no value stands there a whole number of times; use whole numbers, as "
            "scale_factor=2"
        )
    rows, columns = (1, *map(int, times))[-2:]
    return Upsample2d((rows, columns))


def has_sums(pool: MaxPool2d, shape: Shape) -> bool:
    """Return whether sums over the very windows of maxima can be had: none is dilated or cut."""
    plain = replace(pool, dilation=(1, 1), ceil_mode=False)
    return pool.dilation == (1, 1) and plain.output_shape(shape) == pool.output_shape(shape)


def any_of(channels: int) -> Neuron:
    """Return neurons that are the OR of the spikes that they take the sum of."""
    return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), _OR)


def norm_of(module: Any, shape: Shape) -> Affine:
    """Return a batch norm in evaluation mode, of values of a shape.

    Raises:
        NotMappable: when it has no statistics, or other channels. The caller names it.
    """
    if module.running_mean is None:
        raise NotMappable(
            "it has no running statistics (track_running_stats=False), so that it computes on "
            "whole batches; train it with"
        )
    count = len(module.running_mean)
    if count != shape[0]:
        raise NotMappable(f"it has {count} channels and gets {shape}; give it as many")
    weight, bias = (
        None if value is None else value.detach().numpy() for value in (module.weight, module.bias)
    )
    return Affine.batch_norm(
        np.ones(count) if weight is None else weight,
        np.zeros(count) if bias is None else bias,
        module.running_mean.numpy(),
        module.running_var.numpy(),
        module.eps,
    )
