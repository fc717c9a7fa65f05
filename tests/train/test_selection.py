"""Which epoch goes on: the best on validation samples, once the thresholds have arrived.

When phase A stops early.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Lehr
from tiny import tiny_recipe, tiny_toml

from lehr.errors import UsageError
from lehr.export.checkpoint import load_run
from lehr.train.data import load_dataset
from lehr.train.keys.threshold import Threshold
from lehr.train.learning.loop import train
from lehr.train.learning.selection import arrived, chosen, stalled
from lehr.train.recipe import Recipe, Training
from lehr.train.recipefile import parse


def _entries(*epochs: tuple[str, bool, float]) -> list[dict[str, Any]]:
    return [
        {"phase": phase, "epoch": number, "candidate": candidate, "validation_accuracy": accuracy}
        for number, (phase, candidate, accuracy) in enumerate(epochs, start=1)
    ]


def test_the_best_candidate_is_chosen_the_earliest_at_ties() -> None:
    metrics = _entries(
        ("A", False, 0.9), ("A", True, 0.5), ("A", True, 0.7), ("A", True, 0.7), ("C", True, 0.8)
    )
    assert chosen(metrics, "A")["epoch"] == 3
    assert chosen(metrics, "C")["epoch"] == 5


def test_the_last_epoch_goes_on_where_there_is_no_candidate() -> None:
    assert chosen(_entries(("A", False, 0.9), ("A", False, 0.1)), "A")["epoch"] == 2


def test_patience_counts_candidates_after_the_best_one() -> None:
    metrics = _entries(("A", False, 0.9), ("A", False, 0.8), ("A", True, 0.5), ("A", True, 0.5))
    assert not stalled(metrics[:2], "A", 1)
    assert not stalled(metrics[:3], "A", 1)
    assert stalled(metrics, "A", 1)
    assert not stalled(metrics, "A", 2)
    assert not stalled(metrics, "A", None)
    assert not stalled(metrics, "C", 1)


@pytest.mark.parametrize(
    ("now", "schedule", "expected"),
    [
        (1.98, Threshold(start=1, final=2, rate=0.1), False),
        (1.991, Threshold(start=1, final=2, rate=0.1), True),
        (3.02, Threshold(start=5, final=3, schedule="linear"), True),
        (3.03, Threshold(start=5, final=3, schedule="linear"), False),
        (1.0, Threshold(start=1), True),
    ],
)
def test_a_threshold_has_arrived_when_a_hundredth_of_its_way_is_left(
    now: float, schedule: Threshold, expected: bool
) -> None:
    training = Training(epochs=1, batch_size=1, lr=1)
    held = Threshold(start=1)
    assert arrived([torch.tensor(1.0), torch.tensor(now)], [held, schedule], training) == expected
    assert arrived(
        [torch.tensor(now)], [schedule], training.model_copy(update={"thresholds": "start"})
    )


def _patient(**train: object) -> Recipe:
    fields = tiny_recipe().model_dump(mode="json", exclude_none=True)
    fields["train"] |= train
    return Recipe.model_validate(fields)


def test_no_epoch_counts_while_thresholds_are_raised() -> None:
    data = load_dataset(tiny_recipe().data, None)
    metrics = train(_patient(patience=1, epochs=4), data).metrics
    assert [entry["candidate"] for entry in metrics if entry["phase"] == "A"] == [
        False
    ] * 4  # 5 % a batch, 24 batches: 29 % are left


@pytest.mark.slow
def test_the_best_epoch_of_phase_a_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = tiny_recipe().model_dump(mode="json", exclude_none=True)
    for layer in fields["network"]["layers"]:
        layer["threshold"]["rate"] = 0.9
    fields["train"] |= {"epochs": 8, "patience": 1, "lr": 2e-2}
    recipe = Recipe.model_validate(fields)
    data = load_dataset(recipe.data, None)
    whole = train(recipe, data)
    best = chosen(whole.metrics, "A")
    of_a = [entry for entry in whole.metrics if entry["phase"] == "A"]
    assert best["epoch"] == of_a[-1]["epoch"] - 1 < 7
    assert best["validation_accuracy"] >= of_a[-1]["validation_accuracy"]
    # weights change in every epoch: those of the best one are what a run of as many epochs at the
    # same learning rates has
    from lehr.train.learning import loop

    monkeypatch.setattr(
        loop,
        "stalled",
        lambda metrics, phase, patience: phase == "A" and len(metrics) == best["epoch"],
    )
    assert (
        train(recipe, data).model.layers[0].weight.weight.equal(whole.model.layers[0].weight.weight)
    )


@pytest.fixture
def run(lehr: Lehr, tmp_path: Path) -> Path:
    """A run whose last epoch of phase C is not its best one."""
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    longer = ("--set", "finetune.frozen_epochs=4", "--set", "finetune.lr=3e-2")
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", *longer)
    assert ran.code == 0, ran.err
    assert (
        f"of phase C is the best on the validation samples; {tmp_path / 'run' / 'last'} holds the "
        "last one" in ran.out
    )
    return tmp_path / "run"


@pytest.mark.slow
def test_best_and_last_are_kept_and_either_is_exported(
    run: Path, lehr: Lehr, tmp_path: Path
) -> None:
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best, last = load_run(run), load_run(run / "last")
    assert best.facts["epochs"] == {"A": 3, "B": 1, "C": chosen(metrics, "C")["epoch"]}
    assert last.facts["epochs"] == {"A": 3, "B": 1, "C": 4}
    assert best.facts["epochs"]["C"] < 4
    assert best.network != last.network
    for folder in (run, run / "last"):
        exported = lehr("export", folder, "-o", tmp_path / "model.nir", "--json").facts
        assert exported["network"] == load_run(folder).network.digest
        assert exported["spikes_differ"] == exported["membranes_differ"] == 0
        assert all(0 < rate < 1 for rate in exported["rates"].values())
        lehr("recipes", "samples", tmp_path / "tiny.toml", "-o", tmp_path / "in.npz")
        accuracy = lehr(
            "simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json"
        ).facts["accuracy"]
        assert accuracy == load_run(folder).facts["accuracy"]["integer"]


def test_patience_needs_thresholds_that_arrive() -> None:
    override = (
        "train.patience=3",
        'network.layers.1.threshold={start=1.0,schedule="rate-controlled"}',
    )
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", override)
    assert (
        "train.patience counts epochs from when the thresholds have arrived, but "
        "network.layers.1.threshold is rate-" in str(error.value)
    )
    assert "controlled without a 'final'; give it one, or leave out patience" in str(error.value)
