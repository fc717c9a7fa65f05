"""`lehr train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, epochs_progress, percent, session
from lehr.cli.data import read_data
from lehr.cli.options import Data, Download, Overrides, RecipeName

if TYPE_CHECKING:
    from lehr.train.data import Dataset
    from lehr.train.learning.loop import Report
    from lehr.train.recipe import Recipe
    from lehr.train.runs.progress import Progress
    from lehr.train.runs.tensorboard import Events


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
            "--seeds", metavar="N", min=1, help="Train with N seeds in a row, each into RUN-seed-K."
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
    as_json: Json = False,
) -> None:
    """Train a network as a recipe says, up to frozen integers.

    With --target, the recipe that RUN keeps is the one for the target.
    """
    with session(as_json) as out:
        from lehr.train.recipefile import load

        # before torch is imported: a mistake in it is said at once
        settings = load(recipe, tuple(overrides or ()))
        from lehr.errors import UsageError
        from lehr.train.for_target import for_target, target_of
        from lehr.train.runs.running import kept_progress

        chip = target_of(settings, target)
        samples = None
        if chip is not None or quick:
            samples = read_data(settings.data, data, download)
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
        kept = {}
        for folder, each in runs.items():
            if tensorboard is not None and tensorboard.resolve().is_relative_to(folder.resolve()):
                raise UsageError(
                    f"--tensorboard {tensorboard} lies in {folder}, which holds a run alone; give "
                    "a folder beside it"
                )
            kept[folder] = kept_progress(folder, each, resume)
        samples = samples or read_data(settings.data, data, download)
        out.facts.update(runs=[], warnings=[])
        for folder, each in runs.items():
            events = (
                None
                if tensorboard is None
                else tensorboard / folder.name
                if seeds > 1
                else tensorboard
            )
            facts = _train_one(out, folder, each, samples, kept[folder], events)
            out.facts["runs"].append(facts)
            for warning in facts["warnings"]:
                out.warn(warning if seeds == 1 else f"{folder}: {warning}")
        _then_export(out, runs)
        if seeds > 1:
            out.facts["accuracy"] = _over_seeds(
                out, [run_facts["accuracy"] for run_facts in out.facts["runs"]]
            )


def _train_one(
    out: Output, run: Path, recipe: Recipe, data: Dataset, kept: Progress, events: Path | None
) -> dict[str, Any]:
    """Train with one seed, write the run's folder, and print the results."""
    from contextlib import closing, nullcontext

    from lehr.export.checkpoint import LAST
    from lehr.train.runs.running import train_run
    from lehr.train.runs.saving import epochs_kept, notes
    from lehr.train.runs.tensorboard import Events

    replaces = run.exists()
    with (
        nullcontext() if events is None else closing(Events(events, len(kept.metrics))) as written,
        epochs_shown(recipe, kept=kept, events=written) as report,
    ):
        finished = train_run(recipe, data, run, kept, report)
    trained = finished.trained
    for line in notes(trained):
        out.say(line)
    if trained.last is not trained.twin:
        best = epochs_kept(trained)
        phase = max(best)
        out.say(
            f"epoch {best[phase]} of phase {phase} is the best on the validation samples; "
            f"{run / LAST} holds the last one"
        )
    for name, value in finished.accuracy.items():
        out.say(f"test accuracy, {name}: {percent(value)}")
    out.say(f"wrote {run}")
    if replaces:
        out.note(f"{run} held another run, which this one replaced")
    return {
        "run": str(run),
        "seed": recipe.seed,
        "accuracy": dict(finished.accuracy),
        "metrics": trained.metrics,
        "warnings": trained.warnings,
    }


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

        yield report
