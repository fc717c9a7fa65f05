"""Studies: trials that are shared out, interrupted, killed, pruned and refused.

Trials are stood in for by a function of their values, through the one function that runs them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import forked
from tiny import tiny_toml

pytest.importorskip("optuna")

import optuna

from lehr.errors import FileRefused, UsageError
from lehr.searches import FILE, HIGH, Searched, Trial, read_search
from lehr.train.keys.search import Search
from lehr.train.recipefile import parse
from lehr.train.runs.progress import progress_folder
from lehr.train.search import study as module
from lehr.train.search.setting import Setting
from lehr.train.search.storage import default_url
from lehr.train.search.study import Watch, search
from lehr.train.search.trial import Job, Outcome

Report = Callable[[dict[str, Any]], None]
SPACE: dict[str, Any] = {
    "objectives": ["accuracy", "spikes"],
    "trials": 14,
    "keys": {
        "train.lr": {"low": 1e-3, "high": 1e-1, "log": True},
        "network.layers.0.channels": {"low": 2, "high": 32},
        "network.beta": {"choices": ["1/2", "3/4", "7/8"]},
    },
}


def setting(**changes: Any) -> Setting:
    return Setting(tiny_toml(), "tiny.toml", (), Search.model_validate({**SPACE, **changes}))


def stand_in(job: Job, folder: Path, report: Report = lambda _: None) -> Outcome:
    """Measure by the values alone: the optimum of one objective is not that of the other."""
    recipe = parse(job.recipe, "job")
    channels = recipe.network.layers[0].model_dump()["channels"]
    accuracy = 0.9 - (np.log10(recipe.train.lr) + 2) ** 2 / 9 - 1 / channels
    spikes = channels * (2.0 if recipe.network.beta == "7/8" else 1.0) + recipe.train.lr
    return Outcome({"accuracy": float(accuracy), "spikes": float(spikes), "operations": 1.0})


@contextmanager
def silent(trial: Trial, job: Job) -> Iterator[Report]:
    yield lambda _: None


WATCH = Watch(silent, lambda _: None)


@pytest.fixture(autouse=True)
def _stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_trial", stand_in)
    monkeypatch.setattr(Setting, "require", lambda _: None)


def run(folder: Path, this: Setting, url: str | None = None) -> Searched:
    return search(this, folder, url, WATCH)


@pytest.mark.few(1)
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_front_is_that_of_optuna_and_of_all_pairs(tmp_path: Path, sampler: str) -> None:
    searched = run(tmp_path / "s", setting(sampler=sampler))
    assert [trial.number for trial in searched.trials] == [*range(14)]
    assert searched == read_search(tmp_path / "s")
    study = optuna.load_study(study_name="s", storage=default_url(tmp_path / "s"))
    front = [trial.number for trial in searched.front]
    assert sorted(front) == sorted(trial.number for trial in study.best_trials)
    values = np.array([[-t.measures["accuracy"], t.measures["spikes"]] for t in searched.trials])
    beaten = [((values <= v).all(1) & (values < v).any(1)).any() for v in values]
    assert sorted(front) == [*np.flatnonzero(~np.array(beaten))]
    assert 1 < len(front) < 14
    first = [trial.measures["accuracy"] for trial in searched.front]
    assert first == sorted(first, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_an_interrupted_search_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    this = setting(sampler=sampler, trials=13)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    run(tmp_path / "whole" / "s", this)
    calls = 0

    def interrupted(job: Job, folder: Path, report: Report) -> Outcome:
        nonlocal calls
        calls += 1
        if calls % 3 == 2:
            raise KeyboardInterrupt
        return stand_in(job, folder)

    monkeypatch.setattr(module, "run_trial", interrupted)
    stops = 0
    while True:
        try:
            run(tmp_path / "parts" / "s", this)
        except KeyboardInterrupt:
            stops += 1
            continue
        break
    assert stops >= 6
    parts, whole = (tmp_path / name / "s" for name in ("parts", "whole"))
    assert (parts / FILE).read_bytes() == (whole / FILE).read_bytes()
    assert not list(parts.glob("trial-*.lock"))
    monkeypatch.setattr(module, "run_trial", stand_in)
    other = run(tmp_path / "other", setting(sampler=sampler, trials=2, seed=1))
    assert other.trials != read_search(whole).trials[:2]


def test_a_killed_process_s_trial_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this, seen = setting(trials=3), tmp_path / "seen"

    def waits(job: Job, folder: Path, report: Report) -> Outcome:
        if folder.name == "trial-0001":
            seen.touch()
            time.sleep(60)
        return stand_in(job, folder)

    monkeypatch.setattr(module, "run_trial", waits)
    child = forked(lambda: run(tmp_path / "s", this))
    while not seen.exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    states = [trial.state for trial in read_search(tmp_path / "s").trials]
    assert states[0] == "finished"
    monkeypatch.setattr(module, "run_trial", stand_in)
    searched = run(tmp_path / "s", this)
    assert [(t.number, t.state) for t in searched.trials] == [(n, "finished") for n in range(3)]
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole" / "s", this) == searched


@pytest.mark.slow
def test_processes_share_a_search_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(job: Job, folder: Path, report: Report) -> Outcome:
        (tmp_path / f"{folder.name}.{os.getpid()}").touch()
        time.sleep(0.05)
        return stand_in(job, folder)

    monkeypatch.setattr(module, "run_trial", slow)
    this = setting(trials=6)
    children = [forked(lambda: run(tmp_path / "s", this)) for _ in range(2)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    searched = read_search(tmp_path / "s")
    assert [(t.number, t.state) for t in searched.trials] == [(n, "finished") for n in range(6)]
    ran = [path.name.partition(".") for path in tmp_path.glob("trial-*.*")]
    assert sorted(name for name, _, _ in ran) == [t.folder for t in searched.trials]
    assert len({process for _, _, process in ran}) == 2
    keys = [str(trial.keys) for trial in searched.trials]
    assert len(set(keys)) == 6  # no trial was drawn twice


def test_a_trial_that_falls_behind_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def epochs(job: Job, folder: Path, report: Report) -> Outcome:
        number = int(folder.name[-4:])
        progress_folder(folder).mkdir()
        for epoch in (1, 2, 3):
            shown.append(number)
            worse = number >= 5 and number % 2
            report({"phase": "A", "epoch": epoch, "validation_accuracy": 0.1 if worse else 0.5})
        report({"phase": "B", "epoch": 1, "validation_accuracy": 0.0})  # no pruner's business
        progress_folder(folder).rmdir()
        return stand_in(job, folder)

    monkeypatch.setattr(module, "run_trial", epochs)
    this = setting(objectives=["accuracy"], pruner="median", trials=9)
    searched = run(tmp_path / "s", this)
    states = [trial.state for trial in searched.trials]
    assert states == [*["finished"] * 5, "pruned", "finished", "pruned", "finished"]
    assert shown.count(5) == shown.count(7) == 1
    assert shown.count(8) == 3
    assert not list((tmp_path / "s").glob("*.unfinished"))
    assert {trial.number for trial in searched.front} <= {0, 1, 2, 3, 4, 6, 8}


def test_refusals_violate_and_are_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a target, whose figures the objectives may need, and by training."""

    def refusing(job: Job, folder: Path, report: Report) -> Outcome:
        number = int(folder.name[-4:])
        outcome = stand_in(job, folder)
        assert job.builds["fpga"].options == {"device": "up5k"}
        if number == 2:
            return Outcome(refused={"training": "the output fired no spike"})
        if number % 2:
            return Outcome(outcome.measures, {"fpga": "does not fit up5k"})
        return Outcome({**outcome.measures, "fpga.clocks": float(number)})

    monkeypatch.setattr(module, "run_trial", refusing)
    builds = {"fpga": {"options": {"device": "up5k"}}}
    for objectives in (["accuracy", "fpga.clocks"], ["accuracy"]):
        name = f"s{len(objectives)}"
        searched = run(tmp_path / name, setting(objectives=objectives, builds=builds, trials=6))
        states = [trial.state for trial in searched.trials]
        assert states == ["finished", "refused", "refused", "refused", "finished", "refused"]
        assert searched.trials[1].refused == {"fpga": "does not fit up5k"}
        assert {trial.number for trial in searched.front} <= {0, 4}
        study = optuna.load_study(study_name=name, storage=default_url(tmp_path / name))
        violated = [trial.constraints for trial in study.trials]
        assert violated[0] == {"training": 0.0, "fpga": 0.0}
        assert violated[1] == {"training": 0.0, "fpga": 1.0}
        assert violated[2] == {"training": 1.0, "fpga": 0.0}
        assert {t.number for t in study.best_trials} == {t.number for t in searched.front}


