"""From phase A to phase B: fold the float network into its exact-integer twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from lehr.errors import NotMappable
from lehr.export.latent import Latent
from lehr.network import Input, Network, Readout
from lehr.nodes import Delay, InputKind, Shape
from lehr.train.floats.finite import require_finite
from lehr.train.floats.layers import Quantized
from lehr.train.floats.model import FloatNet
from lehr.train.keys.graph import FROM_INPUT
from lehr.train.keys.layer import Convolution
from lehr.train.recipe import Recipe
from lehr.train.twin.converted_layers import Layers
from lehr.train.twin.converted_neurons import FoldedNeurons, fold_neurons, shared_neurons
from lehr.train.twin.folding import TwinFold
from lehr.train.twin.network import Twin
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
    net_recipe = recipe.network
    made = Layers()
    latents: dict[str, Latent] = {}
    neurons: dict[str, FoldedNeurons] = {}
    shapes = {FROM_INPUT: shape}
    for number, (block, layer, sources) in enumerate(
        zip(model.layers, net_recipe.weighted, model.sources, strict=True)
    ):
        assert isinstance(block.weight, Quantized)
        weight, quantizer = block.weight.weight.detach(), block.weight.quantizer
        area = layer.geometry.area if isinstance(layer, Convolution) else 1
        scale = model.full_scale if FROM_INPUT in sources else 1
        step = quantizer.step(weight)
        one = 1.0 if step is None else float(step.detach())
        try:
            folded = fold_neurons(block, one, area * scale, net_recipe.thresholds)
        except NotMappable as error:
            raise NotMappable(f"layer {number + 1}: {error}") from None
        # the greatest of what negative weights give is not the negative of the greatest
        behind = isinstance(layer, Convolution) and layer.geometry.greatest
        turned, signs = folded.fold.layer.sign, np.ones_like(folded.fold.layer.sign)
        turned, signs = (signs, turned) if behind else (turned, signs)
        latent = quantizer.frozen(_flip(weight, torch.from_numpy(turned)))
        returning = None
        if block.recurrent:
            latent, returning = _halves(latent)
        made.begin(sources)
        if block.delays is not None:
            made.put(f"delay{number + 1}", Delay(block.delays.whole()))
        taken = shapes[sources[0]]
        weights = made.put_weights(number, layer, taken, latent, quantizer.kind, signs)
        latents[weights] = latent
        name = made.put(f"{'li' if block.integrates else 'lif'}{number + 1}", None)
        neurons[name] = folded
        if returning is not None:
            latents[made.put_back(number, name, returning, quantizer.kind)] = returning
        made.end(number, block.shape[0], block.max_pool)
        shapes[number] = block.shape
    nodes = made.nodes | shared_neurons(neurons, net_recipe.thresholds)
    net = Network(nodes, made.edges, Input(shape, kind), net_recipe.steps, _readout(recipe))
    analyse(net).require_float32()
    twin = Twin(
        net,
        latents=latents,
        layers=list(neurons),
        units={name: folded.unit for name, folded in neurons.items()},
        slope=net_recipe.slope,
        slope_in_thresholds=net_recipe.slope_in == "thresholds",
        shares=net_recipe.thresholds,
        biases=net_recipe.biases,
    )
    return Converted(twin, {name: folded.fold for name, folded in neurons.items()})


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


def _readout(recipe: Recipe) -> Readout:
    """Return what the network takes from its last layer."""
    integrator = recipe.network.integrator
    if integrator is None:
        return "count_argmax_lowest"
    # of answers at every step, the one after the last step is the network's
    read = "last" if integrator.readout == "every" else integrator.readout
    return cast(Readout, f"membrane_{read}_argmax_lowest")


def _halves(latent: Latent) -> tuple[Latent, Latent]:
    """Return the weights of the inputs and those of the spikes that come back, of one grid."""
    taken = latent.weight.shape[1] - len(latent.weight)
    halves = (slice(None, taken), slice(taken, None))
    one, other = (
        Latent(
            latent.weight[:, half].copy(),
            latent.grid,
            None if latent.kept is None else latent.kept[:, half].copy(),
        )
        for half in halves
    )
    return one, other


def _flip(latent: Tensor, signs: Tensor) -> Tensor:
    """Negate the channels where `signs` is -1, and their levels with them.

    A latent 0, whose sign is +1, turns just negative.
    """
    negated = torch.where(latent == 0, -torch.finfo(latent.dtype).tiny, -latent)
    return torch.where(signs.view(-1, *[1] * (latent.ndim - 1)) < 0, negated, latent)
