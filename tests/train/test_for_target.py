"""Training for chips: in their arithmetic and under their limits, from the recipe to the trained network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chip_targets import CHIPS, ChipTarget
from golden_networks import changed_weight
from strategies import alive

from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.for_target import for_target
from lehr.train.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.twin import trace

STEPS = 12


def digits(ends: tuple[float, float] = (2.0, 8.0), **network: Any) -> Recipe:
    """Rate-coded digits, 64-32-10, for some seconds of training; thresholds end at `ends`."""
    layers = [
        {"type": "linear", "features": 32, "threshold": {"start": 0.5, "final": ends[0], "rate": 0.02}},
        {"type": "linear", "features": 10, "threshold": {"start": 2.0, "final": ends[1], "rate": 0.02}},
    ]
    told = {
        "name": "chip",
        "description": "digits as spikes",
        "seed": 1,
        "data": {"name": "digits", "encoding": "rate", "steps": STEPS, "test_samples": 150},
        "network": {"steps": STEPS, "beta": "15/16", "slope": 2.0, "layers": layers} | network,
        "train": {"epochs": 5, "batch_size": 32, "lr": 5e-3},
        "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
    }
    return Recipe.model_validate({key: value for key, value in told.items() if value is not None})


RECIPES = {
    "test-loihi": digits(),
    "test-reckon": digits(),
    "test-hiaer": digits((4.0, 4.0)),
    "test-akida": digits((2.0, 4.0), beta="0"),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(RECIPES["test-loihi"].data, None)


def trained_for(target: ChipTarget, data: Dataset) -> tuple[Recipe, Trained, Network]:
    recipe = for_target(RECIPES[target.name], target, data)
    trained = train(recipe, data)
    assert trained.network is not None
    return recipe, trained, trained.network


@pytest.mark.parametrize("target", CHIPS, ids=lambda target: target.name)
def test_what_is_trained_maps_and_is_exact_and_has_learnt(target: ChipTarget, data: Dataset) -> None:
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
    assert not compare(trace(trained.twin, x), simulate(changed_weight(net), x, trace=net.neurons).trace).equal
    right = float((simulate(net, data.test.x).prediction == data.test.y).mean())
    print(target.name, right, first[:6], last[:6], result.rates, [m["validation_accuracy"] for m in trained.metrics])
    assert right > 0.6