def test_more_trials_may_be_asked_for_later(tmp_path: Path) -> None:
    few = run(tmp_path / "s", setting(trials=3))
    more = run(tmp_path / "s", setting(trials=5))
    assert more.trials[:3] == few.trials
    assert len(more.trials) == 5
    assert run(tmp_path / "s", setting(trials=2)) == more


def test_a_study_of_another_recipe_or_space_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "s", setting(trials=1))
    before = (tmp_path / "s" / FILE).read_bytes()
    with pytest.raises(UsageError, match="study s in sqlite:.* is of another recipe or space; "):
        run(tmp_path / "s", setting(trials=1, seed=3))
    foreign = optuna.create_study(study_name="mine", storage=f"sqlite:///{tmp_path}/mine.db")
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(UsageError, match="study mine in sqlite:.* is of another recipe or space"):
        run(tmp_path / "mine", setting(trials=1), f"sqlite:///{tmp_path}/mine.db")
    assert (tmp_path / "s" / FILE).read_bytes() == before


def test_a_folder_keeps_to_its_storage_and_holds_nothing_else(tmp_path: Path) -> None:
    run(tmp_path / "s", setting(trials=1), f"sqlite:///{tmp_path}/shared.db")
    with pytest.raises(UsageError, match="holds a search whose study is in sqlite:///.*shared.db"):
        run(tmp_path / "s", setting(trials=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="mine holds something else than a search; choose another"):
        run(tmp_path / "mine", setting(trials=1))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "lehr-search/9"}, "its schema is not 'lehr-search/1'"),
        ({"objectives": []}, "it has no objective"),
        ({"seed": "0"}, "its seed is no number"),
        ({"trials": [{"number": 0}]}, "missing"),
        ({"extra": 1}, "unexpected keyword"),
    ],
)
def test_a_damaged_search_is_refused(
    tmp_path: Path, change: Mapping[str, Any], reason: str
) -> None:
    run(tmp_path / "s", setting(trials=1))
    state = json.loads((tmp_path / "s" / FILE).read_bytes())
    (tmp_path / "s" / FILE).write_text(json.dumps({**state, **change}))
    with pytest.raises(FileRefused, match="is no search as lehr writes it") as refused:
        read_search(tmp_path / "s")
    assert reason in str(refused.value)


def test_high_measures_are_the_objectives_that_optuna_maximizes(tmp_path: Path) -> None:
    run(tmp_path / "s", setting(trials=1))
    study = optuna.load_study(study_name="s", storage=default_url(tmp_path / "s"))
    directions = [direction.name for direction in study.directions]
    assert directions == ["MAXIMIZE", "MINIMIZE"]
    assert [name in HIGH for name in SPACE["objectives"]] == [True, False]
