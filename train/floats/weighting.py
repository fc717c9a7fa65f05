"""What a layer of phase A makes of spikes before its neurons: weights, pooling, batch norm.

Tensors are `[N, ...]`, time folded into the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lehr.errors import UsageError
from lehr.nodes import Pair, Shape, values_in
from lehr.tables import Table
from lehr.train.floats.batch_norm import BatchNorm1d, BatchNorm2d
from lehr.train.floats.layers import QuantizedConv2d, QuantizedLinear
from lehr.train.floats.quantize import quantizer
from lehr.train.keys.layer import Conv, Conv1d, Convolution, Geometry, Integrator, Linear
from lehr.train.keys.network import NetworkRecipe


@dataclass(frozen=True)
class Weighting:
    """The modules before a layer's neurons, in the order in which they run, and the one behind.

    Attributes:
        weight: a convolution or a fully connected layer, quantized where the integer network's is.
        pool: pooling of currents; the identity where there is none.
        norm: batch norm; the identity where there is none.
        shape: of what they put out, without time and batch.
        window: of the pooling that the convolution can compute with its own kernel, in rows and
            columns; 1 where it cannot.
        max_pool: windows of neurons one of whose spikes goes on, in rows and columns.
    """

    weight: nn.Conv2d | nn.Linear
    pool: nn.Module
    norm: nn.Module
    shape: Shape
    window: Pair = (1, 1)
    max_pool: Pair = (1, 1)


_WEIGHTINGS: Table[Callable[..., Weighting]] = Table("phase A", "use another type of layer")
"""From the network, a layer of it, its key and the shape that it gets to its modules."""


def weighting(net: NetworkRecipe, number: int, shape: Shape) -> Weighting:
    """Return the modules of layer `number`, from 0, that gets spikes of `shape`.

    Their weights are random.

    Raises:
        UsageError: when the layer does not fit the shape.
    """
    layer = net.weighted[number]
    modules = _WEIGHTINGS[type(layer)](net, layer, net.key(number), shape)
    if (layer.init or net.init) == "glorot":
        nn.init.xavier_uniform_(modules.weight.weight, gain=0.5)
    return modules


@_WEIGHTINGS.rule(Conv, Conv1d)
def _conv(net: NetworkRecipe, layer: Convolution, key: str, shape: Shape) -> Weighting:
    rows, way_out = (
        ("channels, one row and columns", "let data.row be true")
        if layer.type == "conv1d"
        else ("channels, rows and columns", "use linear layers")
    )
    if len(shape) != 3 or (layer.type == "conv1d" and shape[1] != 1):
        raise UsageError(
            f"a {layer.type} layer gets inputs of shape {shape}, which are no {rows}; {way_out}"
        )
    if shape[0] % layer.groups:
        raise UsageError(
            f"{key}.groups is {layer.groups}, but the layer gets {shape[0]} channels; use a "
            "divisor of both"
        )
    windows, kind = layer.geometry, net.kind_of(layer)
    fields = (shape[0], layer.channels, windows.kernel, windows.stride, windows.padding)
    weight: nn.Conv2d = (
        QuantizedConv2d(
            quantizer(kind, net.learns_step(layer)), *fields, windows.dilation, layer.groups
        )
        if kind
        else nn.Conv2d(*fields, windows.dilation, layer.groups, bias=False)
    )
    size = windows.convolved((shape[1], shape[2]))
    rooms = [n // p for n, p in zip(size, windows.pool, strict=True)]
    if min(*size, *rooms, *(n // p for n, p in zip(size, windows.max_pool, strict=True))) < 1:
        pool = f"pool {layer.pool}" if layer.max_pool == 1 else f"max_pool {layer.max_pool}"
        raise UsageError(
            f"a {layer.type} layer of kernel {layer.kernel} and {pool} gets "
            f"{shape[1:]} pixels; make it smaller"
        )
    values_in(f"a {layer.type} layer of padding {layer.padding}", (layer.channels, *size))
    # sums of integers times spikes, and a quarter of them, are exact in any order
    exact = (
        kind is not None
        and windows.dilation == (1, 1)
        and not windows.greatest
        and all(side in (1, 2, 4, 8) for side in windows.pool)
    )
    return Weighting(
        weight,
        _pooling(windows),
        BatchNorm2d(layer.channels) if layer.batch_norm else nn.Identity(),
        (layer.channels, *rooms),
        windows.pool if exact else (1, 1),
        windows.max_pool,
    )


def _pooling(windows: Geometry) -> nn.Module:
    if windows.pool == (1, 1):
        return nn.Identity()
    return nn.MaxPool2d(windows.pool) if windows.greatest else nn.AvgPool2d(windows.pool)


@_WEIGHTINGS.rule(Linear, Integrator)
def _linear(net: NetworkRecipe, layer: Linear | Integrator, key: str, shape: Shape) -> Weighting:
    del key
    taken, kind = int(torch.Size(shape).numel()), net.kind_of(layer)
    if isinstance(layer, Linear) and layer.recurrent:
        taken += layer.features  # of one step and one unit, as both are added up
    return Weighting(
        QuantizedLinear(quantizer(kind, net.learns_step(layer)), taken, layer.features)
        if kind
        else nn.Linear(taken, layer.features, bias=False),
        nn.Identity(),
        BatchNorm1d(layer.features)
        if isinstance(layer, Linear) and layer.batch_norm
        else nn.Identity(),
        (layer.features,),
    )
