"""Dropout, limits of gradients and weights, longer test samples, and the float arm's own decay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from recordings import write_speech
from tiny import SETTINGS, tiny_recipe

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.loop import train
from lehr.train.recipe import DataRecipe, NetworkRecipe, Recipe


def _net(dropout: float, **keys: Any) -> FloatNet:
    layer = {
        "type": "linear",
        "features": 400,
        "bias": True,
        "dropout": dropout,
        "threshold": {"start": 1e6},
    }
    torch.manual_seed(0)
    return FloatNet(
        NetworkRecipe.model_validate(
            {"steps": 5, "beta": "0", "slope": 1.0, "layers": [layer], **keys}
        ),
        (9,),
        1,
    )


@pytest.mark.parametrize("held", [True, False])
def test_dropout_takes_currents_anew_in_every_step(held: bool) -> None:
    net, x = _net(0.25), torch.ones((3, 9) if held else (3, 5, 9))
    with torch.no_grad():
        net.layers[0].neurons.bias.fill_(0.5)
    kept = net.eval().run(x)[1]  # beta is 0, and nothing fires: membranes are currents
    dropped = net.train().run(x)[1]
    assert kept.abs().min() >= 0.5
    gone = dropped == 0
    assert torch.allclose(dropped[~gone], kept[~gone] / 0.75)
    assert 0.2 < float(gone.float().mean()) < 0.3
    assert not gone[0].equal(gone[1])
    assert torch.equal(net.eval().run(x)[1], kept)


def test_batch_norm_is_reestimated_without_dropout() -> None:
    def estimated(dropout: float) -> torch.Tensor:
        layers = [
            {"type": "linear", "features": 30, "dropout": dropout, "threshold": {"start": 0.5}},
            {"type": "linear", "features": 4, "batch_norm": True, "threshold": {"start": 0.5}},
        ]
        torch.manual_seed(0)
        net = FloatNet(
            NetworkRecipe.model_validate(
                {"steps": 5, "beta": "1/2", "slope": 1.0, "layers": layers}
            ),
            (9,),
            1,
        )
        net.reestimate_batch_norm([torch.randint(0, 2, (8, 9)).float()])
        norm = net.layers[1].norm
        assert isinstance(norm, torch.nn.BatchNorm1d)
        assert norm.running_mean is not None
        return norm.running_mean

    assert estimated(0.9).abs().sum() > 0
    assert estimated(0.9).equal(estimated(0.0))


def _changed(**train_keys: object) -> Recipe:
    return Recipe.model_validate({**SETTINGS, "train": {**SETTINGS["train"], **train_keys}})


def test_weights_stay_within_the_clamp_in_all_phases() -> None:
    data = load_dataset(tiny_recipe().data, None)
    bound = 0.0625
    free, clamped = train(tiny_recipe(), data), train(_changed(clamp=bound), data)
    for trained, inside in ((free, False), (clamped, True)):
        assert trained.last is not None
        for weights in (trained.model.weights, trained.last.weights):
            assert (
                max(float(weight.detach().abs().max()) for weight in weights.values()) <= bound
            ) == inside


def test_gradients_are_clipped_together() -> None:
    """Plain gradient descent goes no further in an update than the learning rate times the clip."""
    data = load_dataset(tiny_recipe().data, None)
    moved = {}
    for clip in (None, 1e-3):
        recipe = _changed(
            optimizer="sgd",
            lr=1.0,
            lr_schedule="constant",
            epochs=1,
            batch_size=192,
            **({"clip": clip} if clip else {}),
        )
        torch.manual_seed(recipe.seed)
        start = FloatNet(recipe.network, data.shape)
        model = train(recipe.model_copy(update={"finetune": None}), data).model
        pairs = zip(start.parameters(), model.parameters(), strict=True)
        moved[clip] = float(torch.cat([(a - b).detach().flatten() for a, b in pairs]).norm())
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-2)
    assert moved[None] > 1e-2


SHD = DataRecipe(name="shd", steps=10, test_steps=25, step_ms=30)


def test_validation_and_test_samples_may_be_longer(tmp_path: Path) -> None:
    write_speech(tmp_path, 24, 4)
    data = load_dataset(SHD, tmp_path)
    shorter = load_dataset(SHD.model_copy(update={"test_steps": None}), tmp_path)
    assert (data.steps, data.test_steps) == (10, 25)
    for split in ("validation", "test"):
        mine, other = getattr(data, split), getattr(shorter, split)
        assert mine.x.shape[1:] == (25, 700)
        assert (mine.x[:, :10] == other.x).all()
        assert mine.x[:, 10:].any()
        assert (mine.y == other.y).all()
    assert (data.train.x == shorter.train.x).all()


def _of_events(steps: int) -> Recipe:
    layers = [
        {"type": "linear", "features": 30, "threshold": {"start": 2.0}},
        {"type": "linear", "features": 20, "threshold": {"start": 1.0}},
    ]
    network = {"steps": steps, "beta": "7/8", "slope": 1.0, "layers": layers}
    return Recipe.model_validate(
        {**SETTINGS, "data": SHD.model_dump(exclude_none=True), "network": network}
    )


def test_the_exported_network_has_the_test_samples_steps(tmp_path: Path) -> None:
    write_speech(tmp_path, 24, 4)
    data = load_dataset(SHD, tmp_path)
    trained = train(_of_events(25), data)
    assert trained.network is not None
    assert trained.network.steps == 25
    with pytest.raises(UsageError) as error:
        train(_of_events(10), data)
    assert (
        str(error.value)
        == "network.steps is 10, but the input has 25; set network.steps and data.test_steps to one number"
    )


def test_held_samples_take_no_test_steps() -> None:
    with pytest.raises(
        UsageError, match="^data.test_steps is 9, which data set digits does not take; remove it$"
    ):
        load_dataset(DataRecipe(name="digits", test_steps=9), None)


def test_float_beta_is_the_float_arm_s_alone() -> None:
    assert _net(0.0, beta="1/2", float_beta=0.3).layers[0].neurons.beta == 0.5
    assert _net(0.0, beta="1/2", float_beta=0.3, weights="float").layers[0].neurons.beta == 0.3
    assert _net(0.0, beta="1/2", weights="float").layers[0].neurons.beta == 0.5
