"""Training for chips, in their arithmetic and under their limits, from recipe to network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from chip_targets import CHIPS, ChipTarget, chip
from commands import Lehr
from golden_networks import changed_weight
from strategies import alive

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.export.checkpoint import load_run
from lehr.machines import DYNAPCNN_BY_EVENT
from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.targets.contract import Problem, TrainingForm
from lehr.train.data import Dataset, load_dataset
from lehr.train.for_target import for_target
from lehr.train.keys.arithmetic import ArithmeticRecipe
from lehr.train.keys.shares import Shares
from lehr.train.learning.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load, parse, to_toml
from lehr.train.stand_in import require_convertible
from lehr.train.twin.network import trace

STEPS = 12


def of_layers(**first: Any) -> list[dict[str, Any]]:
    """Two layers, the first with other keys as well."""
    layers = [layer.model_dump(exclude_none=True) for layer in digits().network.layers]
    return [{**layers[0], **first}, layers[1]]


def digits(ends: tuple[float, float] = (2.0, 8.0), **network: Any) -> Recipe:
    """Rate-coded digits, 64-32-10, for some seconds of training; thresholds end at `ends`."""
    layers = [
        {
            "type": "linear",
            "features": 32,
            "threshold": {"start": 0.5, "final": ends[0], "rate": 0.02},
        },
        {
            "type": "linear",
            "features": 10,
            "threshold": {"start": 2.0, "final": ends[1], "rate": 0.02},
        },
    ]
    fields = {
        "name": "chip",
        "description": "digits as spikes",
        "seed": 1,
        "data": {"name": "digits", "encoding": "rate", "steps": STEPS, "test_samples": 150},
        "network": {"steps": STEPS, "beta": "15/16", "slope": 2.0, "layers": layers} | network,
        "train": {"epochs": 5, "batch_size": 32, "lr": 5e-3},
        "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
    }
    return Recipe.model_validate({key: value for key, value in fields.items() if value is not None})


RECIPES = {
    "test-loihi": digits(),
    "test-reckon": digits(),
    "test-hiaer": digits((4.0, 4.0)),
    "test-akida": digits((2.0, 4.0), beta="0"),
    "test-xylo": digits((6.0, 12.0), beta="3/4"),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(RECIPES["test-loihi"].data, None)


def trained_for(target: ChipTarget, data: Dataset) -> tuple[Recipe, Trained, Network]:
    recipe = for_target(RECIPES[target.name], target, data)
    trained = train(recipe, data)
    assert trained.network is not None
    return recipe, trained, trained.network


@pytest.mark.slow
@pytest.mark.parametrize("target", CHIPS, ids=lambda target: target.name)
def test_what_is_trained_maps_and_is_exact_and_has_learnt(
    target: ChipTarget, data: Dataset
) -> None:
    recipe, trained, net = trained_for(target, data)
    assert recipe.target == target.name
    assert target.check(net) == ()
    form = target.training
    first, last = (neuron.threshold for neuron in net.neurons.values())
    for theta in (first, last):
        assert not (theta % form.multiple).any()
        if form.share == "pair":
            assert np.array_equal(theta[::2], theta[1::2])
        if form.share in ("layer", "network"):
            assert len(set(theta.tolist())) == 1
    if form.share == "network":
        assert first[0] == last[0]
    assert not any(neuron.bias.any() for neuron in net.neurons.values())
    x = data.test.x[:64]
    result = simulate(net, x, trace=net.neurons)
    assert alive(result), result.rates
    assert trained.twin is not None
    compared = compare(trace(trained.twin, x), result.trace)
    compared.require_equal(target.name)
    assert not compare(
        trace(trained.twin, x), simulate(changed_weight(net), x, trace=net.neurons).trace
    ).equal
    right = float((simulate(net, data.test.x).prediction == data.test.y).mean())
    assert right > 0.4, "chance is 0.1"


def refused(recipe: Recipe, target: ChipTarget, data: Dataset) -> list[str]:
    with pytest.raises(NotMappable) as error:
        for_target(recipe, target, data)
    assert error.value.exit_code == 3
    subject = f"recipe chip does not train for target {target.name}: "
    assert str(error.value).startswith(subject)
    return [str(reason).removeprefix(subject) for reason in error.value.args]


class Small(type(chip("test-loihi"))):  # type: ignore[misc]
    """Loihi's fields, and fewer inputs than digits have pixels."""

    inputs = 32


