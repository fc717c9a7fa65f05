"""Layers of torch in the words of the integer network: nodes, and the numbers of a batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.export.torch_recurrent import ONE_TO_ONE
from lehr.nodes import Conv2d, Linear, Shape, SumPool2d
from lehr.weights import WeightKind


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


def pool_of(module: Any) -> SumPool2d:
    """Return the sums of an average pool.

    Raises:
        NotMappable: when its last windows are smaller. The caller names it.
    """
    if module.ceil_mode:
        raise NotMappable("its last windows are cut off (ceil_mode=True); use ceil_mode=False")
    return SumPool2d(module.kernel_size, module.stride, module.padding)


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
