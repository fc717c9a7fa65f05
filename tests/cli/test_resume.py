"""An interrupted run goes on to the same bits.

It is killed at any moment, and stopped after every single epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from tiny import tiny_recipe

from lehr.errors import FileRefused, LehrError
from lehr.sums import with_sums
from lehr.train.data import load_dataset
from lehr.train.learning.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.runs import progress as module
from lehr.train.runs.pace import epochs
from lehr.train.runs.progress import Progress, progress_folder


def _same(run: Path, expected: Path) -> None:
    files = [file for file in expected.rglob("*") if file.is_file()]
    assert len(files) == 10
    for file in files:
        assert file.read_bytes() == (run / file.relative_to(expected)).read_bytes(), file.name


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_killed_at_any_moment(line: Path, lehr: Lehr, tmp_path: Path, delay: float) -> None:
    run = tmp_path / "run"
    command = ("train", line / "tiny.toml", "-o", run)
    with subprocess.Popen(
        [sys.executable, "-m", "lehr", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        while not (progress_folder(run) / "progress.json").exists() and started.poll() is None:
            time.sleep(0.01)
        time.sleep(delay)
        os.kill(started.pid, signal.SIGKILL)
    if not run.exists():  # it was killed before it had finished
        assert lehr(*command).code == 2
    ran = lehr(*command, "--resume")
    assert ran.code == 0, ran.err
    _same(run, line / "run")
    assert not progress_folder(run).exists()


class _Stop(LehrError):
    """Stands for whatever ends a process."""


def _scheduled(schedule: str) -> Recipe:
    """Return the tiny recipe with another schedule in its first layer, or with `options`.

    `options` are dropout, limits, early stopping and a longer phase C; `delays` learn for two of
    three epochs.
    """
    settings = tiny_recipe().model_dump(mode="json", exclude_none=True)
    if schedule == "delays":
        settings["data"] |= {"encoding": "rate", "steps": 8}
        settings["network"] |= {"steps": 8, "beta": "7/8"}
        for layer in settings["network"]["layers"]:
            layer["delay"] = {"max": 3, "until": 0.6}
        return Recipe.model_validate(settings)
    if schedule == "options":
        for layer in settings["network"]["layers"]:
            layer["threshold"]["rate"] = 0.9
            layer["dropout"] = 0.2
        settings["train"] |= {"epochs": 6, "patience": 1, "clip": 1.0, "clamp": 0.1, "lr": 2e-2}
        settings["finetune"]["frozen_epochs"] = 3
        return Recipe.model_validate(settings)
    rate = {"rate": 0.05} if schedule == "exponential" else {}
    settings["network"]["layers"][0]["threshold"] = {
        "start": 0.5,
        "final": 1.0,
        "schedule": schedule,
        **rate,
    }
    settings["train"]["cycles"] = 2 if schedule == "restarts" else 1
    return Recipe.model_validate(settings)


@cache
def _whole(schedule: str) -> Trained:
    """Return the run that nothing stops."""
    recipe = _scheduled(schedule)
    return train(recipe, load_dataset(recipe.data, None))


STOPS = [("exponential", epoch) for epoch in range(1, sum(epochs(tiny_recipe()).values()) + 1)] + [
    ("linear", 2),
    ("restarts", 2),
    ("rate-controlled", 2),
]
STOPS += [("options", epoch) for epoch in range(1, 8)]
STOPS += [("delays", epoch) for epoch in range(1, 5)]


@pytest.mark.slow
@pytest.mark.parametrize(("schedule", "after"), STOPS)
def test_stopped_after_any_epoch(
    tmp_path: Path, after: int, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 1)
    recipe, folder = _scheduled(schedule), tmp_path / "run.unfinished"
    data = load_dataset(recipe.data, None)
    seen = []

    def report(entry: object) -> None:
        seen.append(entry)
        if len(seen) > after:
            raise _Stop

    with pytest.raises(_Stop) if after < sum(epochs(recipe).values()) else nullcontext():
        train(recipe, data, report, Progress.open(folder, recipe, resume=False))
    kept = Progress.open(folder, recipe, resume=True)
    assert len(kept.metrics) == after
    resumed, whole = train(recipe, data, progress=kept), _whole(schedule)
    assert len(whole.metrics) == sum(epochs(recipe).values()) or schedule == "options"
    assert resumed.metrics == whole.metrics
    assert resumed.network == whole.network
    assert resumed.twin is not None
    assert whole.twin is not None
    for one, other in ((whole.twin, resumed.twin), (whole.last, resumed.last)):
        assert one is not None
        assert other is not None
        for name, weight in one.weights.items():
            assert weight.equal(other.weights[name])
    for mine, other in zip(
        whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True
    ):
        assert mine.equal(other)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1e-9, 1e-3, 0.5])
def test_where_writing_takes_long_only_some_epochs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(module, "SHARE", share)
    recipe, folder = tiny_recipe(), tmp_path / "run.unfinished"
    data = load_dataset(recipe.data, None)
    whole = train(recipe, data, progress=Progress.open(folder, recipe, resume=False))
    kept = Progress.open(folder, recipe, resume=True)
    if share == 1e-9:  # the next writing would be years away
        assert (kept.phase, kept.epoch) == ("A", 1)
    resumed = train(recipe, data, progress=kept)
    assert resumed.metrics == whole.metrics
    assert resumed.network == whole.network


@pytest.fixture
def unfinished(line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run that stopped when its first epoch was kept."""
    right = module.Progress.keep

    def keep(self: Progress, *arguments: object) -> None:
        right(self, *arguments)  # type: ignore[arg-type]
        raise _Stop

    with monkeypatch.context() as patch:
        patch.setattr(module.Progress, "keep", keep)
        recipe = tiny_recipe()
        with pytest.raises(_Stop):
            train(
                recipe,
                load_dataset(recipe.data, None),
                progress=Progress.open(tmp_path / "run.unfinished", recipe, resume=False),
            )
    return tmp_path / "run"