def test_contradictions_and_what_the_target_refuses_are_told_at_once(data: Dataset) -> None:
    layers = [layer.model_dump(exclude_none=True) for layer in digits().network.layers]
    layers = [{**layers[0], "fraction_bits": 9, "bias": True}, {**layers[1], "fraction_bits": 6}]
    arithmetic = {"reset": "subtract", "fires": "gt"}
    recipe = digits(
        layers=layers,
        arithmetic=arithmetic,
        thresholds={"share": "pair", "multiple": 96},
        biases=True,
    )
    assert refused(recipe, Small(), data) == [
        "network.arithmetic.reset is 'subtract', but the machine asks for 'zero'; leave it out",
        "network.thresholds.share is 'pair', but the machine has one threshold for each layer; "
        "leave it out",
        "network.thresholds.multiple is 96, but the machine's thresholds are multiples of 64; "
        "leave it out",
        "network.biases is true, but the machine has none; leave it out",
        "network.layers.0.bias is true, but network.biases is false; leave it out",
        "lif1: fraction_bits is 9, the machine has 7; export with at most 7",
        "input: has 64 lines, the machine has 32; make the input smaller",
    ]
    assert refused(digits(), Small(), data) == [
        "input: has 64 lines, the machine has 32; make the input smaller"
    ]


@pytest.mark.parametrize(
    ("name", "network", "sentence"),
    [
        (
            "test-akida",
            {},
            "network.beta is '15/16', but the machine decays by '0' alone; set it to '0'",
        ),
        (
            "test-akida",
            {"beta": "0", "layers": of_layers(beta="3/4")},
            "network.layers.0.beta is '3/4', but the machine decays by '0' alone; leave it out",
        ),
        (
            "test-akida",
            {"beta": "0", "layers": of_layers(beta={"start": "3/4", "learn": "layer"})},
            "network.layers.0.beta is learned, but the machine decays by '0' alone; leave it out",
        ),
        (
            "test-loihi",
            {"layers": of_layers(reset="subtract")},
            "network.layers.0.reset is 'subtract', but the machine asks for 'zero'; leave it out",
        ),
        (
            "test-xylo",
            {"layers": of_layers(alpha="3/4")},
            "network.layers.0.alpha is given, but machine 'xylo' says what the neurons of all "
            "layers compute; leave one out",
        ),
        (
            "test-loihi",
            {"weights": "float"},
            "network.weights is 'float', which is not exported; leave it out",
        ),
        (
            "test-loihi",
            {"weights": "int4"},
            "fc1: weights are 'int4', the machine has 'binary'; train with weights that are "
            "'binary'",
        ),
        (
            "test-loihi",
            {"arithmetic": {"machine": "reckon"}},
            "network.arithmetic.machine is 'reckon', but the machine asks for fields of an "
            "arithmetic; leave it out",
        ),
        (
            "test-reckon",
            {"thresholds": {"highest": 40000}},
            "network.thresholds.highest is 40000, but the machine's greatest threshold is 32767; "
            "lower it",
        ),
        (
            "test-xylo",
            {"arithmetic": {"machine": "xylo", "parameters": {"dash_syn": 2}, "output_spikes": 2}},
            "network.arithmetic.output_spikes is 2, but the machine has 1; lower it",
        ),
    ],
)
def test_each_contradiction_has_its_sentence(
    name: str, network: dict[str, Any], sentence: str, data: Dataset
) -> None:
    assert refused(digits(**network), chip(name), data)[0] == sentence


def test_thresholds_that_would_leave_the_grid_are_told_before_training(data: Dataset) -> None:
    layers = digits((0.6, 300.0)).model_dump(exclude_none=True)["network"]["layers"]
    recipe = digits(
        layers=[{**layer, "fraction_bits": 6} for layer in layers],
        thresholds={"share": "layer", "multiple": 64, "highest": 16384},
    )
    with pytest.raises(NotMappable) as error:
        train(recipe, data)
    assert list(error.value.args) == [
        "network.layers.0.threshold ends at 0.6, which is 38 in integers, below "
        "network.thresholds.multiple, 64; "
        "raise it, or use more fraction bits",
        "network.layers.1.threshold ends at 300, which is more than network.thresholds.highest, "
        "16384 units of 2**-6 weights; "
        "lower it, or use fewer fraction bits",
    ]


def test_thresholds_that_no_register_reaches_are_told_before_training(data: Dataset) -> None:
    def recipe(**arithmetic: Any) -> Recipe:
        layers = digits((1.0, 15.875)).model_dump(exclude_none=True)["network"]["layers"]
        return digits(
            layers=[{**layer, "fraction_bits": 3} for layer in layers], arithmetic=arithmetic
        )

    with pytest.raises(NotMappable) as error:
        train(recipe(state_bits=8), data)
    assert error.value.args == (
        "network.layers.1.threshold ends at 15.875, which is 127 in integers of 3 fraction bits, "
        "but a membrane of network.arithmetic.state_bits, 8, is at most 127, and would never fire; "
        "give fewer network.layers.1.fraction_bits or more state_bits, or lower it",
    )
    for reached in ({"state_bits": 9}, {"state_bits": 8, "fires": "ge"}):
        require_convertible(recipe(**reached), data)


