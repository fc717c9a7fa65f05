"""Layers of Brevitas: the integers and scales that its quantizers compute.

Nothing of Brevitas is imported: what it makes is known by the package of its class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.levels import Levels
from lehr.nodes import Shape
from lehr.weights import LARGEST


def is_quant_tensor(value: Any) -> bool:
    """Return whether a value is what Brevitas makes of a tensor."""
    return type(value).__module__.startswith("brevitas.quant_tensor.")


def quantizer_problem(module: Any) -> str | None:
    """Say why a layer of Brevitas quantizes more than its weights and bias, and the way out."""
    for name, what in (("input_quant", "what it takes"), ("output_quant", "what it gives")):
        quantizer = getattr(module, name, None)
        if getattr(quantizer, "is_quant_enabled", False):
            return f"it quantizes {what}; build it with {name}=None"
    if getattr(getattr(module, "bias_quant", None), "requires_input_scale", False):
        return (
            "its bias_quant takes the scale of what comes in, and spikes have none; build it with "
            "bias_quant=None, or with Int8BiasPerTensorFloatInternalScaling"
        )
    return None


def quant_levels(weight: Any) -> Levels:
    """Read quantized weights as the integers that Brevitas computes, times its scale.

    Args:
        weight: of the class IntQuantTensor, outputs first.

    Raises:
        NotMappable: when they are no integers around 0 with one scale an output. The caller names
            the layer.
    """
    kind = type(weight).__name__
    if kind != "IntQuantTensor":
        raise NotMappable(
            f"its weights are of Brevitas' {kind}, no integers of one scale an output; use an "
            "integer quantizer, as Int8WeightPerTensorFloat"
        )
    zero = weight.zero_point.detach().double()
    if bool(zero.any()):
        raise NotMappable(
            f"the zero_point of its weights is {float(zero.flatten()[0]):g}; use a quantizer "
            "around 0, as Int8WeightPerTensorFloat"
        )
    integers = weight.int().numpy().astype(np.int64)
    greatest = LARGEST["int8"]
    if np.abs(integers).max() > greatest:
        raise NotMappable(
            f"its integer weights are {integers.min()} to {integers.max()}, and int8 here holds "
            f"{-greatest} to {greatest}; use up to 8 bits with narrow_range=True"
        )
    scale = weight.scale.detach().double().numpy()
    outputs = len(integers)
    try:
        step = np.broadcast_to(scale, (outputs, *[1] * (integers.ndim - 1))).reshape(outputs)
    except ValueError:
        raise NotMappable(
            f"its weights have scales of shape {list(scale.shape)}; use one for the tensor or one "
            "an output"
        ) from None
    return Levels(integers.astype(np.int8), step.copy(), 0.0)


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is a quantizer of activations, as QuantIdentity and QuantReLU."""
    return any(
        kind.__name__ == "QuantNonLinearActLayer" and kind.__module__.startswith("brevitas.")
        for kind in type(module).__mro__
    )


def spike_values(module: nn.Module, shape: Shape) -> Float:
    """Return what a quantizer of activations makes of a spike.

    Args:
        module: in double precision and evaluation mode.
        shape: of the spikes, without batch.

    Returns:
        One value a channel, float64 `[channels]`.

    Raises:
        NotMappable: when a spike is another value in each neuron of a channel, or 0, or no spike is
            not 0. The caller names the module.
    """
    draw = torch.Generator().manual_seed(0)
    some = torch.randint(0, 2, (8, *shape), generator=draw).double()
    with torch.no_grad():
        none, all_, given = (
            _value(module(x)) for x in (torch.zeros_like(some), torch.ones_like(some), some)
        )
    worth = all_[0].reshape(shape[0], -1)[:, 0]
    by_neuron = worth.reshape(-1, *[1] * (len(shape) - 1))
    if (
        bool(none.any())
        or not torch.equal(given, some * by_neuron)
        or not torch.equal(all_, by_neuron.expand_as(all_))
        or not bool((worth > 0).all())
    ):
        low, high = float(all_.min()), float(all_.max())
        raise NotMappable(
            f"it makes {float(none.max()):g} of 0 and {low:g} to {high:g} of a spike, and spikes "
            "are one value above 0 a channel; leave it out, or quantize spikes as 0 and 1"
        )
    return worth.numpy()


def _value(quantized: Any) -> torch.Tensor:
    """Return numbers, whether Brevitas has wrapped them or not."""
    numbers: torch.Tensor = quantized.value if is_quant_tensor(quantized) else quantized
    return numbers.detach()
