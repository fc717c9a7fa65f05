"""A quick training: a quarter of the epochs, and in every recipe thresholds that arrive in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import Lehr

from lehr.train.keys.threshold import Threshold
from lehr.train.keys.training import Cosine
from lehr.train.learning.anneal import UNTIL, Annealer
from lehr.train.learning.selection import ARRIVED, gone
from lehr.train.recipe import Recipe, Training
from lehr.train.recipefile import bundled, load
from lehr.train.runs.quick import BATCHES, arrival_batches, arrival_rate, quick

SAMPLES = {
    "digits": 1_197,
    "dvs-gesture": 988,
    "fashion-mnist": 55_000,
    "fsdd": 2_475,
    "japanese-vowels": 248,
    "mnist": 55_000,
    "nmnist": 55_000,
    "shd": 7_476,
    "temporal": 1,
}
"""Those that each data set trains on, all of it."""


def _samples(recipe: Recipe) -> int:
    return min(SAMPLES[recipe.data.name], recipe.data.train_samples or 1 << 30)


def _shares(recipe: Recipe, samples: int) -> list[float]:
    """How much of its way each threshold has gone when phase A ends, by its schedule alone."""
    schedules = recipe.network.annealed
    thresholds = [torch.tensor(schedule.start) for schedule in schedules]
    batches = recipe.train.epochs * -(-samples // recipe.train.batch_size)
    annealer = Annealer(thresholds, schedules, recipe.train, batches, outputs=None)
    for _ in range(batches):
        annealer.step([0.5] * len(thresholds))
    return [gone(float(now), schedule) for now, schedule in zip(thresholds, schedules, strict=True)]


@pytest.mark.parametrize("samples", [64, 1000, None])
@pytest.mark.parametrize("name", bundled())
def test_thresholds_of_every_recipe_arrive(name: str, samples: int | None) -> None:
    recipe = load(name)
    count = min(samples or 1 << 30, _samples(recipe))
    assert min(_shares(quick(recipe, count), count)) >= 1 - ARRIVED


def test_the_period_of_the_learning_rate_shrinks_as_phase_a_does() -> None:
    whole = load("digits", ('train.lr_schedule={ name = "cosine", period = 100 }',))
    faster = quick(whole, 1_197)
    schedule = faster.train.lr_schedule
    assert isinstance(schedule, Cosine)
    assert (whole.train.epochs, faster.train.epochs) == (24, 8)
    assert schedule.period == 33  # a third of it
    assert quick(load("digits"), 1_197).train.lr_schedule == "cosine"


def test_without_it_a_quarter_of_the_epochs_leaves_them_on_their_way() -> None:
    recipe = load("fashion-mnist-short", ("train.epochs=2",))
    assert max(_shares(recipe, 1000)) < 0.5


@pytest.mark.parametrize("name", bundled())
def test_all_phases_take_a_quarter_of_their_epochs(name: str) -> None:
    recipe = load(name)
    short, per_epoch = quick(recipe, _samples(recipe)), _samples(recipe) / recipe.train.batch_size
    assert short.train.epochs <= recipe.train.epochs
    assert short.train.epochs < recipe.train.epochs / 4 + 1 or (
        (short.train.epochs - 1) * per_epoch < BATCHES
    )
    if recipe.finetune is not None:
        assert short.finetune is not None
        assert short.finetune.epochs in (1, 2)
        assert short.finetune.frozen_epochs == 1
        assert short.finetune.lr == recipe.finetune.lr
    assert short.network.model_copy(update={"layers": recipe.network.layers}) == recipe.network
    assert Recipe.model_validate(short.model_dump()) == short


def _scaled(threshold: Threshold, epochs: int = 100, **train: object) -> Recipe:
    recipe = load("temporal", ("train.batch_size=1",))
    layers = [layer.model_copy(update={"threshold": threshold}) for layer in recipe.network.layers]
    network = recipe.network.model_copy(update={"layers": tuple(layers)})
    training = recipe.train.model_copy(update={"epochs": epochs, **train})
    return quick(recipe.model_copy(update={"network": network, "train": training}), 100)


@pytest.mark.parametrize(
    "threshold",
    [
        Threshold(start=3.0),
        Threshold(start=1.0, final=2.0, schedule="linear"),
        Threshold(start=1.0, final=2.0, schedule="step", stages=3),
        Threshold(start=1.0, final=2.0, rate=0.0),
        Threshold(start=1.0, final=2.0, rate=0.5),
    ],
)
def test_what_arrives_anyway_or_is_held_stays_as_it_is(threshold: Threshold) -> None:
    assert _scaled(threshold).network.annealed == (threshold, threshold)


def test_a_rate_controlled_threshold_grows_as_far_in_a_quarter_of_the_batches() -> None:
    grown = _scaled(Threshold(start=1.0, schedule="rate-controlled", rate=0.01)).network.annealed
    assert grown[0].rate is not None
    assert (1 + grown[0].rate) ** 25 == pytest.approx(1.01**100)


def test_patience_shrinks_with_the_epochs() -> None:
    assert _scaled(Threshold(start=3.0), patience=10).train.patience == 3
    assert _scaled(Threshold(start=3.0)).train.patience is None


@pytest.mark.parametrize("batches", [1, 7, 300])
def test_the_rate_that_arrives_is_the_least_one(batches: int) -> None:
    rate = arrival_rate(batches)
    assert (1 - rate) ** (UNTIL * batches) == pytest.approx(ARRIVED)
    assert arrival_batches(rate) == pytest.approx(batches)
    training = Training(epochs=1, batch_size=1, lr=1)
    threshold, schedule = torch.tensor(1.0), Threshold(start=1.0, final=2.0, rate=rate)
    annealer = Annealer([threshold], [schedule], training, batches, outputs=None)
    for _ in range(-(-batches // 2)):
        annealer.step([0.5])
    assert gone(float(threshold), schedule) >= 1 - ARRIVED - 1e-6


@pytest.mark.slow
def test_digits_learn_in_a_quarter_of_the_time(lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("train", "digits", "--quick", "-o", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    (run,) = ran.facts["runs"]
    assert [entry["phase"] for entry in run["metrics"]] == ["A"] * 8 + ["B"] * 2 + ["C"]
    assert run["accuracy"]["integer"] > 0.5
    assert run["warnings"] == ran.facts["warnings"] == []
    assert load(str(tmp_path / "run/recipe.toml")) == quick(load("digits"), SAMPLES["digits"])
