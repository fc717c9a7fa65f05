"""Tensors of torchao's weight-only quantization: integers times a scale an output, or a group.

Nothing of torchao is imported: its tensors are known by the package of their class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_ACTIVATIONS = ("act_quant_kwargs", "activation_quantization", "act_pre_scale")


def is_torchao(tensor: Tensor) -> bool:
    """Return whether a tensor is of a class of torchao's."""
    return type(tensor).__module__.partition(".")[0] == "torchao"


def quantized_problem(tensor: Any) -> str | None:
    """Say why a tensor of torchao's is no integers times scales, and the way out."""
    use = "use Int8WeightOnlyConfig, or IntxWeightOnlyConfig"
    kind = type(tensor).__name__
    if any(getattr(tensor, name, None) is not None for name in _ACTIVATIONS):
        return f"of torchao's {kind} and quantizes what its layer takes as well; {use}"
    zero = getattr(tensor, "zero_point", None)
    if (
        not hasattr(tensor, "qdata")
        or not hasattr(tensor, "scale")
        or tensor.qdata.is_floating_point()
    ):
        return f"of torchao's {kind}, no integers times a scale; {use}"
    if zero is not None and bool(zero.any()):
        return f"of torchao's {kind} and has a zero_point; quantize it symmetrically: {use}"
    return None


def keep_values(module: nn.Module) -> None:
    """Put what quantized parameters of a layer stand for, in float64, in their place."""
    for name, tensor in module._parameters.items():
        if tensor is not None and is_torchao(tensor):
            values = _values(tensor)
            module._parameters[name] = nn.Parameter(values, requires_grad=False)


def _values(tensor: Any) -> Tensor:
    if quantized_problem(tensor):  # which is said, and refused
        return torch.as_tensor(tensor.dequantize()).double()
    groups = tensor.qdata.shape[-1] // tensor.scale.shape[-1]
    scale = tensor.scale.double().repeat_interleave(groups, -1)
    values: Tensor = tensor.qdata.double() * scale
    return values
