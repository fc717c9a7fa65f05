"""From phase A to phase B: fold the float network into its exact-integer twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.export.latent import Latent
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Edge,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    Readout,
    SumPool2d,
)
from lehr.nodes import InputKind, Node, Shape
from lehr.train.finite import require_finite
from lehr.train.folding import THRESHOLD_MAX, TwinFold, fold_for_twin
from lehr.train.layers import Quantized
from lehr.train.model import Block, FloatNet
from lehr.train.network_recipe import Conv
from lehr.train.recipe import Recipe
from lehr.train.shares import Shares
from lehr.train.twin import Twin
from lehr.train.updates import LayerUpdate
from lehr.widths import analyse, fit_state_bits


@dataclass(frozen=True)
class Converted:
    """The twin, and how each neuron layer was folded, by node name."""

    twin: Twin
    folds: dict[str, TwinFold]


def convert(model: FloatNet, recipe: Recipe, shape: Shape, kind: InputKind) -> Converted:
    """Fold a trained float network.

    Args:
        model: in evaluation mode, its batch norm re-estimated.
        recipe: of the run.
        shape: of the network's input.
        kind: of the network's input.

    Raises:
        NotMappable: when the integers would be too large for the float32 twin to be exact.
        UsageError: when a number of the model is not finite.
    """
    require_finite(model.trained(), "where it is folded")
    shares = recipe.network.thresholds
    nodes: dict[str, Node] = {}
    latents: dict[str, Latent] = {}
    folds: dict[str, TwinFold] = {}
    updates: dict[str, LayerUpdate] = {}
    units: dict[str, float] = {}
    path = [INPUT]
    for number, (block, layer) in enumerate(
        zip(model.layers, recipe.network.layers, strict=True), start=1
    ):
        assert isinstance(block.weight, Quantized)
        weight, quantizer = block.weight.weight.detach(), block.weight.quantizer
        area = layer.pool**2 if isinstance(layer, Conv) else 1
        scale = model.full_scale if number == 1 else 1
        step = quantizer.step(weight)
        affine = _affine(block)
        gain = affine.gain * (1.0 if step is None else float(step.detach())) / (area * scale)
        # of an integrator, the rounding of biases asks for fraction bits
        theta = 1.0 if block.integrates else float(block.threshold)
        try:
            fold = fold_for_twin(
                Affine(gain, affine.offset),
                theta,
                block.update.fraction_bits,
                shares.most(THRESHOLD_MAX),
            )
        except NotMappable as error:
            raise NotMappable(f"layer {number}: {error}") from None
        folded = fold.layer
        latent = quantizer.frozen(_flip(weight, torch.from_numpy(folded.sign)))
        declared = quantizer.kind
        levels = latent.levels(declared)
        if isinstance(layer, Conv):
            name = f"conv{number}"
            nodes[name] = Conv2d(
                levels, (layer.stride, layer.stride), (layer.padding, layer.padding), kind=declared
            )
            path.append(name)
            if layer.pool > 1:
                nodes[f"pool{number}"] = SumPool2d(
                    (layer.pool, layer.pool), (layer.pool, layer.pool)
                )
                path.append(f"pool{number}")
        else:
            name = f"fc{number}"
            if (number > 1 and isinstance(recipe.network.layers[number - 2], Conv)) or (
                number == 1 and len(shape) > 1
            ):
                nodes["flatten"] = Flatten()
                path.append("flatten")
            nodes[name] = Linear(levels, declared)
            path.append(name)
        neuron = f"li{number}" if block.integrates else f"lif{number}"
        path.append(neuron)
        latents[name], folds[neuron], updates[neuron] = latent, fold, block.update
        units[neuron] = (
            2.0 ** round(float(np.log2(np.median(folded.scale)))) / 2.0**folded.fraction_bits
        )
    nodes |= _neurons(folds, updates, shares)
    edges: tuple[Edge, ...] = tuple(zip(path, [*path[1:], OUTPUT], strict=True))
    net = Network(nodes, edges, Input(shape, kind), recipe.network.steps, _readout(recipe))
    analyse(net).require_float32()
    net_recipe = recipe.network
    in_thresholds = net_recipe.slope_in == "thresholds"
    twin = Twin(
        net,
        latents=latents,
        units=units,
        slope=net_recipe.slope,
        slope_in_thresholds=in_thresholds,
        shares=shares,
        biases=net_recipe.biases,
    )
    return Converted(twin, folds)


def finished(twin: Twin, recipe: Recipe) -> Network:
    """Return the integer network that training leaves.

    Its registers are as wide as the recipe says, or else as what they hold asks for.

    Raises:
        NotMappable: when a register needs more than 32 bits.
    """
    given = recipe.network.arithmetic
    return (
        twin.network()
        if given is not None and given.keeps_widths
        else fit_state_bits(twin.network())
    )


def _neurons(
    folds: dict[str, TwinFold], updates: dict[str, LayerUpdate], shares: Shares
) -> dict[str, Neuron]:
    """Return the layers of neurons, their thresholds shared and on their grid."""
    firing = {name: fold.layer for name, fold in folds.items() if not updates[name].integrates}
    if (
        shares.share == "network"
        and len(np.unique(np.concatenate([layer.scale for layer in firing.values()]))) > 1
    ):
        raise NotMappable(
            "network.thresholds.share is 'network', but a weight is worth different amounts in "
            "different layers, as pixels or steps of "
            "weights make it; give spikes to the network, or each layer a threshold of its own"
        )
    thresholds = shares.shared(
        {name: layer.threshold for name, layer in firing.items()}, THRESHOLD_MAX
    )
    neurons = {}
    for name, fold in folds.items():
        arithmetic, layer = updates[name].arithmetic, fold.layer
        if isinstance(arithmetic, Arithmetic):
            arithmetic = replace(arithmetic, fraction_bits=layer.fraction_bits)
        parameters = {
            which: np.full(len(layer.bias), value, np.int32)
            for which, value in updates[name].parameters.items()
        }
        neurons[name] = Neuron(
            thresholds.get(name, np.zeros_like(layer.threshold)),
            layer.bias,
            arithmetic,
            parameters=parameters,
        )
    return neurons


def _readout(recipe: Recipe) -> Readout:
    """Return what the network takes from its last layer."""
    integrator = recipe.network.integrator
    return (
        "count_argmax_lowest"
        if integrator is None
        else cast(Readout, f"membrane_{integrator.readout}_argmax_lowest")
    )


def _flip(latent: Tensor, signs: Tensor) -> Tensor:
    """Negate the channels where `signs` is -1, and their levels with them.

    A latent 0, whose sign is +1, turns just negative.
    """
    negated = torch.where(latent == 0, -torch.finfo(latent.dtype).tiny, -latent)
    return torch.where(signs.view(-1, *[1] * (latent.ndim - 1)) < 0, negated, latent)


def _affine(block: Block) -> Affine:
    norm = block.norm
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return Affine(
            np.full(block.shape[0], float(block.gain.detach())),
            block.bias.detach().double().numpy(),
        )
    assert norm.running_mean is not None
    assert norm.running_var is not None
    parameters = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    weight, bias, mean, variance = (value.detach().double().numpy() for value in parameters)
    return Affine.batch_norm(weight, bias, mean, variance, norm.eps)
