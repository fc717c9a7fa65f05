"""Layers of a recipe: what phase A computes of them, against plain loops of torch and snnTorch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from commands import Lehr
from mixed_recipes import RESIDUAL, mixed
from snntorch import surrogate
from torch import nn
from torch.nn import functional

from lehr import nirfile
from lehr.errors import NotMappable, UsageError
from lehr.simulate import simulate
from lehr.targets import registry
from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.for_target import for_target
from lehr.train.learning.loop import train
from lehr.train.recipe import NetworkRecipe, Recipe
from lehr.train.recipefile import to_toml
from lehr.train.runs.concerns import concerns
from lehr.train.runs.progress import progress_folder
from lehr.train.schema import recipe_schema
from lehr.train.twin.convert import convert

HELD = {"start": 1.0}


def network(*layers: dict[str, Any], **keys: Any) -> NetworkRecipe:
    """Return a network of seven steps."""
    fields = {"steps": 7, "beta": "7/8", "slope": 2.0, **keys, "layers": layers}
    return NetworkRecipe.model_validate(fields)


def _sign(weight: torch.Tensor) -> torch.Tensor:
    return torch.where(weight >= 0, 1.0, -1.0)


def test_sums_of_spikes_are_those_of_a_loop_over_time() -> None:
    """A residual network with a skip over a skip, and a shortcut of other shape, in snnTorch."""
    net = network(
        {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "threshold": {"start": 0.6}},
        {"type": "conv", "channels": 4, "kernel": 3, "padding": 1, "threshold": {"start": 3.0}},
        {"type": "add", "name": "first", "from": ["conv1", "conv2"]},
        {
            "type": "conv",
            "channels": 4,
            "kernel": 3,
            "padding": 1,
            "groups": 2,
            "name": "third",
            "threshold": {"start": 5.0},
        },
        {"type": "add", "name": "second", "from": ["first", "third"]},
        {"type": "conv", "channels": 6, "kernel": 1, "stride": 2, "threshold": {"start": 2.0}},
        {
            "type": "conv",
            "channels": 6,
            "kernel": [3, 2],
            "padding": [2, 0],
            "dilation": [2, 1],
            "stride": 2,
            "from": "second",
            "threshold": {"start": 4.0},
        },
        {"type": "add", "from": ["conv4", "conv5"]},
        {"type": "linear", "features": 5, "threshold": {"start": 6.0}},
    )
    torch.manual_seed(0)
    model, x = FloatNet(net, (1, 6, 6)), torch.randint(0, 256, (3, 1, 6, 6)).float()
    one, two, three, four, five, six = (_sign(block.weight.weight) for block in model.layers)
    neurons = [
        snntorch.Leaky(beta=7 / 8, threshold=theta, spike_grad=surrogate.fast_sigmoid(2))
        for theta in (0.6, 3.0, 5.0, 2.0, 4.0, 6.0)
    ]
    states = [neuron.reset_mem() for neuron in neurons]
    expected: list[list[torch.Tensor]] = [[] for _ in neurons]
    for _ in range(7):

        def fire(number: int, current: torch.Tensor) -> torch.Tensor:
            spikes: torch.Tensor
            spikes, states[number] = neurons[number](current, states[number])
            expected[number].append(spikes)
            return spikes

        a = fire(0, functional.conv2d(x / 255, one, padding=1))
        b = a + fire(1, functional.conv2d(a, two, padding=1))
        c = b + fire(2, functional.conv2d(b, three, padding=1, groups=2))
        d = fire(3, functional.conv2d(c, four, stride=2))
        e = fire(4, functional.conv2d(c, five, stride=2, padding=(2, 0), dilation=(2, 1)))
        fire(5, (d + e).flatten(1) @ six.T)
    for spikes, steps in zip(model.run(x)[0], expected, strict=True):
        assert torch.equal(spikes, torch.stack(steps))
        assert 0 < float(spikes.detach().mean()) < 1


@pytest.mark.parametrize(
    ("keys", "plain"),
    [
        ({"kernel": 3, "padding": 2, "stride": 2}, {"padding": 2, "stride": 2}),
        ({"kernel": 3, "dilation": 3, "groups": 2}, {"dilation": 3, "groups": 2}),
        ({"kernel": 5, "padding": 1, "pool": 2}, {"padding": 1}),
    ],
)
def test_conv1d_is_torch_s(keys: dict[str, int], plain: dict[str, Any]) -> None:
    layer = {"type": "conv1d", "channels": 6, "batch_norm": True, "threshold": HELD}
    torch.manual_seed(1)
    block = FloatNet(network({**layer, **keys}, weights="float"), (4, 1, 15), 1).layers[0]
    x = torch.rand(5, 3, 4, 1, 15)
    one = nn.Conv1d(4, 6, keys["kernel"], bias=False, **plain)
    with torch.no_grad():
        one.weight.copy_(block.weight.weight.squeeze(2))
    flat = one(x.flatten(0, 1).squeeze(2))
    pooled = functional.avg_pool1d(flat, 2) if "pool" in keys else flat
    expected = nn.BatchNorm1d(6)(pooled)
    assert torch.allclose(block.current(x, 5).flatten(0, 1).squeeze(2), expected, atol=1e-5)


def test_max_pooling_is_an_or_of_spikes_with_torch_s_gradient() -> None:
    net = network(
        {"type": "conv", "channels": 3, "kernel": 3, "max_pool": [2, 1], "threshold": HELD},
        {"type": "linear", "features": 4, "threshold": HELD},
        weights="float",
    )
    torch.manual_seed(2)
    model = FloatNet(net, (2, 8, 6), 1)
    first = model.layers[0]
    x = (torch.rand(4, 7, 2, 8, 6) < 0.5).float()
    spikes, _ = first(x.transpose(0, 1), 7)
    passed = first.passed(spikes)
    pairs = spikes.unflatten(3, (3, 2))
    assert torch.equal(passed, ((pairs[:, :, :, :, 0] + pairs[:, :, :, :, 1]) > 0).float())
    assert first.shape == (*passed.shape[2:],)
    assert first.shape == (3, 3, 4)
    given = spikes.detach().requires_grad_()
    weighted = torch.rand_like(passed)
    (first.passed(given) * weighted).sum().backward()
    plain = spikes.detach().requires_grad_()
    (nn.MaxPool2d((2, 1))(plain.flatten(0, 1)) * weighted.flatten(0, 1)).sum().backward()
    assert given.grad is not None
    assert plain.grad is not None
    assert torch.equal(given.grad, plain.grad)


@pytest.mark.parametrize(
    ("training", "kinds"),
    [
        ({}, ("int8", "binary", "ternary", "int4")),
        ({"prune": 0.5}, ("int8", "ternary", "ternary", "int4")),
    ],
)
def test_weights_by_layer(training: dict[str, Any], kinds: tuple[str, ...]) -> None:
    recipe = mixed(**training)
    trained = train(recipe, load_dataset(recipe.data, None))
    assert trained.network is not None
    weighted = trained.network.weighted.values()
    assert tuple(node.kind for node in weighted) == kinds
    assert max(abs(int(level)) for level in next(iter(weighted)).weight.flat) == 127
    assert "binary" not in kinds or {*np.unique([*weighted][1].weight)} == {-1, 1}
    # learned steps: of int4 alone, as int8's is fixed
    steps = [name for name, _ in trained.model.named_parameters() if name.endswith("learned")]
    assert steps == ["blocks.3.weight.quantizer.learned"]
    # the OR of spikes is no layer that learns: one rate and one threshold for each layer
    for entry in trained.metrics:
        assert len(entry["rates"]) == len(entry["thresholds"]) == 4
    maximum = trained.network.neurons["max2"]
    assert (maximum.threshold == 1).all()
    assert trained.twin is not None
    assert "max2" not in trained.twin.neurons


def test_float_weights_are_those_of_all_layers() -> None:
    recipe = mixed()
    table = recipe.model_dump(mode="json", exclude_none=True)
    table["network"]["weights"] = "float"
    baseline = Recipe.model_validate(table)
    assert {baseline.network.kind_of(layer) for layer in baseline.network.weighted} == {None}
    model = FloatNet(baseline.network, (1, 8, 8))
    assert [type(block.weight) for block in model.layers] == [
        nn.Conv2d,
        nn.Conv2d,
        nn.Linear,
        nn.Linear,
    ]
    assert model.quantized == []


def test_names_of_nodes_stay_numbers_of_layers_with_weights() -> None:
    net = network(
        {"type": "conv", "channels": 2, "kernel": 3, "padding": 1, "threshold": HELD},
        {"type": "conv", "channels": 2, "kernel": 3, "padding": 1, "name": "b", "threshold": HELD},
        {"type": "add", "from": ["conv1", "b"]},
        {"type": "conv", "channels": 2, "kernel": 2, "max_pool": 2, "threshold": HELD},
        {"type": "linear", "features": 4, "threshold": HELD},
    )
    recipe = mixed().model_copy(update={"network": net})
    converted = convert(FloatNet(net, (1, 6, 6)).eval(), recipe, (1, 6, 6), "u8")
    assert converted.twin.net.edges == (
        ("conv1", "lif1"),
        ("conv2", "lif2"),
        ("conv3", "lif3"),
        ("fc4", "lif4"),
        ("flatten", "fc4"),
        ("input", "conv1"),
        ("lif1", "conv2"),
        ("lif1", "conv3"),
        ("lif2", "conv3"),
        ("lif3", "sum3"),
        ("lif4", "output"),
        ("max3", "flatten"),
        ("sum3", "max3"),
    )
    assert [*converted.folds] == ["lif1", "lif2", "lif3", "lif4"]
    assert net.key(2) == "network.layers.3"


def test_ten_layers_and_more_keep_their_order() -> None:
    """Thresholds in the metrics stand where their layers' rates stand, by number and not by name."""
    layers = [{"type": "linear", "features": 8, "threshold": {"start": 1.0 + n}} for n in range(11)]
    recipe = mixed(*layers)
    model = FloatNet(recipe.network, (8,), 1).eval()
    twin = convert(model, recipe, (8,), "spikes").twin
    assert [*twin.neurons] == [f"lif{number}" for number in range(1, 12)]
    assert [float(block.neurons.threshold) for block in model.layers] == [
        1.0 + n for n in range(11)
    ]
    spikes, _ = twin.run(torch.ones(1, 5, 8))
    named, _ = twin.layers(torch.ones(1, 5, 8))
    assert all(one.equal(named[name]) for one, name in zip(spikes, twin.neurons, strict=True))


