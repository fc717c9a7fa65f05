"""Artificial networks with ReLUs as spiking ones.

The ANN's own figures come from torch, thresholds and spikes from float64 numpy: percentiles of
activations, and integrate-and-fire neurons stepped by hand.
"""

# pyright: reportIncompatibleMethodOverride=false
# People name the argument of `forward` as they like; torch names it `input`.

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from commands import Lehr
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import lehr as lehr_in_python
from lehr import nirfile
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.export.ann.converting import ConvertedAnn
from lehr.network import Network
from lehr.simulate.reference import simulate

TRAIN, TEST = slice(0, 1497), slice(1497, 1797)
PERCENTILE = 99.9


@cache
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return real digits, `[1797, 1, 8, 8]` from 0 to 16, and their classes."""
    data: Any = load_digits()
    images, labels = data.data, data.target
    return images.reshape(-1, 1, 8, 8).astype(np.uint8), labels.astype(np.int64)


def trained(net: nn.Module, epochs: int) -> nn.Module:
    x, labels = digits()
    images, classes = torch.tensor(x[TRAIN]).float() / 16, torch.tensor(labels[TRAIN])
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(net(images[batch]), classes[batch]).backward()
            optimizer.step()
    return net.eval()


@cache
def mlp() -> Any:
    torch.manual_seed(0)
    layers = (nn.Linear(64, 40), nn.ReLU(), nn.Dropout(0.1), nn.Linear(40, 30), nn.ReLU())
    return trained(nn.Sequential(nn.Flatten(), *layers, nn.Linear(30, 10)), 20)


@cache
def convnet() -> Any:
    torch.manual_seed(0)
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2))
    second = (nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.AvgPool2d(2), nn.ReLU6())
    return trained(
        nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16, 10), nn.LogSoftmax(1)), 12
    )


@cache
def enlarging() -> Any:
    torch.manual_seed(0)
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2))
    second = (nn.Conv2d(8, 16, 3, 2), nn.ReLU())
    return trained(nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(144, 10)), 20)


def converted(net: nn.Module, steps: int, **options: Any) -> ConvertedAnn:
    x, labels = digits()
    given = {"labels": labels[TEST], "calibrate": x[TRAIN], "full_scale": 16, **options}
    return lehr_in_python.convert(net, x[TEST], steps=steps, **given)


def accuracy(net: nn.Module) -> float:
    """Return what torch itself says of a network on the test images, in double precision."""
    x, labels = digits()
    with torch.no_grad():
        scores = net.double()(torch.tensor(x[TEST]).double() / 16)
    return float((scores.argmax(1).numpy() == labels[TEST]).mean())


@pytest.mark.few(1)
@pytest.mark.parametrize("make", [mlp, convnet, enlarging])
def test_rates_and_decisions_approach_the_ann(make: Callable[[], Any]) -> None:
    net = make()
    few, many = (converted(net, steps) for steps in (4, 32))
    assert many.ann_accuracy == accuracy(net) > 0.9
    assert [row.steps for row in many.by_steps] == [1, 2, 4, 8, 16, 32]
    assert many.by_steps[-1].agreement > 0.97
    assert many.by_steps[-1].accuracy is not None
    assert abs(many.by_steps[-1].accuracy - accuracy(net)) < 0.02
    assert many.by_steps[0].agreement < 0.9
    assert few.layers.keys() == many.layers.keys()
    for name, layer in many.layers.items():
        assert 0.02 < layer.activation < 0.6
        assert layer.error < 0.02
        assert layer.error < few.layers[name].error / 2
        assert abs(layer.rate - layer.activation) < 0.01
    differ = sum(many.verified.differ.values())
    assert differ < 0.01 * many.verified.values


def relu_activations(net: Any, x: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float64]]:
    """Return what the two ReLUs of the MLP give, by numpy."""
    signal, given = x.reshape(len(x), -1) / 16, []
    for layer in (net[1], net[4]):
        weight, bias = (each.detach().double().numpy() for each in (layer.weight, layer.bias))
        signal = np.maximum(signal @ weight.T + bias, 0)
        given.append(signal)
    return given


def stepped(net: Network, x: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.uint8]]:
    """Step the MLP's integrate-and-fire neurons in float64, in units of one weight."""
    linear = net.weighted
    membranes, kept = {}, {name: [] for name in ("layer2", "layer5")}  # type: ignore[var-annotated]
    for _ in range(net.steps):
        signal = x.reshape(len(x), -1).astype(np.float64)
        for weights, name in (("layer1", "layer2"), ("layer4", "layer5")):
            unit = 2.0 ** net.neurons[name].fields.fraction_bits
            theta, bias = (
                getattr(net.neurons[name], each) / unit for each in ("threshold", "bias")
            )
            before = membranes.get(name, np.zeros((len(x), len(theta))))
            now = before - (before > theta) * theta + signal @ linear[weights].weight.T + bias
            membranes[name] = now
            signal = (now > theta).astype(np.float64)
            kept[name].append(signal)
    return {name: np.stack(steps, 1).astype(np.uint8) for name, steps in kept.items()}


