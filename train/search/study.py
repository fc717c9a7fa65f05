"""The study: trials one after the other, or at workers, in as many processes as one starts.

Each trial is a row of Optuna's storage as soon as it begins, and holds a lock beside its run's
folder while it is trained. Whoever comes next to a folder takes up the trials whose process is
gone, from the epoch that they had reached.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from lehr.atomic import remove_whole, write_bytes
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.searches import FILE, Searched, State, Trial, read_search, unknown_measure
from lehr.train.learning.loop import Report
from lehr.train.recipefile import to_toml
from lehr.train.runs.progress import progress_folder
from lehr.train.search.away import spread_trials
from lehr.train.search.claims import Lock, alone, make_lock, take_lock
from lehr.train.search.setting import Setting
from lehr.train.search.space import Chosen, chosen, distributions
from lehr.train.search.storage import FILE as DATABASE
from lehr.train.search.storage import default_url, open_study, shown_url, storage_errors
from lehr.train.search.trial import TRAINING, Job, Outcome, run_trial
from lehr.workers.spread import Stopped
from lehr.workers.work import Workers

_LOCK = "search.lock"
_MEASURES, _REFUSED = "measures", "refused"
"""A trial's attributes in the storage."""
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Watch:
    """Who is told of a search while it runs.

    Attributes:
        begins: gets a trial and its job, and yields what is told of its epochs.
        ended: gets a trial that has ended.
    """

    begins: Callable[[Trial, Job], AbstractContextManager[Report]]
    ended: Callable[[Trial], None]


class Claim(NamedTuple):
    """A trial that this process is at.

    Attributes:
        trial: Optuna's.
        lock: of it.
        reported: the epoch of phase A up to which it had come before; 0 for a new one.
    """

    trial: optuna.Trial
    lock: Lock
    reported: int = 0


def search(
    setting: Setting, folder: Path, url: str | None, watch: Watch, workers: Workers | None = None
) -> Searched:
    """Search until the study has as many trials as asked for.

    Args:
        setting: what is searched.
        folder: of the search; one that is there goes on.
        url: of Optuna's storage; SQLite in the folder if None.
        watch: who is told.
        workers: who run the trials; this process if None.

    Returns:
        What all processes of the study have found.

    Raises:
        UsageError: when nothing could come of it, when the folder holds something else, or the
            storage another study.
        FileRefused: when the storage is damaged, or the folder cannot be written.
        ToolMissing: when a storage's driver is not installed.
        WorkerLost: when a trial has ended three workers.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it tells, the command does
    storage = DATABASE if url is None else shown_url(url)
    _require_folder(folder, storage)
    setting.require()
    _begin(folder)
    place, base = default_url(folder) if url is None else url, setting.base
    with storage_errors(place):
        with alone(folder / _LOCK):  # two that make a database's tables meet
            epochs = base.train.epochs
            study = open_study(place, folder.name, setting.digest, setting.search, epochs)
            whole = base.model_copy(update={"search": setting.search})
            write_bytes(folder / "recipe.toml", to_toml(whole))
        this = Trials(study, setting, folder, storage)
        result = this.written()
        each = this.run(watch) if workers is None else spread_trials(this, workers, watch)
        with closing(each) as ended:
            for number in ended:
                result = this.written()
                watch.ended(result.trials[number])
        return result


def _require_folder(folder: Path, storage: str) -> None:
    """Refuse a folder that holds something else, or a search of another storage."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / _LOCK).exists():
        raise UsageError(f"{folder} holds something else than a search; choose another folder")
    if not (folder / FILE).exists():  # another process is about to write it
        return
    if (kept := read_search(folder).storage) != storage:
        raise UsageError(
            f"{folder} holds a search whose study is in {kept}, not in {storage}; name that one, "
            "or choose another folder"
        )


