"""Several trainings: one after the other here, or at workers at the same time.

    for training, facts in trained_each(trainings, data, None):
        facts["accuracy"]["integer"]

Each is the same run wherever it is trained: its recipe says with how many threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lehr.export.checkpoint import LAST
from lehr.train.data import Dataset
from lehr.train.data.sent import dataset_of, parcel_of
from lehr.train.learning.loop import Report
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.away import Away, Shown, in_scratch, spread_runs
from lehr.train.runs.progress import Progress
from lehr.train.runs.running import TrainedRun, kept_progress, train_run
from lehr.train.runs.saving import epochs_kept, notes
from lehr.workers.work import Facts, Parcel, Send, Workers


def _silent() -> AbstractContextManager[Report]:
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Training:
    """A training that is to be done.

    Attributes:
        recipe: of the run.
        folder: of the run.
        kept: from `lehr.train.runs.running.kept_progress`.
        shown: opened when it begins; what it yields is told the metrics of every epoch.
    """

    recipe: Recipe
    folder: Path
    kept: Progress
    shown: Shown = _silent


def trained_each(
    trainings: Iterable[Training], data: Dataset, workers: Workers | None
) -> Iterator[tuple[Training, Facts]]:
    """Train and write runs, and yield what is to be known of each, in order.

    It is `accuracy`, `metrics` of every epoch, `warnings`, `remarks` on how it went, and `seconds`
    of the processor.

    Args:
        trainings: in order.
        data: the data set of all of them.
        workers: who train; this process if None.

    Raises:
        NotMappable, UsageError, FileRefused: as `lehr.train.runs.running.train_run`.
        WorkerLost: when one has ended three workers.
    """
    if workers is None:
        for each in trainings:
            with each.shown() as report:
                facts = _facts(each.recipe, data, each.folder, each.folder, each.kept, report)
            yield each, facts
        return
    shared = parcel_of(data)
    given: dict[Path, Training] = {}

    def runs() -> Iterator[Away]:
        for each in trainings:
            given[each.folder] = each
            facts = {"recipe": to_toml(each.recipe).decode(), "folder": str(each.folder)}
            yield Away(each.folder, each.recipe, facts, shared, each.shown)

    with closing(spread_runs(workers, train_at, runs())) as ended:
        for run, known in ended:
            assert known is not None
            given[run.folder].kept.finish()
            yield given.pop(run.folder), known


def train_at(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Train one of them; what a worker does."""

    def work(folder: Path, report: Report) -> Facts:
        recipe = parse(own.facts["recipe"], folder.name)
        kept = kept_progress(folder, recipe, resume=True)
        place = Path(own.facts["folder"])
        return _facts(recipe, dataset_of(shared), folder, place, kept, report)

    return in_scratch(own, send, work)


def _facts(
    recipe: Recipe, data: Dataset, folder: Path, place: Path, kept: Progress, report: Report
) -> Mapping[str, Any]:
    """Train a run in a folder, and say what is to be known of it, by the place that it gets."""
    start = time.process_time()
    finished = train_run(recipe, data, folder, kept, report)
    seconds = time.process_time() - start
    return {
        "accuracy": dict(finished.accuracy),
        "metrics": finished.trained.metrics,
        "warnings": finished.trained.warnings,
        "remarks": _remarks(finished, place),
        "seconds": seconds,
    }


def _remarks(finished: TrainedRun, place: Path) -> list[str]:
    """Say what a user must know of a training, in sentences."""
    trained, said = finished.trained, notes(finished.trained)
    if trained.last is not trained.twin:
        best = epochs_kept(trained)
        phase = max(best)
        said.append(
            f"epoch {best[phase]} of phase {phase} is the best on the validation samples; "
            f"{place / LAST} holds the last one"
        )
    return said
