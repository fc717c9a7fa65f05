"""A run that uses many options at once goes on to the same bits, stopped or killed anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import Lehr
from stopping import stopped_and_resumed
from tiny import SETTINGS

from lehr.simulate import simulate
from lehr.train.data import load_dataset
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml
from lehr.train.runs import progress as module
from lehr.train.runs.progress import progress_folder
from lehr.train.runs.running import train_run

DATA = {**SETTINGS["data"], "encoding": "rate", "steps": 6}
HEAD = {"type": "integrator", "features": 10, "bias": True, "readout": "every"}


def plain() -> Recipe:
    return Recipe.model_validate({**SETTINGS, "data": DATA})


def together(other: Path) -> Recipe:
    """AdamW, warm-up, smoothing, a penalty, a teacher, weights of before, changed events."""
    training: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 32,
        "lr": 5e-3,
        "optimizer": "adamw",
        "weight_decay": 0.05,
        "warmup": 0.3,
        "objective": "cross-entropy",
        "label_smoothing": 0.1,
        "rate_penalty": {"target": 0.1},
        "teacher": {"run": str(other), "share": 0.3},
        "init_from": {"run": str(other), "layers": [0, 1]},
        "augment": {"shift": 1, "drop": 0.1, "drop_steps": 1, "shift_steps": 1, "mix": 0.5},
    }
    network = {**SETTINGS["network"], "layers": [*SETTINGS["network"]["layers"][:2], HEAD]}
    return Recipe.model_validate({**SETTINGS, "data": DATA, "network": network, "train": training})


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("other") / "run"
    train_run(plain(), load_dataset(plain().data, None), run)
    return run


def test_stopped_in_every_phase(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 1)
    recipe = together(other)
    data = load_dataset(recipe.data, None)
    whole = train(recipe, data)
    assert whole.network is not None
    rates = simulate(whole.network, data.test.x).rates
    assert all(0 < rate < 1 for name, rate in rates.items() if name != "li3")
    for after in (1, 2, 4):
        folder = tmp_path / f"{after}.unfinished"
        resumed = stopped_and_resumed(recipe, data, folder, after)
        assert resumed.metrics == whole.metrics
        assert resumed.network == whole.network
        assert resumed.twin is not None
        assert whole.twin is not None
        for name, weight in whole.twin.weights.items():
            assert weight.equal(resumed.twin.weights[name])


@pytest.mark.slow
def test_killed(other: Path, lehr: Lehr, tmp_path: Path) -> None:
    recipe = tmp_path / "together.toml"
    recipe.write_bytes(to_toml(together(other)))
    assert lehr("train", recipe, "-o", tmp_path / "whole").code == 0
    run = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-m", "lehr", "train", recipe, "-o", run],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        while not (progress_folder(run) / "progress.json").exists() and started.poll() is None:
            time.sleep(0.01)
        os.kill(started.pid, signal.SIGKILL)
    assert not run.exists()  # it had not finished
    ran = lehr("train", recipe, "-o", run, "--resume")
    assert ran.code == 0, ran.err
    files = [file for file in (tmp_path / "whole").rglob("*") if file.is_file()]
    assert len(files) == 10
    for file in files:
        same = run / file.relative_to(tmp_path / "whole")
        assert file.read_bytes() == same.read_bytes(), file.name
