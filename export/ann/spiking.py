"""The spiking network of an artificial one: integrate-and-fire neurons in place of its ReLUs.

With `L` the activation that a spike of the layer stands for, and `K` that of the layer before it (1
where that is the input), spikes carry activations divided by `K`. Weights stay as they are, biases
and the means of batch norms are divided by `K`, and the threshold is `L / K`. A neuron that takes
the current `z / K` in each of T steps, and subtracts its threshold where it fires, has then fired
T z / L times, rounded down: rounding to nearest takes half a threshold more, which an initial
membrane brings (Bu et al. 2022, "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency
spiking neural networks"), or over T steps a bias of `L / (2 K T)` (Deng and Gu 2021, "Optimal
conversion of conventional artificial neural networks to spiking neural networks"). Integer neurons
start at 0, so that it is the bias here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import snntorch as snn
import torch
from torch import nn

from lehr.errors import NotMappable, together
from lehr.export.ann.reading import Ann, is_norm, is_rectifier, is_weighted
from lehr.export.levels import read_levels
from lehr.export.torchmodels.classes import name_of
from lehr.nodes import Shape
from lehr.weights import WeightKind


def spiking(
    ann: Ann, scales: Mapping[str, float], shapes: Mapping[str, Shape], shift: int | None
) -> nn.Sequential:
    """Return the network as one time step of snnTorch's neurons.

    Args:
        ann: the network.
        scales: what a spike stands for, by name of the ReLU.
        shapes: of what each ReLU gives, without batch.
        shift: over how many steps half a threshold is added; None for no such bias.
    """
    layers, before = nn.Sequential(), 1.0
    for name, layer in ann.layers.items():
        node = name.replace(".", "_")
        if not is_rectifier(layer):
            layers.add_module(node, _scaled(layer, before))
            continue
        threshold = scales[name] / before
        if shift is not None:
            layers.add_module(f"{node}_shift", _shift(shapes[name], threshold / (2 * shift)))
        neuron: Any = snn.Leaky(
            beta=1.0,
            threshold=torch.tensor(threshold, dtype=torch.float64),
            init_hidden=True,
        )
        layers.add_module(node, neuron)
        before = scales[name]
    return layers


def with_levels(ann: Ann, kind: WeightKind | None) -> Ann:
    """Return the network with weights that are levels of a step.

    That is a step for each output; one for all in the layer that is read out, whose outputs are
    compared.

    Args:
        ann: the network.
        kind: what weights that are no levels are rounded to; None refuses them.

    Raises:
        NotMappable: naming the layers whose weights are refused.
    """
    layers, problems = dict(ann.layers), []
    for number, (name, layer) in enumerate(ann.layers.items()):
        if not is_weighted(layer):
            continue
        weight = layer.get_parameter("weight").detach().numpy()
        read_out = not any(map(is_rectifier, [*layers.values()][number:]))
        try:
            read = read_levels(weight.reshape(1, -1) if read_out else weight, kind)
        except NotMappable as error:
            problems.append(f"{name} ({name_of(layer)}): {error}")
            continue
        rows = read.levels.reshape(len(read.step), -1) * read.step[:, None]
        layers[name] = copy.deepcopy(layer)
        with torch.no_grad():
            layers[name].get_parameter("weight").copy_(torch.tensor(rows.reshape(weight.shape)))
    if problems:
        raise NotMappable(*together(problems))
    return replace(ann, layers=layers)


def _scaled(layer: nn.Module, before: float) -> nn.Module:
    """Return a layer for spikes that stand for `before`: what it adds is divided by that."""
    scaled = copy.deepcopy(layer)
    added = ("bias", "running_mean") if is_weighted(layer) or is_norm(layer) else ()
    with torch.no_grad():
        for name in added:
            value = getattr(scaled, name, None)
            if value is not None:
                value.div_(before)
    return scaled


def _shift(shape: Shape, by: float) -> nn.Module:
    """Return a batch norm that adds a number, and does nothing else, for values of a shape."""
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    norm = kind(shape[0], eps=0.0).double()
    with torch.no_grad():
        norm.bias.fill_(by)
    return norm
