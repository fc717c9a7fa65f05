"""The paper's recipes: their values, and each from its files to an unchanged network."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from commands import Lehr
from recordings import write_gestures, write_speech

from lehr.atomic import write_bytes
from lehr.npz import npz_bytes
from lehr.train.data import load_dataset
from lehr.train.learning.loop import train
from lehr.train.recipe import nearest_dyadic
from lehr.train.recipefile import ARMS, bundled, load
from lehr.train.runs.saving import accuracies, save

DATA = os.environ.get("LEHR_DATA")
BETAS = {"mnist": 0.99, "fashion-mnist": 0.868, "dvs-gesture": 0.9297, "shd": 0.950}
PICTURES = ("mnist", "fashion-mnist", "mnist-deep", "fashion-mnist-deep")
EVENTS = {"dvs-gesture": 360, "shd": 333}
FAST = {"dvs-gesture-fast": 40, "shd-fast": 100}
SHORT = ("train.epochs=2", "finetune.epochs=1", "finetune.frozen_epochs=1", "data.test_samples=4")


@pytest.mark.parametrize("name", BETAS)
def test_beta_is_the_nearest_dyadic_and_the_float_arm_has_the_paper_s_own(name: str) -> None:
    recipe = load(name)
    assert recipe.network.decay == Fraction(str(recipe.network.beta)) == nearest_dyadic(BETAS[name])
    assert recipe.network.trained_beta(0) == float(nearest_dyadic(BETAS[name])) != BETAS[name]
    assert load(name, ARMS["float"]).network.trained_beta(0) == BETAS[name]
    assert recipe.finetune is not None


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_counted_as_in_the_paper_s_code(name: str) -> None:
    """By snnTorch's `ToCountFrame`; SHD's time 0 is at the first event there."""
    assert load(name).data.frames == "count"
    assert load(name).data.origin == ("first-event" if name == "shd" else "recording")


@pytest.mark.parametrize("name", BETAS)
def test_comments_are_copied_with_a_recipe(lehr: Lehr, tmp_path: Path, name: str) -> None:
    assert lehr("recipes", "copy", name, tmp_path / "mine.toml").code == 0
    text = (tmp_path / "mine.toml").read_text()
    assert text == bundled()[name].read_text()
    assert f"# the paper's is {BETAS[name]:g}".rstrip("0") in text


def _line(lehr: Lehr, folder: Path, name: str, source: Path, *overrides: str) -> None:
    """Train, export and simulate.

    Spikes flow in every layer, none differs, and the accuracy is the trained one.
    """
    recipe = load(name, (*SHORT, *overrides))
    data = load_dataset(recipe.data, source)
    data = replace(
        data, validation=data.validation.take(4)
    )  # of MNIST they are 5,000 samples, minutes an epoch
    trained = train(recipe, data)
    accuracy = accuracies(trained, data, recipe)
    save(folder / "run", recipe, trained, data, accuracy)
    exported = lehr("export", folder / "run", "-o", folder / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    fires = [
        name
        for name, layer in zip(exported["rates"], recipe.network.layers, strict=True)
        if layer.type != "integrator"
    ]
    assert fires
    assert all(0 < exported["rates"][name] < 1 for name in fires)
    write_bytes(folder / "in.npz", npz_bytes({"input": data.test.x, "labels": data.test.y}))
    simulated = lehr("simulate", folder / "model.nir", "-i", folder / "in.npz", "--json").facts
    assert simulated["samples"] == 4
    assert simulated["accuracy"] == accuracy["integer"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVENTS)
def test_event_recipes_run_to_the_end(lehr: Lehr, tmp_path: Path, name: str) -> None:
    (write_gestures if name == "dvs-gesture" else write_speech)(tmp_path, 24, 4)
    # so few batches of so few samples: thresholds stay where they start, and phase B hardly moves
    # them
    _line(lehr, tmp_path, name, tmp_path, "train.thresholds=start", "train.batch_size=8")
    facts = lehr("inspect", tmp_path / "model.nir", "--json").facts
    assert facts["steps"] == EVENTS[name]


@pytest.mark.parametrize("name", FAST)
def test_recipes_for_the_same_events_in_fewer_steps_run_to_the_end(
    lehr: Lehr, tmp_path: Path, name: str
) -> None:
    (write_gestures if name == "dvs-gesture-fast" else write_speech)(tmp_path, 24, 4)
    _line(lehr, tmp_path, name, tmp_path, "train.batch_size=8")
    facts = lehr("inspect", tmp_path / "model.nir", "--json").facts
    assert facts["steps"] == FAST[name]
    assert facts["readout"] == "membrane_sum_argmax_lowest"


@pytest.mark.slow
@pytest.mark.skipif(
    DATA is None, reason="LEHR_DATA names no folder with the official MNIST and Fashion-MNIST files"
)
@pytest.mark.parametrize("name", PICTURES)
def test_picture_recipes_run_to_the_end(lehr: Lehr, tmp_path: Path, name: str) -> None:
    # two of Fashion-MNIST's thresholds reach 'final' within 16 batches, before its weights can
    # follow: there they stay at 'start'
    held = ("train.thresholds=start",) if name == "fashion-mnist" else ()
    shorter = (
        "data.train_samples=64",
        "train.batch_size=16",
        "finetune.lr=1e-4",
        "finetune.threshold_lr=1e-4",
    )
    assert DATA is not None
    _line(lehr, tmp_path, name, Path(DATA), *shorter, *held)