def _begin(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise FileRefused(
            f"{folder} cannot be made: {error.strerror}; make the folder that it lies in first, or "
            "choose another place"
        ) from None


class Trials:
    """The trials of a study."""

    def __init__(self, study: optuna.Study, setting: Setting, folder: Path, storage: str) -> None:
        self.study, self.setting, self.folder, self.storage = study, setting, folder, storage
        self.space = distributions(setting.search)

    def written(self) -> Searched:
        """Write what all processes have found."""
        with alone(self.folder / _LOCK):
            search = self.setting.search
            result = Searched(
                name=self.folder.name,
                recipe=self.setting.base.name,
                digest=self.setting.digest,
                storage=self.storage,
                data=self.setting.data is not None,
                objectives=search.objectives,
                sampler=search.sampler,
                pruner=search.pruner,
                seed=search.seed,
                trials=tuple(self._searched(each) for each in self._trials()),
            )
            result.write(self.folder)
            return result

    def claim(self) -> Claim | None:
        """Take up a trial whose process is gone, or begin one; None where there are enough."""
        with alone(self.folder / _LOCK):
            trials = self._trials()
            others = 0
            for each in trials:
                if each.state != TrialState.RUNNING:
                    continue
                try:
                    lock = take_lock(self._lock(each.number))
                except FileNotFoundError:  # it is at another machine
                    continue
                if lock is not None:
                    trial = optuna.Trial(self.study, each._trial_id)
                    return Claim(trial, lock, max(each.intermediate_values, default=0))
                others += 1
            ended = sum(each.state.is_finished() for each in trials)
            if ended + others >= self.setting.search.trials:
                return None
            trial = self.study.ask(self.space)
            return Claim(trial, make_lock(self._lock(trial.number)))

    def run(self, watch: Watch) -> Generator[int]:
        """Run trials here, one after the other; yield the number of each that has ended."""
        while (claim := self.claim()) is not None:
            done = False
            try:
                self._run(claim, watch)
                done = True
            finally:
                claim.lock.release(done=done)
            yield claim.trial.number

    def _run(self, claim: Claim, watch: Watch) -> None:
        """Run a trial, and tell the study what came of it."""
        shown, job = self.begun(claim)
        if job is None:
            return
        folder = self.folder / shown.folder
        with watch.begins(shown, job) as show:
            try:
                outcome = run_trial(job, folder, self.reporting(claim, show))
            except Stopped:
                self.prune(claim.trial, folder)
            else:
                self.tell(claim.trial, outcome)

    def begun(self, claim: Claim) -> tuple[Trial, Job | None]:
        """Return a trial and its job; None, and the study is told why, if no recipe can be it."""
        point = chosen(self.setting.search, claim.trial.params)
        shown = _as_trial(claim.trial.number, "running", point)
        try:
            return shown, self.setting.job(point)
        except (UsageError, NotMappable) as error:
            self.tell(claim.trial, Outcome(refused={TRAINING: "; ".join(map(str, error.args))}))
            return shown, None

    def reporting(self, claim: Claim, show: Report) -> Report:
        """Return what is told of a trial's epochs; it raises Stopped where the trial is pruned."""

        def report(entry: dict[str, Any]) -> None:
            show(entry)
            if self.setting.search.pruner == "none" or entry["phase"] != "A":
                return
            if entry["epoch"] > claim.reported:
                claim.trial.report(entry["validation_accuracy"], entry["epoch"])
            if claim.trial.should_prune():
                raise Stopped

        return report

    def prune(self, trial: optuna.Trial, folder: Path) -> None:
        """Tell the study that a trial has fallen behind, and remove what was kept of it."""
        remove_whole(progress_folder(folder))
        self.study.tell(trial, state=TrialState.PRUNED)

    def tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Tell the study what came of a trial."""
        trial.set_user_attr(_MEASURES, dict(outcome.measures))
        trial.set_user_attr(_REFUSED, dict(outcome.refused))
        for name in (TRAINING, *self.setting.search.builds):
            if name not in trial.constraints:  # a process that is gone may have come so far
                trial.set_constraint(name, float(name in outcome.refused))
        objectives = self.setting.search.objectives
        lacking = [each for each in objectives if each not in outcome.measures]
        if not lacking:
            self.study.tell(trial, [outcome.measures[each] for each in objectives])
        elif outcome.refused:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            raise UsageError(unknown_measure(lacking[0], list(outcome.measures)))

    def _trials(self) -> list[FrozenTrial]:
        return sorted(self.study.get_trials(), key=lambda trial: trial.number)

    def _searched(self, trial: FrozenTrial) -> Trial:
        attributes = trial.user_attrs
        refused = attributes.get(_REFUSED, {})
        state = "refused" if refused else _STATES.get(trial.state, "running")
        known = self.space.keys() <= trial.params.keys()
        point = chosen(self.setting.search, trial.params) if known else Chosen({}, {})
        return _as_trial(trial.number, state, point, attributes.get(_MEASURES, {}), refused)

    def _lock(self, number: int) -> Path:
        return self.folder / f"{_as_trial(number, 'running', Chosen({}, {})).folder}.lock"


def _as_trial(
    number: int,
    state: State,
    point: Chosen,
    measures: Mapping[str, float] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Trial:
    return Trial(number, state, point.keys, point.options, measures or {}, refused or {})
