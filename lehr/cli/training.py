"""`lehr train`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, epochs_progress, percent, session
from lehr.cli.data import read_data
from lehr.cli.options import Data, Download, Overrides, RecipeName, WorkersOption
from lehr.cli.together import together
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.train.data import Dataset
    from lehr.train.learning.loop import Report
    from lehr.train.recipe import Recipe
    from lehr.train.runs.progress import Progress
    from lehr.train.runs.several import Training
    from lehr.train.runs.tensorboard import Events
    from lehr.workers.work import Facts, Workers


def train(
    recipe: RecipeName,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="RUN", help="Folder to write; runs/NAME if not given."
        ),
    ] = None,
    data: Data = None,
    download: Download = False,
    overrides: Overrides = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Train for a quarter of the epochs, with schedules of the thresholds to match.",
        ),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="Train in the arithmetic, and under the limits, of a target; one of `lehr "
            "targets list`.",
            autocompletion=completing.targets,
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="N", min=1, help="Train with N seeds, each into RUN-seed-K."
        ),
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after the last epoch that an interrupted run kept."),
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard",
            metavar="DIR",
            help="Write TensorBoard events; with --seeds into DIR/RUN-seed-K.",
        ),
    ] = None,
    workers: WorkersOption = "1",
    as_json: Json = False,
) -> None:
    """Train a network as a recipe says, up to frozen integers.

    With --target, the recipe that RUN keeps is the one for the target.
    """
    with session(as_json) as out, together(out) as join:
        from lehr.train.recipefile import load

        # before torch is imported: a mistake in it is said at once
        settings = load(recipe, tuple(overrides or ()))
        from lehr.train.for_target import for_target, target_of
        from lehr.workers.asked import workers_of

        _require_one_kind_of_processes(out, workers)
        team = workers_of(workers)
        join(settings.train.device)
        chip = target_of(settings, target)
        samples = None
        if chip is not None or quick:
            samples = _samples(settings, data, download)
            if chip is not None:
                settings = for_target(settings, chip, samples)
            if quick:
                from lehr.train.runs.quick import quick as quickened

                settings = quickened(settings, len(samples.train))
        run = output or Path("runs") / settings.name
        if output is None:
            run.parent.mkdir(exist_ok=True)
        runs = (
            {run: settings}
            if seeds == 1
            else {
                run.with_name(f"{run.name}-seed-{seed}"): settings.model_copy(update={"seed": seed})
                for seed in range(settings.seed, settings.seed + seeds)
            }
        )
        trainings = _trainings(runs, resume, tensorboard, prints=out.process.prints)
        samples = samples or _samples(settings, data, download)
        _train(out, trainings, samples, team)
        _then_export(out, runs)
        if seeds > 1:
            out.facts["accuracy"] = _over_seeds(
                out, [run_facts["accuracy"] for run_facts in out.facts["runs"]]
            )


def _require_one_kind_of_processes(out: Output, workers: str) -> None:
    """Refuse workers of each of several processes that train together."""
    if out.process.count > 1 and workers != "1":
        raise UsageError(
            f"--workers {workers} in each of {out.process.count} processes that a launcher has "
            "started; leave --workers out to train by all of them, or the launcher to spread seeds"
        )


def _samples(recipe: Recipe, folder: Path | None, download: bool) -> Dataset:
    """Read the data set; of several processes the first one downloads it."""
    from lehr.train.processes import first_goes_ahead

    with first_goes_ahead() if download else nullcontext():
        return read_data(recipe.data, folder, download)


def _trainings(
    runs: Mapping[Path, Recipe], resume: bool, tensorboard: Path | None, *, prints: bool
) -> list[Training]:
    """Return what is to be trained, after a look at the folders."""
    from lehr.train.runs.running import kept_progress
    from lehr.train.runs.several import Training

    trainings = []
    for folder, recipe in runs.items():
        if tensorboard is not None and tensorboard.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"--tensorboard {tensorboard} lies in {folder}, which holds a run alone; give "
                "a folder beside it"
            )
        kept = kept_progress(folder, recipe, resume)
        events = tensorboard / folder.name if tensorboard and len(runs) > 1 else tensorboard
        label = "training" if len(runs) == 1 else folder.name
        training = Training(recipe, folder, kept)
        if prints:
            shown = partial(_shown, recipe, label, kept, events)
            training = replace(training, shown=shown)
        trainings.append(training)
    return trainings


def _train(out: Output, trainings: Sequence[Training], data: Dataset, team: Workers | None) -> None:
    """Train, and print what came of each."""
    from lehr.train.runs.several import trained_each

    out.facts.update(runs=[], warnings=[])
    replaced = {each.folder for each in trainings if each.folder.exists()}
    done: list[tuple[Training, Facts]] = []

    def say() -> None:
        while done:
            training, facts = done.pop(0)
            folder = training.folder
            _say(out, training, facts, replaces=folder in replaced)
            for warning in facts["warnings"]:
                out.warn(warning if len(trainings) == 1 else f"{folder}: {warning}")

    try:
        with nullcontext() if team is None else team:
            for each in trained_each(trainings, data, team):
                done.append(each)
                if team is None:  # no bar is shown now
                    say()
    finally:
        say()


@contextmanager
def _shown(recipe: Recipe, label: str, kept: Progress, events: Path | None) -> Iterator[Report]:
    """Yield what shows the epochs of a run, and writes them for TensorBoard."""
    from lehr.train.runs.tensorboard import Events

    with (
        nullcontext() if events is None else closing(Events(events, len(kept.metrics))) as written,
        epochs_shown(recipe, label, kept, written) as report,
    ):
        yield report


def _say(out: Output, training: Training, facts: Facts, *, replaces: bool) -> None:
    """Print what came of a training."""
    run = training.folder
    for line in facts["remarks"]:
        out.say(line)
    for name, value in facts["accuracy"].items():
        out.say(f"test accuracy, {name}: {percent(value)}")
    out.say(f"wrote {run}")
    if replaces:
        out.note(f"{run} held another run, which this one replaced")
    out.facts["runs"].append(
        {
            "run": str(run),
            "seed": training.recipe.seed,
            "processes": out.process.count,
            "accuracy": facts["accuracy"],
            "metrics": facts["metrics"],
            "warnings": facts["warnings"],
        }
    )


def _then_export(out: Output, runs: dict[Path, Recipe]) -> None:
    """Name the command that comes next; float weights are not exported."""
    run, settings = next(iter(runs.items()))
    if settings.network.integer:
        out.then("export", run, "-o", "model.nir")


def _over_seeds(out: Output, runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the mean and sample standard deviation over seeds of each station's accuracy."""
    from statistics import mean, stdev

    shares = {}
    for name in runs[0]:
        values = [accuracies[name] for accuracies in runs]
        shares[name] = {"mean": mean(values), "deviation": stdev(values)}
        out.say(
            f"test accuracy, {name}, {len(values)} seeds: {percent(mean(values))}, standard "
            f"deviation {percent(stdev(values))}"
        )
    return shares


