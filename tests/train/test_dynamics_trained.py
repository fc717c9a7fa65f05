"""A training with all keys of neurons by layer: it learns, resumes, and is exported exactly."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Lehr

from lehr import nirfile
from lehr.simulate import simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.learning.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml
from lehr.train.runs import progress as module
from lehr.train.runs.progress import Progress
from lehr.train.runs.running import train_run
from lehr.train.twin.network import trace

SETTINGS: dict[str, Any] = {
    "name": "neurons",
    "description": "neurons by layer, on digits",
    "seed": 3,
    "data": {
        "name": "digits",
        "encoding": "rate",
        "steps": 10,
        "train_samples": 400,
        "test_samples": 100,
    },
    "network": {
        "steps": 10,
        "slope": 2.0,
        "layers": [
            {
                "type": "linear",
                "features": 32,
                "recurrent": True,
                "batch_norm": True,
                "beta": {"start": "3/4", "learn": "channel"},
                "alpha": {"start": "1/2", "learn": "layer"},
                "adaptation": {"type": "threshold", "jump": 0.2, "beta": "7/8"},
                "threshold": {"start": 1.0, "schedule": "learned"},
            },
            {
                "type": "linear",
                "features": 10,
                "beta": {"start": "7/8", "learn": "layer", "bits": 6},
                "threshold": {"start": 3.0, "schedule": "learned"},
            },
        ],
    },
    "train": {"epochs": 3, "batch_size": 32, "lr": 1e-2, "objective": "cross-entropy"},
    "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 1e-3, "threshold_lr": 2e-3},
}
RECIPE = Recipe.model_validate(SETTINGS)


@cache
def data() -> Dataset:
    return load_dataset(RECIPE.data, None)


@cache
def trained() -> Trained:
    return train(RECIPE, data())


def test_it_learns_decays_and_thresholds_and_more_than_chance() -> None:
    outcome = trained()
    assert outcome.metrics[-1]["validation_accuracy"] > 0.5  # of ten classes
    assert not outcome.warnings
    hidden, output = outcome.model.layers
    beta = hidden.neurons.decays["beta"].detach().sigmoid()
    assert beta.shape == (32,)
    assert (beta - 0.75).abs().max() > 0.01
    assert beta.std() > 0
    assert abs(float(hidden.neurons.decays["alpha"].detach().sigmoid()) - 0.5) > 0.005
    assert abs(float(output.neurons.decays["beta"].detach().sigmoid()) - 7 / 8) > 1e-4
    for block, start in ((hidden, 1.0), (output, 3.0)):
        assert float(block.neurons.threshold.detach()) != start
    assert all(0 < rate < 1 for entry in outcome.metrics for rate in entry["rates"])


def test_the_metrics_have_the_decays_that_are_learned() -> None:
    """In phase A: they stay what they are in the integers, in phases B and C."""
    outcome = trained()
    entries = [entry["decays"] for entry in outcome.metrics if entry["phase"] == "A"]
    assert ["decays" in entry for entry in outcome.metrics] == [True] * 3 + [False] * 2
    for number, block in enumerate(outcome.model.layers, start=1):
        learned = entries[-1][f"layer {number}"]
        assert set(learned) == ({"beta", "alpha"} if number == 1 else {"beta"})
        for key, stated in learned.items():
            factors = 1 / (1 + np.exp(-block.neurons.decays[key].detach().double().numpy()))
            assert stated == pytest.approx(
                {"mean": factors.mean(), "spread": factors.std()}, abs=1e-6
            )
    first, last = (entry["layer 1"]["beta"] for entry in (entries[0], entries[-1]))
    assert 0 < first["spread"] < last["spread"]
    assert entries[0]["layer 2"]["beta"] != entries[-1]["layer 2"]["beta"]


def test_the_integers_have_the_decays_that_were_learned() -> None:
    outcome = trained()
    assert outcome.network is not None
    hidden, output = outcome.model.layers
    beta = hidden.neurons.decays["beta"].detach().sigmoid().numpy()
    lif1, lif2 = outcome.network.neurons["lif1"], outcome.network.neurons["lif2"]
    assert (lif1.parameters["beta"] == np.rint(beta * 256)).all()
    alpha = float(hidden.neurons.decays["alpha"].detach().sigmoid())
    [leak] = [line for line in repr(lif1.program).split("; ") if "leak i" in line]
    numerator, shift = (int(word) for word in leak.split()[-3:-1])
    assert numerator / 2**shift == round(alpha * 256) / 256
    assert (
        lif2.fields.beta == round(float(output.neurons.decays["beta"].detach().sigmoid()) * 64) / 64
    )
    assert set(outcome.network.feedback) & {("lif1", "back1"), ("back1", "lif1")}


class _Stop(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("after", [1, 4])
def test_a_run_that_was_stopped_ends_in_the_same_bits(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 1)  # every epoch is kept
    seen = []

    def report(entry: object) -> None:
        seen.append(entry)
        if len(seen) > after:
            raise _Stop

    with pytest.raises(_Stop):
        train(RECIPE, data(), report, Progress.open(tmp_path / "run", RECIPE, resume=False))
    kept = Progress.open(tmp_path / "run", RECIPE, resume=True)
    assert len(kept.metrics) == after
    resumed, whole = train(RECIPE, data(), progress=kept), trained()
    assert resumed.metrics == whole.metrics
    assert resumed.network == whole.network
    for name, mine in whole.model.state_dict().items():
        assert torch.equal(mine, resumed.model.state_dict()[name]), name


def test_the_run_is_exported_and_inspected(tmp_path: Path, lehr: Lehr) -> None:
    run = train_run(RECIPE, data(), tmp_path / "run")
    assert run.trained.metrics == trained().metrics
    exported = lehr("export", run.folder, "-o", tmp_path / "model.nir", "--json")
    assert exported.code == 0
    facts = json.loads(exported.out)
    assert (facts["spikes_differ"], facts["membranes_differ"]) == (0, 0)
    assert (
        "lif1: NIR has no neuron for its update, as its state a is no current that drives v and "
        "its threshold level changes; it is written as the nearest, CubaLIF, with its update "
        "exactly beside that"
    ) in facts["notes"]
    net = nirfile.read(tmp_path / "model.nir")
    assert net == run.trained.network
    shown = lehr("inspect", tmp_path / "model.nir")
    assert shown.code == 0
    for line in ("leak v multiply beta 8 toward_zero", "add a jump 0 times fired", "back1"):
        assert line in shown.out
    assert run.trained.twin is not None
    x = data().test.x[:20]
    expected = simulate(net, x, trace=net.neurons).trace
    for name, spikes in trace(run.trained.twin, x).spikes.items():
        assert (spikes == expected.spikes[name]).all()


def test_thresholds_that_are_learned_are_held_in_the_arm_start() -> None:
    held = RECIPE.model_copy(
        update={"train": RECIPE.train.model_copy(update={"thresholds": "start", "epochs": 1})}
    )
    outcome = train(held, data())
    assert [entry["thresholds"] for entry in outcome.metrics if entry["phase"] == "A"] == [[1, 3]]


def test_pruning_clamping_and_the_optimiser_see_recurrent_weights() -> None:
    options = {"prune": 0.5, "clamp": 0.05, "epochs": 1}
    settings = {**SETTINGS, "train": {**SETTINGS["train"], **options}}
    outcome = train(Recipe.model_validate(settings), data())
    weight = outcome.model.layers[0].weight.weight.detach()
    assert weight.shape == (32, 64 + 32)
    assert weight.abs().max() <= 0.05
    assert outcome.network is not None
    back = outcome.network.weighted["back1"]
    assert back.weight.shape == (32, 32)
    assert (back.kind, outcome.network.weighted["fc1"].kind) == ("ternary", "ternary")
    zeros = [(outcome.network.weighted[name].weight == 0).sum() for name in ("fc1", "back1")]
    assert sum(zeros) == int(0.5 * weight.numel())
    assert min(zeros) > 0


def test_recurrence_on_pixels_is_refused(lehr: Lehr, tmp_path: Path) -> None:
    layers = [{**SETTINGS["network"]["layers"][1], "recurrent": True}]
    settings = {**SETTINGS, "data": {"name": "digits"}}
    settings["network"] = {**SETTINGS["network"], "layers": layers}
    recipe = Recipe.model_validate(settings)
    file = tmp_path / "recipe.toml"
    file.write_bytes(to_toml(recipe))
    refused = lehr("train", file, "-o", tmp_path / "run")
    assert refused.code == 2
    assert (
        "network.layers.0.recurrent is true, but the layer takes pixels, to which spikes cannot be "
        "added; put a layer before it, or encode the pixels (data.encoding)" in refused.err
    )
