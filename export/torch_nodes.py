"""Layers of torch in the words of the integer network: nodes, and the numbers of a batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.export.torch_recurrent import ONE_TO_ONE
from lehr.nodes import Conv2d, Linear, Shape, ShapeMismatch, SumPool2d
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


def pool_of(module: Any, shape: Shape) -> SumPool2d:
    """Return the sums of a pool over maps of a shape.

    Raises:
        NotMappable: when its last windows are smaller. The caller names it.
    """
    pool = SumPool2d(module.kernel_size, module.stride, module.padding)
    sides = zip(shape[1:], pool.padding, pool.kernel, pool.stride, strict=False)
    if module.ceil_mode and any((size + 2 * pad - span) % step for size, pad, span, step in sides):
        raise NotMappable("its last windows are cut off (ceil_mode=True); use ceil_mode=False")
    return pool


def adaptive_pool(module: Any, shape: Shape) -> nn.AvgPool2d:
    """Return the average over windows of equal size that makes a map of the size asked for.

    Raises:
        NotMappable: when windows of several sizes do. The caller names it.
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
    return nn.AvgPool2d((height // rows, width // columns))


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