def test_thresholds_and_spikes_are_those_worked_out_by_numpy() -> None:
    x, _ = digits()
    result = converted(mlp(), 16, percentile=PERCENTILE)
    net, before = result.network, 1 / 16
    for activations, source, weights, name in zip(
        relu_activations(mlp(), x[TRAIN]),
        (mlp()[1], mlp()[4]),
        ("layer1", "layer4"),
        ("layer2", "layer5"),
        strict=True,
    ):
        greatest = np.percentile(activations[activations > 0], PERCENTILE)
        assert result.layers[name].greatest == pytest.approx(greatest, rel=1e-9)
        levels = net.weighted[weights].weight.astype(np.float64)
        real = source.weight.detach().double().numpy()
        worth = (real * levels).sum(1) / (levels * levels).sum(1) * before
        unit = 2.0 ** net.neurons[name].fields.fraction_bits
        threshold = net.neurons[name].threshold / unit * worth
        np.testing.assert_allclose(threshold, greatest, rtol=2e-3)
        bias = source.bias.detach().double().numpy() + greatest / (2 * 16)  # half a threshold
        got = net.neurons[name].bias / unit * worth
        np.testing.assert_allclose(got, bias, atol=2e-3 * greatest)
        before = greatest
    some = x[TEST][:40]
    trace = simulate(net, some, trace=("layer2", "layer5")).trace
    right = stepped(net, some)
    for name in right:
        assert 0 < right[name].mean() < 1
        np.testing.assert_array_equal(trace.spikes[name], right[name])
    more = replace(net.neurons["layer2"], threshold=net.neurons["layer2"].threshold + 1)
    other = stepped(replace(net, nodes={**net.nodes, "layer2": more}), some)
    assert any((other[name] != right[name]).any() for name in right)


def test_half_a_threshold_rounds_rates_to_nearest() -> None:
    """Without it, rates are rounded down, and so are below the activations in the mean."""
    with_it, without = (converted(mlp(), 4, shift=shift) for shift in (True, False))
    assert with_it.by_steps[-1].agreement > without.by_steps[-1].agreement + 0.02
    for name, layer in without.layers.items():
        lost = layer.activation - layer.rate
        assert lost > 3 * abs(with_it.layers[name].activation - with_it.layers[name].rate)


def test_a_network_that_ends_in_a_relu_is_read_by_counts() -> None:
    torch.manual_seed(1)
    layers = (nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10), nn.ReLU())
    net = trained(nn.Sequential(nn.Flatten(), *layers), 20)
    result = converted(net, 32)
    assert result.network.readout == "count_argmax_lowest"
    assert result.by_steps[-1].agreement > 0.9