# -------------------------------------------------------------------- samples in a row
def _series(folder: Path, shape: tuple[int, ...]) -> Path:
    """Write samples of three classes: a bump at one of three places, and noise."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for name, count in (("train", 90), ("test", 30)):
        y = np.arange(count) % 3
        x = rng.integers(0, 80, (count, *shape)).astype(np.uint8)
        for sample, label in enumerate(y):
            x[sample, ..., 2 + 4 * label : 5 + 4 * label] += 150
        arrays |= {f"{name}_input": x, f"{name}_labels": y}
    np.savez(folder / "series.npz", **arrays)
    return folder / "series.npz"


def _conv1d(path: Path, **data: Any) -> Recipe:
    layer = {"type": "conv1d", "kernel": 3, "padding": 1, "threshold": {"start": 0.6}}
    return Recipe.model_validate(
        {
            "name": "series",
            "description": "a convolution over time",
            "data": {"name": "npz", "path": str(path), **data},
            "network": {
                "steps": 6,
                "beta": "3/4",
                "slope": 2.0,
                "layers": [
                    {**layer, "channels": 6, "bias": True},
                    {**layer, "channels": 6, "max_pool": 2, "threshold": {"start": 2.0}},
                    {"type": "linear", "features": 3, "threshold": {"start": 4.0}},
                ],
            },
            "train": {"epochs": 12, "batch_size": 15, "lr": 1e-2},
            "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
        }
    )


@pytest.mark.parametrize("shape", [(16,), (2, 16)])
def test_samples_become_maps_of_one_row(shape: tuple[int, ...], tmp_path: Path) -> None:
    recipe = _conv1d(_series(tmp_path, shape))
    assert recipe.data.row
    data = load_dataset(recipe.data, None)
    channels = 1 if len(shape) == 1 else shape[0]
    assert data.shape == (channels, 1, 16)
    plain = load_dataset(recipe.data.model_copy(update={"row": False}), None)
    assert plain.shape == shape
    assert np.array_equal(data.test.x.reshape(plain.test.x.shape), plain.test.x)
    trained = train(recipe, data)
    assert trained.network is not None
    assert trained.network.input.shape == (channels, 1, 16)
    (first, _, _) = trained.network.weighted.values()
    assert first.weight.shape == (6, channels, 1, 3)
    assert trained.twin is not None
    result = simulate(trained.network, data.test.x)
    assert float((result.prediction == data.test.y).mean()) > 0.6
    assert [0 < rate < 1 for rate in result.rates.values()] == [True] * 4


def test_a_row_of_maps_is_refused(tmp_path: Path) -> None:
    recipe = _conv1d(_series(tmp_path, (2, 3, 16)))
    with pytest.raises(UsageError) as error:
        load_dataset(recipe.data, None)
    assert str(error.value) == (
        "data.row is true, but a sample has shape (2, 3, 16), with rows of its own; use 'conv' "
        "layers, or leave it out"
    )
    maps = load_dataset(_conv1d(_series(tmp_path, (2, 1, 16))).data, None)
    assert maps.shape == (2, 1, 16)


def test_flat_samples_are_no_input_of_conv1d(tmp_path: Path) -> None:
    recipe = _conv1d(_series(tmp_path, (16,)), row=False)
    with pytest.raises(UsageError) as error:
        train(recipe, load_dataset(recipe.data, None))
    assert str(error.value) == (
        "a conv1d layer gets inputs of shape (16,), which are no channels, one row and columns; "
        "let data.row be true"
    )


# -------------------------------------------------------------------- the whole line
@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_bytes(tmp_path: Path, lehr: Lehr) -> None:
    file = tmp_path / "residual.toml"
    file.write_bytes(to_toml(mixed(*RESIDUAL)))
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert lehr("train", file, "-o", whole).code == 0
    with subprocess.Popen(
        [sys.executable, "-m", "lehr", "train", str(file), "-o", str(run)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        while not (progress_folder(run) / "progress.json").exists() and started.poll() is None:
            time.sleep(0.01)
        os.kill(started.pid, signal.SIGKILL)
    assert not run.exists(), "it was not killed in time"
    assert lehr("train", file, "-o", run, "--resume").code == 0
    files = [each for each in whole.rglob("*") if each.is_file()]
    assert len(files) == 10
    for each in files:
        assert each.read_bytes() == (run / each.relative_to(whole)).read_bytes(), each.name


def test_trained_exported_and_simulated(tmp_path: Path, lehr: Lehr) -> None:
    """Every command takes a network with sums and an OR: rates, seen weights, C."""
    file, run, net = tmp_path / "residual.toml", tmp_path / "run", tmp_path / "net.nir"
    file.write_bytes(to_toml(mixed(*RESIDUAL)))
    for command in (
        ("train", file, "--quick", "-o", run),
        ("export", run, "-o", net),
        ("inspect", net),
        ("recipes", "samples", file, "-o", tmp_path / "in.npz"),
        ("simulate", net, "-i", tmp_path / "in.npz"),
        ("report", run, "-o", tmp_path / "report.html"),
        ("build", net, "--target", "c", "-o", tmp_path / "c"),
    ):
        ran = lehr(*command)
        assert ran.code == 0, ran.err
    read = nirfile.read(net)
    assert [node.kind for node in read.weighted.values()] == [
        "int8",
        "binary",
        "binary",
        "ternary",
        "int4",
    ]
    assert read.sources("conv3") == ("lif1", "lif2")


PLAIN = tuple(
    {key: value for key, value in layer.items() if key != "batch_norm"} for layer in RESIDUAL
)


def test_a_target_refuses_layers_by_name_before_training() -> None:
    recipe = mixed(*PLAIN)
    data = load_dataset(recipe.data, None)
    with pytest.raises(NotMappable) as error:
        for_target(recipe, registry.get("xylo"), data)
    assert "network.layers.3.max_pool is 2, which is an OR of single spikes" in str(error.value)
    with pytest.raises(NotMappable) as error:
        for_target(recipe, registry.get("akida"), data)
    assert "conv1: weights are 'int8'" in str(error.value)
    formed = for_target(recipe, registry.get("fpga"), data)
    assert [layer.type for layer in formed.network.layers] == [layer["type"] for layer in RESIDUAL]


def test_doubts_name_the_key_of_a_layer_behind_a_sum() -> None:
    recipe = mixed(*RESIDUAL)
    data = load_dataset(recipe.data, None)
    model = FloatNet(recipe.network, data.shape).eval()
    model.layers[2].neurons.threshold.fill_(1e6)
    metrics = [{"phase": "A", "epoch": 1, "candidate": False, "thresholds": [0.5] * 5}]
    silent = [each for each in concerns(recipe, model, metrics, data) if "lif3" in each]
    assert silent == [
        "lif3: 384 of 384 neurons (100 %) never fired on the 300 validation samples; lower "
        "network.layers.3.threshold.start (now 0.5)"
    ]


def test_twin_s_max_pooling_passes_the_gradient_as_torch_s() -> None:
    """Against a module of torch's own, from the network's first spikes to a sum of them."""
    net = network(
        {"type": "conv", "channels": 2, "kernel": 1, "max_pool": 2, "threshold": {"start": 1.0}},
        {"type": "linear", "features": 3, "threshold": {"start": 1.0}},
    )
    torch.manual_seed(3)
    model = FloatNet(net, (2, 4, 4), 1).eval()
    with torch.no_grad():
        model.layers[0].weight.weight.copy_(
            torch.tensor([[1.0, 1.0], [1.0, -1.0]])[..., None, None]
        )
    twin = convert(model, mixed().model_copy(update={"network": net}), (2, 4, 4), "spikes").twin
    x = (torch.rand(4, 7, 2, 4, 4) < 0.4).float().requires_grad_()
    spikes, _ = twin.layers(x)
    toward = torch.rand_like(spikes["max1"])
    got, own = torch.autograd.grad((spikes["max1"] * toward).sum(), (x, spikes["lif1"]))
    fired = spikes["lif1"].detach().requires_grad_()
    pooled = nn.MaxPool2d(2)(fired.flatten(0, 1)).view(toward.shape)
    assert torch.equal(pooled, spikes["max1"])
    (expected,) = torch.autograd.grad((pooled * toward).sum(), fired)
    assert torch.equal(own, expected)
    assert float(got.abs().sum()) > 0
    assert 0 < float(pooled.detach().mean()) < 1


def test_schema_has_from_and_its_meaning() -> None:
    layers = recipe_schema()["$defs"]
    assert layers["Add"]["properties"]["from"]["description"] == "names of the layers."
    assert layers["Conv"]["properties"]["from"]["description"].startswith("the layer whose spikes")
    assert "from_" not in layers["Conv"]["properties"]
