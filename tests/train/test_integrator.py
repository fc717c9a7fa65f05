"""Networks whose last layer integrates.

Trained on its membranes, exact in integers, and read out as they were trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import SETTINGS

from lehr import nirfile
from lehr.errors import UsageError
from lehr.network import Neuron
from lehr.simulate import compare, simulate
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.anneal import FLOOR, Annealer
from lehr.train.learning.evaluation import accuracy
from lehr.train.learning.loop import Trained, train
from lehr.train.objectives.objective import Membrane, objective
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load, parse, to_toml
from lehr.train.twin.network import trace

READOUTS = ("last", "sum", "max")


def recipe_fields(readout: str = "sum", **changes: Any) -> dict[str, Any]:
    """The tiny recipe with integrators in place of the output's neurons."""
    last = {"type": "integrator", "features": 10, "bias": True, "readout": readout}
    network = {**SETTINGS["network"], "layers": [*SETTINGS["network"]["layers"][:-1], last]}
    return {
        **SETTINGS,
        "network": network,
        "train": {**SETTINGS["train"], "objective": "cross-entropy", "epochs": 20},
        **changes,
    }


@pytest.fixture(scope="module", params=READOUTS)
def run(request: pytest.FixtureRequest) -> tuple[Recipe, Dataset, Trained]:
    """A trained network for each readout."""
    recipe = Recipe.model_validate(recipe_fields(request.param))
    data = load_dataset(recipe.data, None)
    return recipe, data, train(recipe, data)


@pytest.mark.slow
def test_the_twin_is_the_reference_in_every_membrane(run: tuple[Recipe, Dataset, Trained]) -> None:
    recipe, data, trained = run
    assert trained.network is not None
    assert trained.twin is not None
    net = nirfile.from_nir(nirfile.to_nir(trained.network))
    assert net == trained.network
    integrator = recipe.network.integrator
    assert integrator is not None
    assert net.readout == f"membrane_{integrator.readout}_argmax_lowest"
    assert net.output == "li3"
    x = data.test.x[:40]
    result = simulate(net, x, trace=net.neurons)
    assert compare(trace(trained.twin, x), result.trace).equal
    assert all(0 < rate < 1 for name, rate in result.rates.items() if name != "li3"), result.rates
    assert result.rates["li3"] == 0
    assert len(np.unique(result.trace.membranes["li3"])) > 20
    output = net.nodes["li3"]
    assert isinstance(output, Neuron)
    moved = replace(
        net,
        nodes={
            **net.nodes,
            "li3": replace(output, bias=output.bias + np.eye(10, dtype=np.int32)[4]),
        },
    )
    first = compare(result.trace, simulate(moved, x, trace=net.neurons).trace).first
    assert first is not None
    assert (first.layer, first.quantity, first.neuron) == ("li3", "membrane", (4,))


@pytest.mark.slow
def test_the_simulator_has_the_accuracy_that_training_tells(
    run: tuple[Recipe, Dataset, Trained],
) -> None:
    recipe, data, trained = run
    assert trained.network is not None
    assert trained.twin is not None
    measured = accuracy(trained.twin, data.test, objective(recipe, data))
    assert measured == simulate(trained.network, data.test.x).accuracy(data.test.y)
    assert measured > 0.3  # chance is 0.1
    assert trained.metrics[-1]["loss"] < trained.metrics[0]["loss"]


@pytest.mark.few(1)
def test_only_layers_that_fire_have_thresholds_and_rates(
    run: tuple[Recipe, Dataset, Trained],
) -> None:
    for entry in run[2].metrics:
        assert len(entry["thresholds"]) == len(entry["rates"]) == 2
        assert not entry["dead"]


def test_scores_and_loss() -> None:
    membranes = torch.tensor([[[1.0, 4.0, 0.0]], [[2.0, -3.0, 2.0]]])  # [T, N, classes]
    scores = {"last": [2.0, -3.0, 2.0], "sum": [3.0, 1.0, 2.0], "max": [2.0, 4.0, 2.0]}
    for readout, expected in scores.items():
        goal = Membrane(3, readout)
        assert goal.scores([], membranes).tolist() == [expected]
        logits = torch.tensor([expected]) / (2 if readout == "sum" else 1)
        label = torch.tensor([2])
        assert float(goal.loss([], membranes, label)) == pytest.approx(
            float(torch.nn.functional.cross_entropy(logits, label))
        )
    assert Membrane(3, "last").right([], membranes, torch.tensor([0])).tolist() == [
        True
    ]  # at a tie the lowest index
    assert Membrane(3, "last").right([], membranes, torch.tensor([2])).tolist() == [False]


def test_gradients_reach_gain_bias_and_weights() -> None:
    torch.manual_seed(0)
    recipe = Recipe.model_validate(recipe_fields())
    net = FloatNet(recipe.network, (1, 8, 8))
    spikes, membranes = net.run(torch.randint(0, 256, (16, 1, 8, 8)).float())
    assert len(spikes) == 2
    Membrane(10, "sum").loss(spikes, membranes, torch.arange(16) % 10).backward()
    last = net.layers[-1]
    for parameter in (last.neurons.gain, last.neurons.bias, *net.weights.values()):
        assert parameter.grad is not None
        assert bool(parameter.grad.any())


def test_rate_controlled_layers_before_integrators_are_hidden_ones() -> None:
    recipe = Recipe.model_validate(recipe_fields())
    thresholds = [torch.tensor(1.0), torch.tensor(1.0)]
    controlled = recipe.network.annealed[0].model_copy(
        update={"schedule": "rate-controlled", "final": None, "rate": None}
    )
    annealer = Annealer(thresholds, [controlled] * 2, recipe.train, 10, None)
    annealer.step([FLOOR * 1.1, FLOOR * 0.9])
    assert float(thresholds[0]) > 1
    assert float(thresholds[1]) == 1


def test_a_float_arm() -> None:
    recipe = Recipe.model_validate(recipe_fields(finetune=None))
    recipe = parse(to_toml(recipe).decode(), "tiny", ("network.weights=float", "train.epochs=1"))
    assert train(recipe, load_dataset(recipe.data, None)).twin is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ("train.objective=count",),
            "train.objective is 'count', but the last layer integrates and has no spikes for it; "
            "use 'cross-entropy'",
        ),
        (
            ('network.layers=[{type="integrator",features=10}]',),
            "a layer of integrators fires no spike for a next one; put it last, behind layers that "
            "fire",
        ),
        (
            (
                'network.layers=[{type="linear",features=9,threshold={start=1}},{type="integrator",features=9},'
                '{type="linear",features=9,threshold={start=1}}]',
            ),
            "a layer of integrators fires no spike for a next one; put it last, behind layers that "
            "fire",
        ),
        (("network.layers.2.batch_norm=true",), "network.layers.2.batch_norm"),
        (("network.layers.2.threshold={start=1}",), "network.layers.2.threshold"),
    ],
)
def test_what_integrators_do_not_have_is_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(to_toml(Recipe.model_validate(recipe_fields())).decode(), "tiny", changes)
    assert message in str(caught.value)


def test_labels_beyond_the_classes_are_refused() -> None:
    split = Split(np.zeros((12, 1, 8, 8), np.uint8), np.arange(12))
    data = Dataset(split, split, split, 12)
    with pytest.raises(
        UsageError, match="the last layer has 10 neurons for 12 classes; give it one for each"
    ):
        train(Recipe.model_validate(recipe_fields()), data)


def test_the_recipes_that_use_them() -> None:
    for name in ("mnist-fast", "fashion-mnist-fast"):
        assert load(name).network.integrator is not None