class Reused(nn.Module):
    """One ReLU for all layers, and a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(a, 24) for a in (64, 24, 24))
        self.last, self.relu = nn.Linear(24, 10), nn.ReLU()

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        x = self.relu(self.first(x.flatten(1)))
        x = self.relu(self.second(x))
        return self.last(functional.relu(self.third(x)))


def test_a_relu_that_runs_several_times_is_as_many_layers() -> None:
    torch.manual_seed(4)
    net = trained(Reused(), 12)
    result = converted(net, 16)
    assert list(result.layers) == ["relu", "relu_1", "relu_2"]
    assert result.ann_accuracy == accuracy(net)
    assert result.by_steps[-1].agreement > 0.9


class Skips(Reused):
    """Layers that are not one after another."""

    def forward(self, x: Tensor) -> Any:
        """Return scores."""
        x = functional.relu(self.first(x.flatten(1)))
        return self.last(functional.relu(self.second(x)) + x)


def test_a_network_that_is_no_chain_is_named() -> None:
    with pytest.raises(
        NotMappable, match=r"add: it takes what relu_1 and relu give, and a network"
    ):
        converted(Skips(), 2)


class Signs(nn.Linear):
    """A binarized layer, which computes its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute with signs times a magnitude an output."""
        scale = self.weight.abs().mean(1, keepdim=True)
        weight = self.weight + (torch.sign(self.weight) * scale - self.weight).detach()
        return functional.linear(x, weight, self.bias)


def test_weights_that_are_levels_stay_what_they_are() -> None:
    torch.manual_seed(2)
    net: Any = nn.Sequential(nn.Flatten(), Signs(64, 40), nn.ReLU(), Signs(40, 10))
    result = converted(trained(net, 20), 16)
    assert result.ann_accuracy == accuracy(net)
    node: Any = result.network.weighted["layer1"]
    assert node.kind == "binary"
    np.testing.assert_array_equal(node.weight, np.sign(net[1].weight.detach().numpy()))
    assert result.by_steps[-1].agreement > 0.9


def test_layers_of_brevitas() -> None:
    qnn = pytest.importorskip("brevitas.nn", reason="Brevitas is not installed")
    quant = pytest.importorskip("brevitas.quant")
    torch.manual_seed(3)
    options: Any = {"bias": True, "weight_quant": quant.Int8WeightPerChannelFloat}
    layers = (qnn.QuantLinear(64, 32, **options), qnn.QuantReLU(bit_width=4))
    net: Any = nn.Sequential(nn.Flatten(), *layers, qnn.QuantLinear(32, 10, **options))
    result = converted(trained(net, 12), 16)
    assert result.ann_accuracy == accuracy(net)
    assert result.by_steps[-1].agreement > 0.95
    weight = net[1].weight.detach().double().numpy()
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    np.testing.assert_array_equal(result.network.weighted["layer1"].weight, np.rint(weight / scale))


def between(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), *layers, nn.Linear(8, 10))


def dead() -> nn.Module:
    net = between(nn.ReLU())
    net.get_parameter("1.bias").data.fill_(-100.0)
    return net


RATE = "the rate of a neuron is a ReLU of what it takes; train the model with nn.ReLU"


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (between(nn.Sigmoid()), f"2 (Sigmoid): {RATE}"),
        (between(nn.LeakyReLU()), f"2 (LeakyReLU): {RATE}"),
        (between(nn.GELU(), nn.Tanh()), f"2 (GELU), 3 (Tanh): {RATE}"),
        (between(nn.ReLU(), nn.Softmax(1)), "3 (Softmax): it divides by a sum over classes, which no neuron computes; leave it out, or have it last"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), "2 (MaxPool2d): the greatest of several rates is no sum of spikes; train the model with nn.AvgPool2d"),
        (between(snn.Leaky(beta=0.5, init_hidden=True)), "2 (Leaky): it spikes already; export the model with lehr export"),
        (between(), "2 (Linear): it follows 1 without a ReLU between them; put nn.ReLU there, or make one layer of the two"),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 8), nn.ReLU()), "0 (BatchNorm2d): it normalizes the input, and spikes are not shifted; fold it into the weights"),
        (between(nn.ReLU(), nn.BatchNorm1d(8)), "3 (BatchNorm1d): it normalizes what a ReLU gives, and spikes are not shifted; fold it"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), "model: it has no ReLU, of which neurons would be made; train it with nn.ReLU between its layers"),
        (dead(), "2: it gives 0 on all 1,497 calibration samples, so that nothing says what a spike of it stands for; give other"),
        (nn.Sequential(nn.Linear(64, 8), nn.ReLU()), "model: it does not run on samples of [1, 8, 8] (RuntimeError: "),
        (between(nn.ReLU(), nn.LayerNorm(8)), "3 (LayerNorm): the integer network has no such layer; use Linear"),
    ],
)  # fmt: skip
def test_what_neurons_do_not_compute_is_named(net: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        converted(net, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"full_scale": None}, UsageError, "the input holds 16, but no full scale is given; give --full-scale 255 for pixels"),
        ({"full_scale": 0.0}, UsageError, "--full-scale is 0; use a number above 0, 255 for pixels"),
        ({"percentile": 0.0}, UsageError, "--percentile is 0; use one above 0, up to 100"),
        ({"percentile": 100.5}, UsageError, "--percentile is 100.5; use one above 0, up to 100"),
        ({"steps": 0}, UsageError, "--steps is 0; use 1 or more"),
        ({"weights": "int9"}, UsageError, "--weights is 'int9'; did you mean 'int8'? use one of int2, int3, int4, int5, int6, int7, int8"),
        ({"weights": None}, NotMappable, "1 (Linear), 3 (Linear): its weights are real numbers, not -1 and +1 or up to 127 levels of one step"),
        ({"labels": [1, 2]}, UsageError, "labels have shape [2] for 300 samples; give one each"),
        ({"calibrate": -np.ones((2, 1, 8, 8))}, FileRefused, "the input holds -1.0; a network takes spikes or pixels: give whole numbers from 0 to 255"),
        ({"calibrate": np.zeros((0, 1, 8, 8), np.uint8)}, UsageError, "the calibration input is [0, 1, 8, 8]; give samples [N, *shape]"),
    ],
)  # fmt: skip
def test_options_and_samples_out_of_range(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        converted(between(nn.ReLU()), **{"steps": 2, **options})


MODEL = """
import torch

