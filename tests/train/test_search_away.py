"""Searches at workers find the same whoever is quicker, and whenever they are interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

import numpy as np
import pytest
from tiny import tiny_toml

pytest.importorskip("optuna")

from lehr.searches import FILE
from lehr.train.keys.search import Search
from lehr.train.learning.loop import Report
from lehr.train.recipefile import parse
from lehr.train.search import away, sampling
from lehr.train.search import study as module
from lehr.train.search.setting import Setting
from lehr.train.search.study import Watch, search
from lehr.train.search.trial import Job, Outcome
from lehr.workers.work import Done, Event, Lost, News, Parcel, Send, Task

SPACE: dict[str, Any] = {
    "objectives": ["accuracy", "spikes"],
    "trials": 13,
    "keys": {
        "train.lr": {"low": 1e-3, "high": 1e-1, "log": True},
        "network.layers.0.channels": {"low": 2, "high": 32},
        "network.beta": {"choices": ["1/2", "3/4", "7/8", "9/8"]},  # the last is no recipe
    },
}


class Shuffled:
    """Workers in this process, of which any may be the next that ends, or is lost."""

    here, cores = True, 1

    def __init__(self, size: int, random: Random, interrupts: float = 0) -> None:
        self.size, self._random, self._interrupts = size, random, interrupts
        self._running: dict[int, Task] = {}
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()

    def start(self, number: int, task: Task) -> None:
        assert len(self._running) < self.size
        self._running[number] = task

    def wait(self) -> Event:
        if not self._events:
            if self._random.random() < self._interrupts:
                raise KeyboardInterrupt
            number = self._random.choice(list(self._running))
            task = self._running.pop(number)
            if self._random.random() < 0.1:
                return Lost(number, "here", "chance")
            news: list[Event] = []
            result = task.work(
                task.own(), task.shared, lambda each: news.append(News(number, "here", each))
            )
            self._events = [*news, Done(number, "here", result)]
        return self._events.pop(0)

    def stop(self, number: int) -> None:
        self._events.clear()


def outcome(job: Job) -> Outcome:
    """Measure by the values alone."""
    recipe = parse(job.recipe, "job")
    channels = recipe.network.layers[0].model_dump()["channels"]
    accuracy = 0.9 - (np.log10(recipe.train.lr) + 2) ** 2 / 9 - 1 / channels
    spikes = channels * (2.0 if recipe.network.beta == "7/8" else 1.0) + recipe.train.lr
    return Outcome({"accuracy": float(accuracy), "spikes": float(spikes), "operations": 1.0})


def trial_at(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    assert shared.arrays["train.x"].shape[0] == 192
    done = outcome(Job(own.facts["recipe"], None, {}))
    return Parcel({"measures": dict(done.measures), "refused": {}})


@contextmanager
def silent(*_: object) -> Iterator[Report]:
    yield lambda _: None


@pytest.fixture(autouse=True)
def _stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(away, "trial_at", trial_at)
    monkeypatch.setattr(module, "run_trial", lambda job, *_: outcome(job))
    monkeypatch.setattr(sampling, "POPULATION", 4)  # of several generations
    monkeypatch.setattr(Setting, "require", lambda _: None)


def found(folder: Path, workers: Shuffled | None, **changes: Any) -> bytes:
    """Return what is found by all trials; the search goes on as often as it is interrupted."""
    folder.mkdir(exist_ok=True)
    setting = Setting(tiny_toml(), "tiny.toml", (), Search.model_validate({**SPACE, **changes}))
    ended: list[int] = []
    while True:
        try:
            watch = Watch(silent, lambda trial: ended.append(trial.number))
            searched = search(setting, folder / "s", None, watch, workers)
        except KeyboardInterrupt:
            assert workers is not None
            workers._running.clear()
            workers._events.clear()
            continue
        break
    assert len(searched.trials) == 13
    assert len(set(ended)) == len(ended)  # none is told of twice
    assert [each.name for each in (folder / "s").glob("*.lock")] == ["search.lock"]
    return (folder / "s" / FILE).read_bytes()


@pytest.mark.few(1)
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_whoever_is_quicker_the_same_is_found(tmp_path: Path, sampler: str) -> None:
    first, second = (
        found(tmp_path / str(seed), Shuffled(3, Random(seed)), sampler=sampler) for seed in range(2)
    )
    assert first == second
    assert b"refused" in first
    alone = found(tmp_path / "alone", None, sampler=sampler)
    assert (alone == first) == (sampler == "random")


@pytest.mark.few(1)
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_an_interrupted_search_goes_on_to_the_same_bytes(tmp_path: Path, sampler: str) -> None:
    whole = found(tmp_path / "whole", Shuffled(2, Random(0)), sampler=sampler)
    parts = found(tmp_path / "parts", Shuffled(2, Random(1), interrupts=0.5), sampler=sampler)
    assert whole == parts
