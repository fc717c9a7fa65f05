"""Training: phases in order, annealing after every batch, the same bits from the same recipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_recipe

from lehr.simulate import compare, simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.learning.evaluation import accuracy
from lehr.train.learning.loop import Trained, train
from lehr.train.objectives.objective import objective
from lehr.train.recipe import Recipe
from lehr.train.runs.pace import epochs
from lehr.train.twin.network import Twin, trace


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(tiny_recipe().data, None)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Trained:
    return train(tiny_recipe(), data)


def _changed(**keys: object) -> Recipe:
    return tiny_recipe().model_copy(update=keys)


def test_phases_follow_one_another(trained: Trained) -> None:
    assert [(m["phase"], m["epoch"]) for m in trained.metrics] == [
        ("A", 1),
        ("A", 2),
        ("A", 3),
        ("B", 1),
        ("C", 1),
    ]
    assert len(trained.metrics) == sum(epochs(tiny_recipe()).values())
    losses = [m["loss"] for m in trained.metrics]
    assert losses[2] < losses[0]


def test_thresholds_are_annealed_after_every_batch(trained: Trained) -> None:
    batches = 192 // 32
    for epoch in (1, 2, 3):
        for layer, schedule in enumerate(tiny_recipe().network.annealed):
            assert schedule.final is not None
            assert schedule.rate is not None
            expected = schedule.final - (schedule.final - schedule.start) * (1 - schedule.rate) ** (
                epoch * batches
            )
            assert trained.metrics[epoch - 1]["thresholds"][layer] == pytest.approx(
                expected, abs=1e-5
            )


def test_integer_network_is_the_twin_in_the_reference(trained: Trained, data: Dataset) -> None:
    assert trained.network is not None
    assert trained.twin is not None
    result = simulate(trained.network, data.test.x, trace=trained.network.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values())
    assert not any(result.saturations.values())
    compare(result.trace, trace(trained.twin, data.test.x)).require_equal("twin")
    assert result.accuracy(data.test.y) == accuracy(
        trained.twin, data.test, objective(tiny_recipe(), data)
    )


@pytest.mark.slow
def test_phase_c_moves_no_threshold(data: Dataset) -> None:
    recipe = tiny_recipe()
    assert recipe.finetune is not None
    without = train(
        recipe.model_copy(
            update={"finetune": recipe.finetune.model_copy(update={"frozen_epochs": 0})}
        ),
        data,
    )
    whole = train(recipe, data)
    assert without.network is not None
    assert whole.network is not None
    for name, neuron in whole.network.neurons.items():
        assert np.array_equal(neuron.threshold, without.network.neurons[name].threshold)
        assert np.array_equal(neuron.bias, without.network.neurons[name].bias)
    assert without.network != whole.network  # the weights went on


def test_float_baseline_has_no_integer_network(data: Dataset) -> None:
    recipe = tiny_recipe()
    baseline = train(
        recipe.model_copy(
            update={"network": recipe.network.model_copy(update={"weights": "float"})}
        ),
        data,
    )
    assert baseline.network is None
    assert {m["phase"] for m in baseline.metrics} == {"A"}
    assert len(baseline.model.layers[0].weight.weight.unique()) > 2


@pytest.mark.slow
def test_same_recipe_gives_the_same_bits_and_another_seed_does_not(
    trained: Trained, data: Dataset
) -> None:
    again, other = train(tiny_recipe(), data), train(_changed(seed=6), data)
    assert again.twin is not None
    assert trained.twin is not None
    assert again.metrics == trained.metrics
    for name, weight in trained.twin.weights.items():
        assert torch.equal(weight, again.twin.weights[name])
    assert again.network == trained.network
    assert other.network != trained.network


@pytest.mark.slow
def test_another_process_gives_the_same_bits(trained: Trained) -> None:
    script = (
        "from tiny import tiny_recipe\nfrom lehr.train.learning.loop import train\nfrom lehr.train.data "
        "import load_dataset\n"
        "recipe = tiny_recipe()\nprint(train(recipe, load_dataset(recipe.data, "
        "None)).network.digest)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert trained.network is not None
    assert ran.stdout.strip() == trained.network.digest


def test_twin_of_the_result_is_the_result(trained: Trained) -> None:
    assert trained.network is not None
    assert Twin(trained.network).network() == trained.network
