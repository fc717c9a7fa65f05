"""Official Fashion-MNIST files: training reports the accuracy that the simulator has.

It is taken on all 10,000 test images.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Lehr

DATA = os.environ.get("LEHR_DATA")


@pytest.mark.slow
@pytest.mark.skipif(
    DATA is None, reason="LEHR_DATA names no folder with the official Fashion-MNIST files"
)
def test_integer_accuracy_is_equal_on_all_test_images(lehr: Lehr, tmp_path: Path) -> None:
    short = ("--set", "data.train_samples=2000", "--set", "train.epochs=3", "--data", DATA)
    trained = lehr("train", "fashion-mnist-short", *short, "-o", tmp_path / "run", "--json")
    assert trained.code == 0, trained.err
    exported = lehr("export", tmp_path / "run", "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    assert all(0 < rate < 1 for rate in exported["rates"].values())
    assert (
        lehr(
            "recipes",
            "samples",
            "fashion-mnist-short",
            "--data",
            DATA,
            "-o",
            tmp_path / "in.npz",
            "--json",
        ).facts["samples"]
        == 10_000
    )
    simulated = lehr("simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json").facts
    assert simulated["samples"] == 10_000
    assert simulated["accuracy"] == trained.facts["runs"][0]["accuracy"]["integer"]