def trained():
    torch.manual_seed(0)
    first, last = torch.nn.Linear(64, 20), torch.nn.Linear(20, 10)
    return torch.nn.Sequential(torch.nn.Flatten(), first, torch.nn.ReLU(), last)
"""


def test_the_command(lehr: Lehr, tmp_path: Path) -> None:
    x, labels = digits()
    (tmp_path / "ann.py").write_text(MODEL)
    np.savez(tmp_path / "in.npz", input=x[TEST], labels=labels[TEST])
    model = tmp_path / "spiking.nir"
    words = ("-i", tmp_path / "in.npz", "--full-scale", 16, "--steps", 4, "-o", model)
    ran = lehr("convert", f"{tmp_path}/ann.py:trained", *words, "--json")
    assert ran.code == 0, ran.err
    assert [row["steps"] for row in ran.facts["by_steps"]] == [1, 2, 4]
    net = nirfile.read(model)
    assert net.digest == ran.facts["network"]
    again = lehr("simulate", model, "-i", tmp_path / "in.npz", "--json")
    assert again.facts["accuracy"] == ran.facts["accuracy"] == ran.facts["by_steps"][-1]["accuracy"]
    shown = lehr("convert", f"{tmp_path}/ann.py:trained", *words)
    assert shown.last == "PASS"
    assert f"accuracy of the ANN: {100 * ran.facts['ann_accuracy']:.2f} %" in shown.out
    refused = lehr("convert", f"{tmp_path}/ann.py", *words)
    assert refused.code == 2
    assert "which function in which Python file makes the model?" in refused.err
