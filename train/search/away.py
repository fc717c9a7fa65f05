"""Trials at workers: drawn in order, told in order, whoever is quicker.

A trial is drawn as soon as all but `workers.size - 1` of those before it have been told to the
study. So what is drawn depends on the number of workers, and on no one's speed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from lehr.atomic import remove_whole
from lehr.searches import Trial
from lehr.train.data.sent import dataset_of, parcel_of
from lehr.train.learning.loop import Report
from lehr.train.recipefile import parse
from lehr.train.runs.away import Away, in_scratch, spread_runs
from lehr.train.runs.progress import progress_folder
from lehr.train.search.measures import Building
from lehr.train.search.trial import Job, Outcome, dataset, run_trial
from lehr.workers.work import Facts, Parcel, Send, Workers

if TYPE_CHECKING:
    from lehr.train.search.study import Claim, Trials, Watch


def spread_trials(trials: Trials, workers: Workers, watch: Watch) -> Generator[int]:
    """Run trials at workers, and yield the number of each that has ended, in order.

    Args:
        trials: of the study.
        workers: who run them.
        watch: who is told.

    Raises:
        WorkerLost: when a trial has ended three workers.
    """
    claims: dict[Path, Claim] = {}
    refused: list[int] = []

    def runs() -> Iterator[Away]:
        while (claim := trials.claim()) is not None:
            shown, job = trials.begun(claim)
            if job is None:
                claim.lock.release(done=True)
                refused.append(claim.trial.number)
                continue
            folder = trials.folder / shown.folder
            claims[folder] = claim
            recipe = parse(job.recipe, shown.folder)
            data = _sent(recipe.data.model_dump_json(), job.data)
            facts = {"recipe": job.recipe, "builds": {n: asdict(b) for n, b in job.builds.items()}}
            opened = partial(told, shown, job, claim)
            yield Away(folder, recipe, facts, data, opened, goes_on=True)

    @contextmanager
    def told(shown: Trial, job: Job, claim: Claim) -> Iterator[Report]:
        with watch.begins(shown, job) as show:
            yield trials.reporting(claim, show)

    try:
        with closing(spread_runs(workers, trial_at, runs())) as ended:
            for run, facts in ended:
                claim = claims[run.folder]
                if facts is None:
                    trials.prune(claim.trial, run.folder)
                else:
                    remove_whole(progress_folder(run.folder))
                    trials.tell(claim.trial, Outcome(**facts))
                claims.pop(run.folder).lock.release(done=True)
                yield claim.trial.number
                while refused:
                    yield refused.pop(0)
        yield from refused
    finally:
        for claim in claims.values():
            claim.lock.release(done=False)


@lru_cache(maxsize=2)
def _sent(recipe: str, folder: str | None) -> Parcel:
    """Return a data set as it is sent, once for all trials that use it."""
    return parcel_of(dataset(recipe, folder))


def trial_at(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Run a trial; what a worker does."""

    def work(folder: Path, report: Report) -> Facts:
        builds = {name: Building(**each) for name, each in own.facts["builds"].items()}
        job = Job(own.facts["recipe"], None, builds)
        return asdict(run_trial(job, folder, report, dataset_of(shared)))

    return in_scratch(own, send, work)
