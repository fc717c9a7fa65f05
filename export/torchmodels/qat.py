"""Layers of torch.ao.nn.qat: plain ones, whose weights a FakeQuantize rounds as they run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lehr.weights import LARGEST

_FAKES = "torch.ao.quantization.fake_quantize"


def is_fake_quantize(module: nn.Module) -> bool:
    """Return whether a module rounds tensors to levels, in floats."""
    return any(kind.__module__ == _FAKES for kind in type(module).__mro__)


def keep_scales(module: nn.Module) -> None:
    """Make the scale of a FakeQuantize float32 again, as torch's own kernels take no other."""
    if is_fake_quantize(module) and (scale := module._buffers.get("scale")) is not None:
        module._buffers["scale"] = scale.float()


def fake_quantize_problem(module: nn.Module) -> str | None:
    """Say why the levels of a layer's quantized weights are none of int8's here, and the way out.

    Args:
        module: a layer; None comes of one without a FakeQuantize of its weights.
    """
    fake: Any = getattr(module, "weight_fake_quant", None)
    if fake is None or not is_fake_quantize(fake):
        return None
    zero = fake.zero_point.flatten()
    if bool(zero.any()):
        return (
            f"the zero_point of its weights is {int(zero[zero != 0][0])}; quantize them around 0, "
            "with qscheme=torch.per_channel_symmetric"
        )
    scale, weight = fake.scale.double(), module.get_parameter("weight")
    levels = torch.round(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    lowest = max(int(levels.min()), fake.activation_post_process.quant_min)
    if lowest < -LARGEST["int8"]:
        return (
            f"its weights are quantized down to {lowest}, and int8 here holds -127 to 127; give "
            "its FakeQuantize quant_min=-127"
        )
    return None
