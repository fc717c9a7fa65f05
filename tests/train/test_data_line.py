"""Real recordings through the whole line: learned, exported, simulated, and no spike changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Lehr

DATA = os.environ.get("LEHR_DATA")
SHORT = {
    "nmnist": (
        "train.epochs=8",
        "finetune.epochs=1",
        "finetune.frozen_epochs=1",
        "network.layers.0.channels=6",
    ),
    "fsdd": (
        "train.epochs=8",
        "finetune.epochs=1",
        "finetune.frozen_epochs=1",
        "data.train_samples=1000",
    ),
}


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="LEHR_DATA names no folder with nmnist and fsdd-spikes")
@pytest.mark.parametrize("name", SHORT)
def test_integer_accuracy_is_equal_on_all_test_samples(
    lehr: Lehr, tmp_path: Path, name: str
) -> None:
    options = [part for override in SHORT[name] for part in ("--set", override)]
    trained = lehr("train", name, *options, "--data", DATA, "-o", tmp_path / "run", "--json")
    assert trained.code == 0, trained.err
    assert trained.facts["runs"][0]["accuracy"]["integer"] > 0.3  # 0.1 by chance
    exported = lehr("export", tmp_path / "run", "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    assert all(0 < rate < 1 for rate in exported["rates"].values())
    lehr("recipes", "samples", name, "--data", DATA, "-o", tmp_path / "in.npz")
    simulated = lehr("simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json").facts
    assert simulated["samples"] == {"nmnist": 100, "fsdd": 300}[name]
    assert simulated["accuracy"] == trained.facts["runs"][0]["accuracy"]["integer"]
