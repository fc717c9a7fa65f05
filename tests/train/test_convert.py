"""Folding a float network.

Exact where its numbers are dyadic, and close in accuracy to what was trained elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lehr.network import Neuron
from lehr.simulate import simulate
from lehr.train.floats.model import FloatNet
from lehr.train.learning.loop import Trained
from lehr.train.recipe import Recipe
from lehr.train.runs.saving import notes
from lehr.train.twin.convert import convert

RECIPE = {
    "name": "dyadic",
    "description": "numbers that binary fractions hold",
    "data": {"name": "digits"},
    "network": {
        "steps": 9,
        "beta": "1/1",
        "slope": 1.0,
        "layers": [
            {
                "type": "conv",
                "channels": 6,
                "kernel": 3,
                "padding": 1,
                "pool": 2,
                "batch_norm": True,
                "threshold": {"start": 0.75},
                "fraction_bits": 0,
            },
            {
                "type": "linear",
                "features": 4,
                "batch_norm": True,
                "threshold": {"start": 3.0},
                "fraction_bits": 3,
            },
        ],
    },
    "train": {"epochs": 1, "batch_size": 8, "lr": 1e-3},
}


def _set(norm: nn.Module, gain: list[float], offset: list[float]) -> None:
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    assert norm.running_var is not None
    with torch.no_grad():
        norm.eps = 0.0
        norm.running_var.fill_(1.0)
        norm.weight.copy_(torch.tensor(gain))
        norm.bias.copy_(torch.tensor(offset))


def test_dyadic_network_folds_without_any_change() -> None:
    """Batch norm of negative gain, offsets, average pooling.

    Every spike of the float network is one of the integer network's.

    Without leak and with binary fractions everywhere, both compute exactly (in float64), so that
    equality is to be had.
    """
    torch.manual_seed(3)
    recipe = Recipe.model_validate(RECIPE)
    model = FloatNet(recipe.network, (1, 8, 8)).eval()
    gains = [2.0, -1.0, 0.5, -2.0, 4.0, 1.0]
    _set(
        model.layers[0].norm, [255 / 256 * g for g in gains], [0.25, -0.125, 0.0, 0.5, 0.25, -0.25]
    )
    _set(model.layers[1].norm, [0.5, -1.0, 2.0, -0.25], [0.25, 0.5, -0.125, 0.0])
    model = model.double()
    with torch.no_grad():
        model.layers[0].weight.weight[0, 0, 0, 0] = 0.0  # a latent of exactly 0 counts as +1 ...
        model.layers[0].weight.weight[1, 0, 0, 0] = 0.0  # ... and as -1 once its channel is flipped
    net = convert(model, recipe, (1, 8, 8), "u8").twin.network()
    x = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    with torch.no_grad():
        # 255 is no binary fraction: give the float network pixels over 256, its gain times 255/256
        # makes up for it in the fold
        for block in model.layers[:1]:
            _set(block.norm, gains, [0.25, -0.125, 0.0, 0.5, 0.25, -0.25])
        spikes = model.run(torch.from_numpy(x).double() * 255 / 256)[0]
    result = simulate(net, x, trace=net.neurons)
    for name, expected in zip(net.neurons, spikes, strict=True):
        assert 0 < result.rates[name] < 1
        assert np.array_equal(result.trace.spikes[name], expected.transpose(0, 1).numpy())


def test_names_and_order_of_nodes() -> None:
    recipe = Recipe.model_validate(RECIPE)
    net = convert(FloatNet(recipe.network, (1, 8, 8)).eval(), recipe, (1, 8, 8), "u8").twin.net
    assert net.order == ("conv1", "pool1", "lif1", "flatten", "fc2", "lif2")
    assert net.output == "lif2"


def test_dead_gain_is_clamped_and_told() -> None:
    torch.manual_seed(0)
    recipe = Recipe.model_validate(RECIPE)
    model = FloatNet(recipe.network, (1, 8, 8)).eval()
    _set(model.layers[1].norm, [1.0, 1e-12, 1.0, -1e-12], [0.0, 1.0, 0.0, -1.0])
    converted = convert(model, recipe, (1, 8, 8), "u8")
    assert converted.folds["lif2"].clamped == (1, 3)
    neuron = converted.twin.net.nodes["lif2"]
    assert isinstance(neuron, Neuron)
    # the clamped channel keeps the ratio of bias to threshold, 1 to 3, by which it fires
    assert abs(int(neuron.bias[1]) / int(neuron.threshold[1]) - 1 / 3) < 1e-5
    assert notes(Trained(model, folds=converted.folds)) == [
        "lif2: channels 1, 3 have a gain near 0; their thresholds were clamped to 262,144, which "
        "keeps the float32 training exact,"
        " so their weights count for more; retrain if they matter"
    ]
