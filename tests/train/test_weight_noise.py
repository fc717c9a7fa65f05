"""Noise on weights in training: its law, where it enters, and where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from stopping import stopped_and_resumed
from tiny import SETTINGS, tiny_recipe, tiny_toml
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.train.data import load_dataset
from lehr.train.floats.layers import QuantizedConv2d, QuantizedLinear
from lehr.train.floats.model import FloatNet
from lehr.train.floats.quantize import Signs
from lehr.train.floats.weight_noise import factors
from lehr.train.keys.training import WeightNoise
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse
from lehr.train.twin.network import Twin

NOISE = WeightNoise(deviation=0.3)
NOISY = Recipe.model_validate(
    {**SETTINGS, "train": {**SETTINGS["train"], "weight_noise": {"deviation": 0.3}}}
)


@pytest.mark.parametrize("distribution", ["lognormal", "normal"])
def test_factors_follow_their_law(distribution: Any) -> None:
    torch.manual_seed(1)
    factor = factors(WeightNoise(deviation=0.3, distribution=distribution), torch.ones(20_000))
    assert abs(float(factor.mean()) - 1) < 4 * 0.3 / 20_000**0.5
    assert abs(float(factor.std()) - 0.3) < 0.01
    square = np.log(1 + 0.3**2)
    law = {
        "lognormal": stats.lognorm(s=square**0.5, scale=np.exp(-square / 2)),
        "normal": stats.norm(1, 0.3),
    }
    pvalues = {name: stats.kstest(factor.numpy(), each.cdf).pvalue for name, each in law.items()}
    assert pvalues.pop(distribution) > 1e-3
    assert max(pvalues.values()) < 1e-9
    assert (
        float(factors(WeightNoise(deviation=5, distribution="normal"), torch.ones(99)).min()) == 0
    )


@pytest.mark.parametrize(
    ("layer", "x", "compute"),
    [
        (QuantizedLinear(Signs(), 30, 20), torch.rand(4, 30), functional.linear),
        (QuantizedConv2d(Signs(), 2, 20, 3), torch.rand(4, 2, 5, 5), functional.conv2d),
    ],
    ids=["linear", "conv"],
)
def test_a_layer_computes_with_signs_times_new_factors_in_training(
    layer: Any, x: torch.Tensor, compute: Any
) -> None:
    still = layer(x)
    layer.quantizer.noise = NOISE
    torch.manual_seed(7)
    first, second = layer(x), layer(x)
    torch.manual_seed(7)
    latent = layer.weight.detach().clone().requires_grad_()
    factor = factors(NOISE, latent)
    signs = torch.where(layer.weight.detach() >= 0, 1.0, -1.0)
    # the gradient passes the sign as if it were not there
    expected = compute(x, (latent + (signs - latent.detach())) * factor)
    torch.testing.assert_close(first, expected)
    assert not torch.allclose(first, second)
    layer.weight.grad = None
    first.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, latent.grad)
    assert torch.equal(layer.eval()(x), still)


def test_the_whole_network_is_noisy_in_training_alone() -> None:
    torch.manual_seed(0)
    plain, x = FloatNet(tiny_recipe().network, (1, 8, 8)), torch.randint(0, 256, (6, 1, 8, 8))
    spikes = plain.eval()(x)
    assert 0 < float(spikes.detach().mean()) < 1
    for layer in plain.quantized:
        layer.quantizer.noise = NOISE
    assert torch.equal(plain(x), spikes)
    assert not torch.equal(plain.train()(x), plain(x))


def test_the_twin_rounds_noisy_sums_and_draws_once_a_run() -> None:
    result = train(tiny_recipe(), load_dataset(tiny_recipe().data, None))
    assert result.network is not None
    net = result.network
    twin, x = Twin(net), torch.randint(0, 256, (5, 1, 8, 8)).float()
    expected = twin.layers(x)
    for quantizer in twin.quantizers.values():
        quantizer.noise = NOISE
    assert all(torch.equal(twin.eval().layers(x)[1][n], v) for n, v in expected[1].items())
    torch.manual_seed(3)
    spikes, membranes = twin.train().layers(x)
    assert all(0 < float(layer.detach().mean()) < 1 for layer in spikes.values())
    assert all(torch.equal(value, value.round()) for value in membranes.values())
    assert not torch.equal(membranes["lif1"], expected[1]["lif1"])
    assert membranes["lif3"].unique().numel() > 10
    # the membranes of the first step are the rounded sums of the noisy weights, with the bias
    torch.manual_seed(3)
    drawn = [factors(NOISE, weight) for weight in twin.weights.values()]
    conv = net.weighted["conv1"]
    weight = torch.tensor(conv.weight, dtype=torch.float32) * drawn[0]
    sums = (4 * functional.avg_pool2d(functional.conv2d(x, weight), 2)).round()
    neuron = net.neurons["lif1"]
    shift = neuron.fields.fraction_bits
    bias = torch.tensor(neuron.bias).view(-1, 1, 1)
    torch.testing.assert_close(membranes["lif1"][0].detach(), sums * 2**shift + bias)


def test_a_network_with_feedback_draws_once_for_all_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    lif = Neuron(np.full(6, 9, np.int32), np.zeros(6, np.int32), arithmetic)
    nodes = {
        "fc": Linear(rng.choice(np.array([-1, 1], np.int8), (6, 12))),
        "back": Linear(rng.choice(np.array([-1, 1], np.int8), (6, 6))),
        "lif": lif,
    }
    edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", "back"), ("back", "lif"), ("lif", OUTPUT))
    net = Network(nodes, edges, Input((12,), "spikes"), 8, "count_argmax_lowest")
    twin, drawn = Twin(net), list[torch.Tensor]()
    for quantizer in twin.quantizers.values():
        quantizer.noise = NOISE

    def recorded(noise: WeightNoise, weight: torch.Tensor) -> torch.Tensor:
        drawn.append(factors(noise, weight))
        return drawn[-1]

    monkeypatch.setattr("lehr.train.floats.quantize.factors", recorded)
    x = torch.from_numpy((rng.random((5, 8, 12)) < 0.5).astype(np.float32))
    spikes, membranes = twin.layers(x)
    assert 0 < float(spikes["lif"].detach().mean()) < 1
    assert sorted(tuple(factor.shape) for factor in drawn) == [(6, 6), (6, 12)]
    # membranes of all steps, in a plain loop over the noisy weights
    noisy = {
        name: torch.tensor(net.weighted[name].weight).float() * factor
        for name, factor in zip(twin.weights, drawn, strict=True)
    }
    v = fired = torch.zeros(5, 6)
    for t in range(8):
        sums = (x[:, t] @ noisy["fc"].T).round() + (fired @ noisy["back"].T).round()
        v = (v * 7 / 8).trunc() + 4 * sums - 9 * fired
        assert torch.equal(v, membranes["lif"][t].detach())
        fired = (v > 9).float()
        assert torch.equal(fired, spikes["lif"][t].detach())


def test_a_run_with_noise_exports_integers_and_learns_another_network() -> None:
    data = load_dataset(NOISY.data, None)
    noisy, again, plain = train(NOISY, data), train(NOISY, data), train(tiny_recipe(), data)
    assert noisy.network is not None
    assert noisy.network == again.network != plain.network
    kinds = {name: set(np.unique(n.weight)) for name, n in noisy.network.weighted.items()}
    assert all(values == {-1, 1} for values in kinds.values())


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_run_that_is_taken_up_again_draws_the_same_noise(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lehr.train.runs.progress.SHARE", 1)
    data = load_dataset(NOISY.data, None)
    folder = tmp_path / "run.unfinished"
    resumed = stopped_and_resumed(NOISY, data, folder, after)
    assert resumed.network is not None
    assert resumed.network == train(NOISY, data).network


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("train.weight_noise.deviation=0.3", "network.weights=float"),
            "train.weight_noise.deviation is 0.3, but network.weights is 'float', and noise is on "
            "quantized weights; leave one out",
        ),
        (
            ("train.weight_noise.deviation=0",),
            "'train.weight_noise.deviation' is 0; give more than 0",
        ),
        (
            ("train.weight_noise.deviation=0.3", "train.weight_noise.distribution=gauss"),
            "'train.weight_noise.distribution' is 'gauss'; use 'lognormal' or 'normal'",
        ),
        (("train.weight_noise=0.3",), "'train.weight_noise' is 0.3; give a table of keys"),
    ],
)
def test_contradictions_are_named(overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(tiny_toml(), "tiny", overrides)
    assert str(refused.value) == f"recipe tiny: {sentence}"
