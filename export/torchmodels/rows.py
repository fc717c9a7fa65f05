"""Layers over one axis as layers over maps of one row.

The maps of an integer network have two axes: a model's `[channels, n]` is `[channels, 1, n]` there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lehr.nodes import Shape


def _one(value: Any) -> Any:
    """Return the number of a setting of one axis, which may be a tuple of one."""
    return value[0] if isinstance(value, tuple) else value


def _conv(module: nn.Conv1d) -> nn.Conv2d:
    padding = module.padding if isinstance(module.padding, str) else (0, _one(module.padding))
    conv = nn.Conv2d(
        module.in_channels,
        module.out_channels,
        (1, _one(module.kernel_size)),
        (1, _one(module.stride)),
        padding,
        (1, _one(module.dilation)),
        module.groups,
        module.bias is not None,
        module.padding_mode,
        dtype=torch.float64,
    )
    with torch.no_grad():
        conv.weight.copy_(module.weight.unsqueeze(2))
        if conv.bias is not None and module.bias is not None:
            conv.bias.copy_(module.bias)
    return conv


def _average(module: nn.AvgPool1d) -> nn.AvgPool2d:
    return nn.AvgPool2d(
        (1, _one(module.kernel_size)),
        (1, _one(module.stride)),
        (0, _one(module.padding)),
        module.ceil_mode,
        module.count_include_pad,
    )


def _maximum(module: nn.MaxPool1d) -> nn.MaxPool2d:
    return nn.MaxPool2d(
        (1, _one(module.kernel_size)),
        (1, _one(module.stride)),
        (0, _one(module.padding)),
        (1, _one(module.dilation)),
        module.return_indices,
        module.ceil_mode,
    )


def _adaptive(module: nn.AdaptiveAvgPool1d) -> nn.AdaptiveAvgPool2d:
    return nn.AdaptiveAvgPool2d((1, _one(module.output_size)))


def _adaptive_maximum(module: nn.AdaptiveMaxPool1d) -> nn.AdaptiveMaxPool2d:
    return nn.AdaptiveMaxPool2d((1, _one(module.output_size)), module.return_indices)


OVER_ROWS: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Conv1d: _conv,
    nn.AvgPool1d: _average,
    nn.MaxPool1d: _maximum,
    nn.AdaptiveAvgPool1d: _adaptive,
    nn.AdaptiveMaxPool1d: _adaptive_maximum,
}
"""Layers over one axis, and what makes the same over maps of one row of each."""


def as_map(shape: Shape) -> Shape:
    """Return `[channels, n]` as a map of one row; other shapes are as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def as_row(shape: Shape) -> Shape:
    """Return what a map of one row is in the model."""
    return (shape[0], shape[2]) if len(shape) == 3 else shape
