"""What a layer of phase A makes of spikes before its neurons: weights, average pooling, batch norm.

Tensors are `[N, ...]`, time folded into the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lehr.errors import UsageError
from lehr.nodes import Shape, values_in
from lehr.tables import Table
from lehr.train.layers import QuantizedConv2d, QuantizedLinear
from lehr.train.network_recipe import Conv, Integrator, Layer, Linear, NetworkRecipe
from lehr.train.quantize import quantizer


@dataclass(frozen=True)
class Weighting:
    """The modules before a layer's neurons, in the order in which they run.

    Attributes:
        weight: a convolution or a fully connected layer, quantized where the integer network's is.
        pool: average pooling; the identity where there is none.
        norm: batch norm; the identity where there is none.
        shape: of what they put out, without time and batch.
        window: of the pooling that the convolution can compute with its own kernel; 1 where it
            cannot.
    """

    weight: nn.Conv2d | nn.Linear
    pool: nn.Module
    norm: nn.Module
    shape: Shape
    window: int = 1


_WEIGHTINGS: Table[Callable[..., Weighting]] = Table("phase A", "use another type of layer")
"""From the network, a layer of it and the shape that it gets to its modules."""


def weighting(net: NetworkRecipe, layer: Layer, shape: Shape) -> Weighting:
    """Return the modules of a layer that gets spikes of `shape`, with random weights.

    Raises:
        UsageError: when the layer does not fit the shape.
    """
    modules = _WEIGHTINGS[type(layer)](net, layer, shape)
    if net.init == "glorot":
        nn.init.xavier_uniform_(modules.weight.weight, gain=0.5)
    return modules


@_WEIGHTINGS.rule(Conv)
def _conv(net: NetworkRecipe, layer: Conv, shape: Shape) -> Weighting:
    if len(shape) != 3:
        raise UsageError(
            f"a conv layer gets inputs of shape {shape}, which are no channels, rows and "
            "columns; use linear layers"
        )
    kind = net.kind
    window = (shape[0], layer.channels, layer.kernel, layer.stride, layer.padding)
    weight: nn.Conv2d = (
        QuantizedConv2d(quantizer(kind, net.learned_step), *window)
        if kind
        else nn.Conv2d(*window, bias=False)
    )
    size = [(n + 2 * layer.padding - layer.kernel) // layer.stride + 1 for n in shape[1:]]
    if min(size) < layer.pool:
        raise UsageError(
            f"a conv layer of kernel {layer.kernel} and pool {layer.pool} gets "
            f"{shape[1:]} pixels; make it smaller"
        )
    values_in(f"a conv layer of padding {layer.padding}", (layer.channels, *size))
    return Weighting(
        weight,
        nn.AvgPool2d(layer.pool) if layer.pool > 1 else nn.Identity(),
        nn.BatchNorm2d(layer.channels) if layer.batch_norm else nn.Identity(),
        (layer.channels, *(n // layer.pool for n in size)),
        # sums of integers times spikes, and a quarter of them, are exact in any order
        layer.pool if kind and layer.pool in (2, 4, 8) else 1,
    )


@_WEIGHTINGS.rule(Linear, Integrator)
def _linear(net: NetworkRecipe, layer: Linear | Integrator, shape: Shape) -> Weighting:
    taken = int(torch.Size(shape).numel())
    return Weighting(
        QuantizedLinear(quantizer(net.kind, net.learned_step), taken, layer.features)
        if net.kind
        else nn.Linear(taken, layer.features, bias=False),
        nn.Identity(),
        nn.BatchNorm1d(layer.features)
        if isinstance(layer, Linear) and layer.batch_norm
        else nn.Identity(),
        (layer.features,),
    )
