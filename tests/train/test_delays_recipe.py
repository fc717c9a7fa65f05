"""Recipes with delays: refused where they contradict themselves, and exact down to every target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Lehr
from general import RUNNABLE
from tiny import SETTINGS

from lehr import nirfile
from lehr.errors import UsageError
from lehr.export.checkpoint import load_run
from lehr.network import Network
from lehr.nodes import Delay, InputKind
from lehr.samples import read_samples
from lehr.simulate import compare, simulate
from lehr.simulate.fast.engine import Engine
from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.keys.training import Training
from lehr.train.learning.loop import train
from lehr.train.learning.optimizers import optimizer_of
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.quick import quick
from lehr.train.twin.convert import convert
from lehr.train.twin.network import Twin, trace

KEY = "network.layers.0.delay"
STEPS = 8


def delayed(**delay: Any) -> Recipe:
    """Return the tiny recipe on digits that are encoded in time, each layer with a delay."""
    network = {**SETTINGS["network"], "steps": STEPS, "beta": "7/8"}
    network["layers"] = [{**layer, "delay": {"max": 4, **delay}} for layer in network["layers"]]
    data = {**SETTINGS["data"], "encoding": "rate", "steps": STEPS}
    training = {**SETTINGS["train"], "epochs": 6}
    return Recipe.model_validate({**SETTINGS, "data": data, "network": network, "train": training})


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ((f"{KEY}={{learn=true}}",), f"'{KEY}.max' is missing; add it"),
        ((f"{KEY}.max=1",), f"'{KEY}.max' is 1; give at least 2"),
        ((f"{KEY}.max=2.5",), f"'{KEY}.max' is 2.5; give a whole number"),
        ((f"{KEY}.lr=0",), f"'{KEY}.lr' is 0; give more than 0"),
        ((f"{KEY}.until=1.5",), f"'{KEY}.until' is 1.5; give at most 1"),
        ((f"{KEY}.mx=3",), f"unknown key '{KEY}.mx' (value 3); did you mean '{KEY}.max'?"),
        (
            (f"{KEY}.max={STEPS}",),
            f"{KEY}.max is {STEPS}, but network.steps is {STEPS}, after which nothing arrives; "
            f"use at most {STEPS - 1}",
        ),
        (
            ("data.steps=4", "network.layers.1.delay.max=3", "network.layers.2.delay.max=3"),
            f"{KEY}.max is 4, but data.steps is 4, after which nothing arrives; use at most 3",
        ),
        (
            (f"{KEY}.learn=false", f"{KEY}.until=0.5"),
            f"{KEY}.until is 0.5, but {KEY}.learn is false, and delays that do not learn stay as "
            "they are drawn; leave one out",
        ),
        (
            (f"{KEY}.learn=false", f"{KEY}.lr=0.5"),
            f"{KEY}.lr is 0.5, but {KEY}.learn is false, and delays that do not learn stay as "
            "they are drawn; leave one out",
        ),
    ],
)
def test_contradictions_are_named(overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(to_toml(delayed()).decode(), "tiny", overrides)
    assert [str(reason).removeprefix("recipe tiny: ") for reason in error.value.args] == [sentence]


def test_an_input_that_is_held_is_not_delayed_but_later_layers_are() -> None:
    layers = [dict(layer) for layer in SETTINGS["network"]["layers"]]
    layers[1]["delay"] = layers[0]["delay"] = {"max": 3}
    with pytest.raises(ValueError, match="held") as error:
        Recipe.model_validate({**SETTINGS, "network": {**SETTINGS["network"], "layers": layers}})
    assert (
        f"{KEY}.max is 3, but the input is held for all steps (data.steps is not given), and is "
        "the same at any time; leave 'delay' out, or encode the input with data.encoding and "
        "data.steps"
    ) in str(error.value)
    del layers[0]["delay"]
    assert (
        Recipe.model_validate({**SETTINGS, "network": {**SETTINGS["network"], "layers": layers}})
        .network.weighted[1]
        .delay
    )


def test_weights_start_as_without_delays_and_seeds_draw_others() -> None:
    def net(recipe: Recipe, seed: int = 1) -> FloatNet:
        torch.manual_seed(seed)
        return FloatNet(recipe.network, (1, 8, 8), 1)

    plain = delayed().model_dump(exclude_none=True)
    for layer in plain["network"]["layers"]:
        del layer["delay"]
    without = net(Recipe.model_validate(plain)).state_dict()
    learned, held = net(delayed()), net(delayed(learn=False))
    for name, value in without.items():
        assert value.equal(learned.state_dict()[name])
        assert value.equal(held.state_dict()[name])
    assert set(learned.state_dict()) - set(without) == {
        f"blocks.{n}.delays.steps" for n in range(3)
    }
    assert [len(each.steps) for each in learned.delays.values()] == [1, 6, 8]
    assert not torch.equal(learned.delays[2].steps, net(delayed(), 2).delays[2].steps)
    for number, delays in held.delays.items():  # the same draw, rounded
        assert delays.steps.equal(learned.delays[number].steps.round())


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw"])
def test_delays_have_a_learning_rate_of_their_own(optimizer: str) -> None:
    training = Training(epochs=1, batch_size=1, lr=1e-3, optimizer=optimizer)  # type: ignore[arg-type]
    net = FloatNet(delayed(lr=0.3).network, (1, 8, 8), 1)
    groups = optimizer_of(training, net).param_groups
    rates = {id(value): group["lr"] for group in groups for value in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in groups)
    assert rates.keys() == {id(value) for value in net.parameters()}
    steps = {id(each.steps) for each in net.delays.values()}
    assert all(rate == (0.3 if value in steps else 1e-3) for value, rate in rates.items())
    assert all(not g.get("weight_decay") for g in groups if id(g["params"][0]) in steps)
    held = FloatNet(delayed(learn=False).network, (1, 8, 8), 1)
    assert len(optimizer_of(training, held).param_groups) == len(groups) - 3


def test_a_quick_training_keeps_the_share() -> None:
    layers = quick(delayed(until=0.6), 192).network.weighted
    assert [layer.delay.until for layer in layers if layer.delay] == [0.6] * 3


# -------------------------------------------------------------------- from recipe to target
def test_rounded_delays_of_phase_a_are_those_of_the_integer_network() -> None:
    recipe = delayed()
    trained = train(recipe, load_dataset(recipe.data, None))
    net = trained.network
    assert net is not None
    path = [("delay1", "conv1"), ("lif1", "delay2"), ("delay3", "flatten"), ("flatten", "fc3")]
    assert set(path) <= set(net.edges)
    for number, delays in trained.model.delays.items():
        node = net.nodes[f"delay{number}"]
        assert isinstance(node, Delay)
        assert np.array_equal(np.broadcast_to(node.steps, delays.steps.shape), delays.whole())
        assert torch.equal(delays.steps, delays.steps.round())
    assert ["delays" in entry for entry in trained.metrics] == [True] * 6 + [False] * 2
    entries = [entry["delays"] for entry in trained.metrics[:6]]
    last = trained.model.delays[3].whole()
    assert entries[5]["layer 3"] == {
        "mean": round(float(last.mean()), 6),
        "spread": round(float(last.std()), 6),
    }
    assert entries[0]["layer 3"] != entries[4]["layer 3"] == entries[5]["layer 3"]


def later(net: Network, name: str) -> Iterator[Network]:
    """Yield networks in which one channel of a delay comes later by a step."""
    node = net.nodes[name]
    assert isinstance(node, Delay)
    for channel in range(net.shapes[name][0]):
        steps = node.spread(net.shapes[name]).astype(np.int32)
        steps[channel] += 1
        yield replace(net, nodes={**net.nodes, name: Delay(steps)})


@pytest.mark.parametrize("held", [False, True])
def test_beside_recurrence_what_arrives_is_delayed(held: bool) -> None:
    """The twin runs step by step then, and its delays keep what they hold from step to step."""
    settings = delayed(learn=False).model_dump(mode="json", exclude_none=True)
    conv, _, linear = settings["network"]["layers"]
    linear["recurrent"] = True
    linear["threshold"] = {"start": 2.0}
    if held:
        settings["data"] = SETTINGS["data"]
        del conv["delay"]
    settings["network"]["layers"] = [conv, linear]
    recipe = Recipe.model_validate(settings)
    kind: InputKind = "u8" if held else "spikes"
    torch.manual_seed(1)
    model = FloatNet(recipe.network, (1, 8, 8), 255 if held else 1).eval()
    net = convert(model, recipe, (1, 8, 8), kind).twin.network()
    assert net.feedback
    x = np.random.default_rng(1).integers(0, 256, (3, 8, 1, 8, 8), dtype=np.uint8)
    x = x[:, 0] if held else (x < 90).astype(np.uint8)
    result = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values()), result.rates
    compare(trace(Twin(net), x), result.trace).require_equal("twin")
    compare(Engine(net).run(x, trace=net.neurons).trace, result.trace).require_equal("fast")
    changed = [trace(Twin(other), x) for other in later(net, "delay2")]
    assert any(not compare(each, result.trace).equal for each in changed)


@pytest.mark.slow
@pytest.mark.parametrize("learn", [True, False])
def test_from_recipe_to_target(learn: bool, lehr: Lehr, tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model.nir"
    (tmp_path / "tiny.toml").write_bytes(to_toml(delayed(learn=learn)))
    trained = lehr("train", tmp_path / "tiny.toml", "-o", run)
    assert trained.code == 0, trained.err
    exported = lehr("export", run, "-o", model, "--json")
    assert exported.code == 0, exported.err
    assert exported.facts["spikes_differ"] == exported.facts["membranes_differ"] == 0
    net = nirfile.read(model)
    assert net == load_run(run).network
    x, _ = read_samples(run / "samples.npz")
    result = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values()), result.rates
    compare(trace(Twin(net), x), result.trace).require_equal("twin")
    compare(Engine(net).run(x, trace=net.neurons).trace, result.trace).require_equal("fast")
    for name in ("delay1", "delay2", "delay3"):
        traces = [trace(Twin(other), x) for other in later(net, name)]
        noticed = [not compare(each, result.trace).equal for each in traces]
        assert any(noticed), name
    for target in RUNNABLE:
        out = tmp_path / target
        built = lehr(
            "build", model, "--target", target, "-o", out, "-i", run / "samples.npz", "-n", 4
        )
        assert built.code == 0, built.err
        verified = lehr("verify", out)
        assert verified.code == 0, verified.err