def test_progress_is_not_lost_by_forgetting_to_resume(
    unfinished: Path, line: Path, lehr: Lehr
) -> None:
    ran = lehr("train", line / "tiny.toml", "-o", unfinished)
    assert ran.code == 2
    assert (
        "run.unfinished holds epoch 1 of phase A of an unfinished run; add --resume to go on, or "
        "remove it" in ran.err
    )
    assert progress_folder(unfinished).is_dir()


def test_another_recipe_is_refused(unfinished: Path, line: Path, lehr: Lehr) -> None:
    ran = lehr("train", line / "tiny.toml", "-o", unfinished, "--set", "train.lr=1e-4", "--resume")
    assert ran.code == 2
    assert "was trained with another recipe; resume it with its own" in ran.err


@pytest.mark.parametrize("name", ["progress.json", "progress.safetensors"])
@pytest.mark.parametrize("keep", [0, 7, 100])
def test_damaged_progress_is_refused(
    unfinished: Path, line: Path, lehr: Lehr, name: str, keep: int
) -> None:
    path = progress_folder(unfinished) / name
    path.write_bytes(path.read_bytes()[:keep])
    ran = lehr("train", line / "tiny.toml", "-o", unfinished, "--resume")
    assert ran.code == 5
    assert "run.unfinished is damaged" in ran.err
    assert "remove it and train anew" in ran.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("phase", "Z"),
        ("epoch", "many"),
        ("optimizer", []),
        ("metrics", []),
        ("shuffle", {"state": 1}),
        ("schema", 2),
    ],
)
def test_progress_that_makes_no_sense_is_refused(
    unfinished: Path, line: Path, lehr: Lehr, key: str, value: object
) -> None:
    _state(progress_folder(unfinished), {key: value})
    ran = lehr("train", line / "tiny.toml", "-o", unfinished, "--resume")
    assert ran.code == 5, ran.err
    assert "run.unfinished is damaged" in ran.err


def _state(folder: Path, change: dict[str, object]) -> None:
    """Change the content of progress.json, and state the sums of the new content."""
    state = {**json.loads((folder / "progress.json").read_bytes()), **change}
    state.pop("sha256", None)
    files = {name: (folder / name).read_bytes() for name in ("progress.safetensors", "recipe.toml")}
    (folder / "progress.json").write_bytes(
        with_sums("progress.json", state, files)["progress.json"]
    )


@pytest.mark.parametrize("name", ["progress.json", "progress.safetensors", "recipe.toml"])
def test_every_flipped_bit_of_progress_is_seen(unfinished: Path, name: str) -> None:
    folder, recipe = progress_folder(unfinished), tiny_recipe()
    whole = (folder / name).read_bytes()
    sums = json.loads((folder / "progress.json").read_bytes())["sha256"]
    assert name == "progress.json" or sums[name] == hashlib.sha256(whole).hexdigest()
    rng = np.random.default_rng(len(whole))
    for at in rng.integers(0, len(whole), 60):
        (folder / name).write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :]
        )
        with pytest.raises(FileRefused, match=r"run\.unfinished is damaged \("):
            Progress.open(folder, recipe, resume=True)
    (folder / name).write_bytes(whole)
    assert Progress.open(folder, recipe, resume=True).epoch == 1


def test_progress_of_an_older_lehr_is_named(unfinished: Path, line: Path, lehr: Lehr) -> None:
    path = progress_folder(unfinished) / "progress.json"
    state = json.loads(path.read_bytes())
    del state["sha256"]
    path.write_text(json.dumps({**state, "schema": "lehr-progress/2"}))
    ran = lehr("train", line / "tiny.toml", "-o", unfinished, "--resume")
    assert ran.code == 5
    message = "run.unfinished is an older lehr's (lehr-progress/2) and states no sha256; go on with that lehr, or remove it"
    assert message in ran.err


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, line: Path, lehr: Lehr) -> None:
    (tmp_path / "run.unfinished").mkdir()
    ran = lehr("train", line / "tiny.toml", "-o", tmp_path / "run", "--resume")
    assert ran.code == 2
    assert (
        "is not the progress of a run (no progress.json); choose another output folder or remove it"
        in ran.err
    )


def test_a_finished_run_stays_until_the_next_one_is_finished(
    unfinished: Path, line: Path, lehr: Lehr
) -> None:
    shutil.copytree(line / "run", unfinished)
    (unfinished / "metrics.jsonl").write_text("")
    assert lehr("train", line / "tiny.toml", "-o", unfinished, "--resume").code == 0
    _same(unfinished, line / "run")