@contextmanager
def epochs_shown(
    recipe: Recipe,
    label: str = "training",
    kept: Progress | None = None,
    events: Events | None = None,
) -> Iterator[Report]:
    """Yield a function that reports on stderr, epoch by epoch, the progress of a training.

    At a terminal that is a bar over the epochs, elsewhere a line an epoch. Of every layer that
    cannot learn it warns once a phase.
    """
    from lehr.train.learning.rates import warnings
    from lehr.train.runs.pace import Pace, duration

    pace = Pace(recipe)
    total = pace.remaining
    with epochs_progress() as bar:
        task = bar.add_task(
            label, total=total, completed=len(kept.metrics) if kept else 0, left="-:--:--"
        )
        warned: set[tuple[str, str]] = set()

        def report(entry: dict[str, Any]) -> None:
            constant = warnings(entry)
            for key, sentence in constant.items():
                if key not in warned:
                    bar.console.print(
                        f"warning: {sentence}", markup=False, highlight=False, soft_wrap=True
                    )
            warned.update(constant)
            if events is not None:
                events.add(entry)
            line = pace.line(entry)
            if bar.disable:
                typer.echo(f"{label}: {line}", err=True)
            bar.update(
                task,
                completed=total - pace.remaining,
                refresh=True,  # every epoch is seen, however short
                left=duration(pace.left or 0),
                description=(
                    f"{label}: phase {entry['phase']}, loss {entry['loss']:.4f}, validation "
                    f"{percent(entry['validation_accuracy'])}"
                ),
            )

        try:
            yield report
        finally:
            bar.remove_task(task)
