"""A penalty on firing: what it is, and that an inference takes fewer spikes for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import SETTINGS, tiny_recipe, tiny_toml
from torch import Tensor

from lehr.errors import UsageError
from lehr.simulate import simulate
from lehr.train.data import load_dataset
from lehr.train.learning.loop import Trained, train
from lehr.train.objectives.loss import Loss
from lehr.train.objectives.objective import objective
from lehr.train.processes import Part
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse

INTEGRATOR = {"type": "integrator", "features": 10, "bias": True}


def recipe_of(penalty: dict[str, float] | None, *, integrates: bool = False, **keys: Any) -> Recipe:
    network, training = SETTINGS["network"], {**SETTINGS["train"], **keys}
    if integrates:
        network = {**network, "layers": [*network["layers"][:-1], INTEGRATOR]}
        training["objective"] = "cross-entropy"
    if penalty is not None:
        training["rate_penalty"] = penalty
    return Recipe.model_validate({**SETTINGS, "network": network, "train": training})


def rasters(*rates: float) -> list[Tensor]:
    """Spikes of layers that fire with these rates, [5, 4, 50] each."""
    chance = torch.Generator().manual_seed(0)
    return [
        (torch.rand(5, 4, 50, generator=chance) < rate).float().requires_grad_() for rate in rates
    ]


@pytest.mark.parametrize("integrates", [False, True])
def test_hidden_layers_pay_for_what_they_fire_above_the_target(integrates: bool) -> None:
    recipe = recipe_of({"target": 0.2, "weight": 3.0}, integrates=integrates)
    data = load_dataset(recipe.data, None)
    goal = objective(recipe, data)
    spikes, membranes = rasters(0.6, 0.1, 0.5), torch.zeros(5, 4, 10)
    spikes[-1] = spikes[-1] if integrates else rasters(0.5)[0][..., :10]
    labels = torch.tensor([1, 2, 3, 4])
    x = torch.zeros(4, 1, 8, 8)
    loss = Loss(recipe, goal, None)(x, spikes, membranes, labels, Part.of(4))
    rates = [float(layer.detach().mean()) for layer in spikes]
    assert rates[0] > 0.5 > 0.2 > rates[1]
    paid = (rates[0] - 0.2) ** 2 + ((rates[2] - 0.2) ** 2 if integrates else 0)
    plain = float(goal.loss(spikes, membranes, labels).detach())
    assert float(loss.detach()) == pytest.approx(plain + 3 * paid, rel=1e-5)
    loss.backward()
    assert spikes[0].grad is not None
    # of each value of the raster: 2 * weight * (rate - target) / values
    assert spikes[0].grad.unique().tolist() == pytest.approx([6 * (rates[0] - 0.2) / 1000])
    assert spikes[1].grad is not None
    assert not spikes[1].grad.any()


def spikes_an_inference(trained: Trained, x: Any) -> float:
    """Of the hidden layers of the integer network."""
    net = trained.network
    assert net is not None
    result = simulate(net, x, trace=("lif1", "lif2"))
    return sum(float(fired.sum()) for fired in result.trace.spikes.values()) / len(x)


def test_an_inference_takes_fewer_spikes() -> None:
    data = load_dataset(tiny_recipe().data.model_copy(update={"train_samples": 600}), None)
    plain, dear = (
        train(recipe_of(penalty, epochs=8), data)
        for penalty in (None, {"target": 0.05, "weight": 5.0})
    )
    free, paid = (spikes_an_inference(each, data.test.x) for each in (plain, dear))
    assert 0 < paid < 0.6 * free
    assert dear.metrics[-1]["rates"][0] < plain.metrics[-1]["rates"][0]
    assert dear.metrics[-1]["validation_accuracy"] > 0.2  # a tenth is chance


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (
                "train.rate_penalty.target=0.1",
                'network.layers=[{type="linear", features=10, threshold={start=1.0}}]',
            ),
            "train.rate_penalty.target is 0.1, but no layer is hidden, and the output's rates are "
            "what the objective asks; add a layer, or leave it out",
        ),
        (("train.rate_penalty.target=-1",), "'train.rate_penalty.target' is -1; give at least 0"),
        (("train.rate_penalty.weight=2",), "'train.rate_penalty.target' is missing; add it"),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    assert str(error.value) == f"recipe tiny: {message}"
