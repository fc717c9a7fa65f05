"""Maxima of currents in a recipe: phase A against torch, its integers against torch in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from mixed_recipes import mixed
from torch import nn
from torch.nn import functional

from lehr.network import Conv2d, Network, SumPool2d
from lehr.nodes import MaxPool2d, Scale
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.twin.convert import convert
from lehr.train.twin.network import trace

CONV = {"type": "conv", "channels": 6, "kernel": 3, "padding": 1, "pool": 2, "pooling": "max"}
GAINS = torch.tensor([1.0, -0.5, 2.0, -1.0, 0.75, 1.5])


def recipe(**keys: object) -> Recipe:
    """Two convolutions with maxima between weights and neurons, and a linear layer."""
    layer = {**CONV, "threshold": {"start": 0.5}, "batch_norm": True}
    last = {"type": "linear", "features": 10, "threshold": {"start": 1.0}}
    return mixed({**layer, **keys}, {**layer, **keys, "kernel": [2, 3], "padding": 0}, last)


def shaken(made: Recipe) -> FloatNet:
    """Return the recipe's network with gains of both signs."""
    torch.manual_seed(5)
    model = FloatNet(made.network, (1, 8, 8), 16)
    with torch.no_grad():
        for block in model.layers:
            if isinstance(block.norm, nn.BatchNorm2d):
                block.norm.weight.copy_(GAINS)
                block.norm.bias.copy_(0.1 * GAINS.flip(0))
                assert block.norm.running_mean is not None
                block.norm.running_mean.fill_(0.3)
    return model.eval()


def test_phase_a_takes_the_greatest_before_batch_norm() -> None:
    block = shaken(recipe()).layers[0]
    x = torch.rand(3, 4, 1, 8, 8)
    assert block.shape == (6, 4, 4)
    with torch.no_grad():
        sums = functional.conv2d(x.flatten(0, 1), torch.sign(block.weight.weight), padding=1)
        greatest = sums.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
        expected = (greatest - 0.3) / (1 + 1e-5) ** 0.5 * GAINS.view(-1, 1, 1)
        expected += 0.1 * GAINS.flip(0).view(-1, 1, 1)
        got = block.current(x, 3).flatten(0, 1)
    assert (block.weight.weight != 0).all()
    assert torch.allclose(got, expected, atol=1e-4)


def test_integers_of_both_signs_are_those_of_the_equations() -> None:
    """Each layer's spikes are stepped here in float64, by the integers and nothing of lehr."""
    made = recipe()
    net = convert(shaken(made), made, (1, 8, 8), "u8").twin.network()
    kinds = [type(net.nodes[name]) for name in net.order]
    assert kinds[:4] == [Conv2d, MaxPool2d, Scale, type(net.nodes["lif1"])]
    assert SumPool2d not in kinds
    sign = net.nodes["sign1"]
    assert isinstance(sign, Scale)
    assert sign.factor.ravel().tolist() == GAINS.sign().int().tolist()
    x = np.random.default_rng(2).integers(0, 17, (4, 1, 8, 8)).astype(np.uint8)
    ran = simulate(net, x, trace=net.neurons)
    spikes = {name: torch.from_numpy(s).double() for name, s in ran.trace.spikes.items()}
    inputs = {"lif1": torch.from_numpy(x).double()[:, None].expand(-1, net.steps, -1, -1, -1)}
    inputs["lif2"] = spikes["lif1"]
    for number, name in enumerate(("lif1", "lif2"), 1):
        conv, neuron = net.nodes[f"conv{number}"], net.neurons[name]
        assert isinstance(conv, Conv2d)
        fields = neuron.fields
        assert (fields.decay_numerator, fields.decay_shift) == (3, 2)
        a = functional.conv2d(
            inputs[name].flatten(0, 1),
            torch.from_numpy(conv.weight.copy()).double(),
            padding=conv.padding,
        )
        current = a.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)) * GAINS.sign().view(-1, 1, 1)
        current = current.view(len(x), net.steps, *current.shape[1:]) * 2**fields.fraction_bits
        bias, threshold = (
            torch.from_numpy(v.copy()).double().view(-1, 1, 1)
            for v in (neuron.bias, neuron.threshold)
        )
        v = torch.zeros_like(current[:, 0])
        fired = torch.zeros_like(v)
        for t in range(net.steps):
            v = torch.floor(v * 3 / 4) + current[:, t] + bias - fired * threshold
            fired = (v > threshold if fields.fires == "gt" else v >= threshold).double()
            assert torch.equal(fired, spikes[name][:, t]), (name, t)
        assert 0 < float(spikes[name].mean()) < 1


@pytest.mark.slow
def test_a_trained_network_is_that_of_its_twin_and_maps() -> None:
    made = recipe()
    data = load_dataset(made.data, None)
    trained = train(made, data)
    assert trained.network is not None
    assert trained.twin is not None
    net: Network = trained.network
    assert [type(net.nodes[b]) for a, b in pairwise(net.order) if a.startswith("conv")] == [
        MaxPool2d,
        MaxPool2d,
    ]
    x = data.test.x[:8]
    ran = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in ran.rates.values())
    compare(trace(trained.twin, x), ran.trace).require_equal("twin")
    for name in ("c", "onnx", "fpga"):
        assert registry.get(name).check(net) == (), name
