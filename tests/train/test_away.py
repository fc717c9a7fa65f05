"""Runs that are trained at workers are the runs of one process, byte for byte, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from processes import Children
from tiny import tiny_recipe

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.data.sent import dataset_of, parcel_of
from lehr.train.recipe import Recipe
from lehr.train.runs.progress import progress_folder
from lehr.train.runs.running import kept_progress
from lehr.train.runs.several import Training, trained_each
from lehr.workers.processes import Processes

Report = Callable[[dict[str, Any]], None]
SEEDS = (5, 6)
DATA = load_dataset(tiny_recipe().data, None)


def recipe(seed: int, **changes: Any) -> Recipe:
    """Return a recipe."""
    settings = tiny_recipe().model_dump()
    settings["train"] |= {"epochs": 4, **changes}
    return Recipe.model_validate({**settings, "seed": seed})


def trainings(
    folder: Path, report: Callable[[int, dict[str, Any]], None], **changes: Any
) -> list[Training]:
    """Return two trainings, which go on where they were interrupted."""
    folder.mkdir(exist_ok=True)

    def shown(seed: int) -> Callable[[], AbstractContextManager[Report]]:
        @contextmanager
        def opened() -> Iterator[Report]:
            yield lambda entry: report(seed, entry)

        return opened

    return [
        Training(
            recipe(seed, **changes),
            folder / f"run-{seed}",
            kept_progress(folder / f"run-{seed}", recipe(seed, **changes), resume=True),
            shown(seed),
        )
        for seed in SEEDS
    ]


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both runs, trained in this process."""
    folder = tmp_path_factory.mktemp("alone")
    done = trained_each(trainings(folder, lambda *_: None), DATA, None)
    assert [facts["accuracy"]["integer"] > 0 for _, facts in done] == [True, True]
    return folder


def test_killed_workers_change_no_byte(alone: Path, tmp_path: Path, children: Children) -> None:
    told: list[tuple[int, str, int]] = []
    killed: list[int] = []

    def report(seed: int, entry: dict[str, Any]) -> None:
        told.append((seed, entry["phase"], entry["epoch"]))
        if told[-1] == (6, "A", 2):
            killed.extend(each.process.pid for each in workers._busy.values())
            os.kill(killed[0], signal.SIGKILL)

    with Processes(2) as workers:
        done = list(trained_each(trainings(tmp_path / "w", report), DATA, workers))
    assert killed
    assert [training.recipe.seed for training, _ in done] == [*SEEDS]
    one, other = tree(alone), tree(tmp_path / "w")
    assert one == other
    assert len(one) == 20
    assert one["run-5/checkpoint.safetensors"] != one["run-6/checkpoint.safetensors"]
    epochs = [("A", n) for n in (1, 2, 3, 4)] + [("B", 1), ("C", 1)]
    for seed in SEEDS:  # each epoch is told of once, those that were trained twice as well
        assert [at for of, *at in told if of == seed] == [list(each) for each in epochs]
    assert not children()


@pytest.mark.slow
def test_an_interrupted_training_goes_on(alone: Path, tmp_path: Path, children: Children) -> None:
    def report(seed: int, entry: dict[str, Any]) -> None:
        if (seed, entry["epoch"]) == (5, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Processes(2) as workers:
        list(trained_each(trainings(tmp_path / "w", report), DATA, workers))
    assert not children()
    assert (progress_folder(tmp_path / "w" / "run-5") / "progress.json").exists()
    first = []
    with Processes(2) as workers:
        again = trainings(
            tmp_path / "w",
            lambda seed, entry: first.append((seed, entry["phase"], entry["epoch"])),
        )
        assert 1 <= len(again[0].kept.metrics) <= 2  # short epochs are not all kept
        assert len(list(trained_each(again, DATA, workers))) == 2
    assert (5, "A", 1) not in first
    assert (5, "A", 4) in first
    assert tree(tmp_path / "w") == tree(alone)


@pytest.mark.slow
def test_threads_are_those_of_the_recipe_at_a_worker_too(tmp_path: Path) -> None:
    """Sums of floats come out in another order with another number of threads."""
    for name, workers in (("one", None), ("two", Processes(2))):
        each = trainings(tmp_path / name, lambda *_: None, threads=2, epochs=1)
        with workers or nullcontext():
            assert len(list(trained_each(each, DATA, workers))) == 2
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_runs_that_lie_here_are_refused_where_workers_do_not_see_them(tmp_path: Path) -> None:
    class Elsewhere(Processes):
        here = False

    settings = recipe(5).model_dump()
    settings["train"]["init_from"] = "runs/other"
    this = Recipe.model_validate(settings)
    first = trainings(tmp_path / "w", lambda *_: None)[0]
    with pytest.raises(UsageError) as refused, Elsewhere(2) as workers:
        list(trained_each([Training(this, first.folder, first.kept)], DATA, workers))
    assert str(refused.value) == (
        "recipe tiny learns from runs/other, a folder of this machine, which workers of a cluster "
        "do not see; train it with --workers N"
    )


def test_a_data_set_is_the_same_after_its_journey() -> None:
    sent = parcel_of(DATA)
    for array in sent.arrays.values():
        array.flags.writeable = False  # as those of Ray's store
    got = dataset_of(sent)
    assert (got.classes, got.kind, got.steps, got.shape) == (10, "u8", None, (1, 8, 8))
    for name in ("train", "validation", "test"):
        one, other = getattr(DATA, name), getattr(got, name)
        assert (one.x == other.x).all()
        assert (one.y == other.y).all()
        assert other.x.flags.writeable
        assert len(one) > 50
