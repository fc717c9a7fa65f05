"""Runs that are trained at workers, while all that is kept of them lies here.

A worker gets the files of a run, as far as it has come, and sends them back after every epoch that
it keeps, and at the end. So a run goes on from its last epoch whoever is lost, and a worker needs
no folder of this machine's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lehr.artifact import BuildPlan
from lehr.errors import UsageError
from lehr.export.checkpoint import save_run
from lehr.runstate import STATE as WHOLE
from lehr.train.learning.loop import Report
from lehr.train.recipe import Recipe
from lehr.train.runs.progress import STATE, progress_folder
from lehr.workers.spread import spread
from lehr.workers.work import Arrays, Facts, Parcel, Send, Task, Work, Workers, as_bytes

_RUN, _KEPT = "run/", "kept/"
"""Before the names of files of the run, and of what is kept of it meanwhile."""
Shown = Callable[[], AbstractContextManager[Report]]


@dataclass(frozen=True)
class Away:
    """A run that is trained at a worker.

    Attributes:
        folder: of the run, here.
        recipe: of the run.
        facts: that the work needs.
        data: the data set, as `lehr.train.data.sent.parcel_of` makes it.
        shown: opened when the run begins; what it yields is told the metrics of every epoch, once.
        goes_on: whether a run that is there is sent along.
    """

    folder: Path
    recipe: Recipe
    facts: Facts
    data: Parcel
    shown: Shown
    goes_on: bool = False

    def require_reachable(self, workers: Workers) -> None:
        """Refuse a run that learns from another one, which workers elsewhere do not see.

        Raises:
            UsageError: naming the other run.
        """
        training = self.recipe.train
        other = training.init_from or training.teacher
        if other is not None and not workers.here:
            raise UsageError(
                f"recipe {self.recipe.name} learns from {other.run}, a folder of this machine, "
                "which workers of a cluster do not see; train it with --workers N"
            )

    def sent(self) -> Parcel:
        """Return what a worker gets."""
        files = _files(progress_folder(self.folder), _KEPT)
        if self.goes_on and (self.folder / WHOLE).exists():
            files |= _files(self.folder, _RUN)
        return Parcel({**self.facts, "name": self.folder.name}, files)

    def keep(self, arrays: Arrays) -> None:
        """Write what a worker has sent: the whole run, or what is kept of it meanwhile."""
        if kept := _named(arrays, _KEPT):
            BuildPlan(kept).write(progress_folder(self.folder), STATE, own=("*",))
        if run := _named(arrays, _RUN):
            save_run(self.folder, run)


def spread_runs(
    workers: Workers, work: Work, runs: Iterable[Away]
) -> Generator[tuple[Away, Facts | None]]:
    """Train runs at workers; yield each, in order, with the facts that came of it.

    Those are None where what shows the run has raised `lehr.workers.spread.Stopped`.

    Args:
        workers: who train.
        work: what they do, by means of `in_scratch`.
        runs: in order; the next one is asked for as `lehr.workers.spread.spread` says.
    """
    opened: dict[str, _Opened] = {}

    def tasks() -> Iterator[Task]:
        for run in runs:
            run.require_reachable(workers)
            opened[str(run.folder)] = _Opened(run)
            threads = run.recipe.train.threads
            yield Task(str(run.folder), work, run.sent, run.data, threads)

    def heard(task: Task, parcel: Parcel) -> None:
        opened[task.name].hear(parcel)

    def arrived(task: Task, parcel: Parcel) -> None:
        opened[task.name].run.keep(parcel.arrays)

    try:
        for task, parcel in spread(workers, tasks(), heard, arrived):
            this = opened.pop(task.name)
            this.close()
            yield this.run, None if parcel is None else parcel.facts
    finally:
        for each in opened.values():
            each.close()


class _Opened:
    """A run at a worker, and who is told of its epochs."""

    def __init__(self, run: Away) -> None:
        self.run, self._stack = run, ExitStack()
        self._report = self._stack.enter_context(run.shown())
        self._last = ("", 0)

    def hear(self, parcel: Parcel) -> None:
        """Take up what comes after an epoch; one that is trained again is told of once."""
        self.run.keep(parcel.arrays)
        entry = dict(parcel.facts)
        this = entry["phase"], entry["epoch"]
        if this > self._last:
            self._last = this
            self._report(entry)

    def close(self) -> None:
        """Show the run no longer."""
        self._stack.close()


def in_scratch(own: Parcel, send: Send, work: Callable[[Path, Report], Facts]) -> Parcel:
    """Train a run at a worker, in a folder that is removed afterwards.

    Args:
        own: what `Away.sent` makes.
        send: to whoever asked.
        work: gets the folder of the run, which may hold it, and be beside what was kept of it, and
            what is told of epochs; returns what is to be known of it.
    """
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        folder = Path(scratch) / str(own.facts["name"])
        kept = progress_folder(folder)
        for prefix, place in ((_RUN, folder), (_KEPT, kept)):
            if files := _named(own.arrays, prefix):
                BuildPlan(files).write(place, own=())
        sent = None

        def report(entry: dict[str, Any]) -> None:
            nonlocal sent
            state = kept / STATE
            now = state.stat().st_ino if state.exists() else None
            send(Parcel(entry, {} if now == sent else _files(kept, _KEPT)))
            sent = now

        facts = work(folder, report)
        return Parcel(facts, _files(folder, _RUN))


def _files(folder: Path, prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}{path.relative_to(folder).as_posix()}": as_bytes(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _named(arrays: Arrays, prefix: str) -> dict[str, bytes]:
    return {
        name.removeprefix(prefix): array.tobytes()
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