def test_the_form_leaves_what_the_recipe_says_and_comes_back_equal(data: Dataset) -> None:
    layers = [
        {**layer.model_dump(exclude_none=True), "fraction_bits": 7}
        for layer in digits((4.0, 4.0)).network.layers
    ]
    formed = for_target(
        digits(layers=layers, slope_in="weights", thresholds={"share": "network", "multiple": 128}),
        chip("test-loihi"),
        data,
    )
    assert (formed.target, formed.network.slope_in, formed.network.biases) == (
        "test-loihi",
        "weights",
        False,
    )
    assert formed.network.thresholds == Shares(share="network", multiple=128, highest=131071 * 64)
    assert formed.network.arithmetic == ArithmeticRecipe(
        decay_form="multiply",
        rounding="toward_zero",
        reset="zero",
        reset_timing="same_step",
        fires="gt",
    )
    assert [layer.fraction_bits for layer in formed.network.weighted] == [7, 7]
    kept = parse(to_toml(formed).decode(), "kept")
    assert kept == formed
    assert for_target(kept, chip("test-loihi"), data) == formed
    usual = for_target(digits(), chip("test-loihi"), data)
    assert (usual.network.slope_in, [layer.fraction_bits for layer in usual.network.weighted]) == (
        "thresholds",
        [6, 6],
    )
    xylo = for_target(digits(beta="3/4"), chip("test-xylo"), data).network.arithmetic
    assert xylo is not None
    assert (xylo.machine, xylo.parameters, xylo.output_spikes) == ("xylo", {"dash_syn": 1}, 1)


class Event(type(chip("test-xylo"))):  # type: ignore[misc]
    """A machine that takes events one by one, and keeps the networks that are checked."""

    programs = (DYNAPCNN_BY_EVENT,)
    training = TrainingForm(
        machine="dynapcnn",
        then="dynapcnn_by_event",
        parameters={"floor": -128},
        share="layer",
        biases=False,
        fraction_bits=0,
    )

    def __init__(self) -> None:
        self.asked: list[Network] = []

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """What every chip asks."""
        self.asked.append(net)
        problems: tuple[Problem, ...] = super().limits(net)
        return problems


class Step(Event):
    """The same without the word that training needs."""

    training = replace(Event.training, then=None)


def test_the_target_is_asked_about_the_machine_that_its_form_says_the_trained_network_by(
    data: Dataset,
) -> None:
    target, recipe = (
        Event(),
        digits(beta=None, arithmetic={"machine": "dynapcnn", "parameters": {"floor": -128}}),
    )
    formed = for_target(recipe, target, data)
    assert formed.network.arithmetic is not None
    assert formed.network.arithmetic.machine == "dynapcnn"
    (net,) = target.asked
    assert [neuron.program for neuron in net.neurons.values()] == [DYNAPCNN_BY_EVENT] * 2
    assert all((neuron.parameters["floor"] == -128).all() for neuron in net.neurons.values())
    assert refused(recipe, Step(), data) == [
        f"{name}: it computes another update; train with the machine's" for name in net.neurons
    ]


def test_a_target_without_a_form_takes_the_recipe_as_it_is(data: Dataset) -> None:
    formed = for_target(digits(), registry.get("c"), data)
    assert formed == digits().model_copy(update={"target": "c"})


def test_the_command_trains_for_the_target_and_keeps_its_recipe(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "get", chip)
    source, run = tmp_path / "chip.toml", tmp_path / "run"
    few = digits()
    few = few.model_copy(update={"train": few.train.model_copy(update={"epochs": 1})})
    source.write_bytes(
        tomli_w.dumps(few.model_dump(mode="json", exclude_none=True, exclude_unset=True)).encode()
    )
    ran = lehr("train", source, "--target", "test-loihi", "--set", "network.biases=true", "-o", run)
    assert ran.code == 3
    assert "network.biases is true, but the machine has none; leave it out" in ran.err
    ran = lehr(
        "train", source, "--target", "test-loihi", "-o", run, "--set", "data.train_samples=300"
    )
    assert ran.code == 0, ran.err
    kept = load(str(run / "recipe.toml"))
    assert kept.target == "test-loihi"
    assert kept.network.thresholds.multiple == 64
    assert chip("test-loihi").check(load_run(run).network) == ()
    assert lehr("export", run, "-o", tmp_path / "m.nir").code == 0
    assert chip("test-loihi").check(nirfile.read(tmp_path / "m.nir")) == ()
    ran = lehr("train", run / "recipe.toml", "--target", "test-akida", "-o", tmp_path / "other")
    assert ran.code == 2
    assert (
        "--target test-akida: recipe chip is for target test-loihi; take the recipe that it was "
        "made of" in ran.err
    )
