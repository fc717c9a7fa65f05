"""`lehr train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, percent, progress, session
from lehr.cli.data import read_data
from lehr.cli.options import Data, Download, Overrides, RecipeName

if TYPE_CHECKING:
    from lehr.train.data import Dataset
    from lehr.train.loop import Trained
    from lehr.train.progress import Progress
    from lehr.train.recipe import Recipe
    from lehr.train.tensorboard import Events


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
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="Train in the arithmetic, and under the limits, of a target; one of `lehr targets list`.",
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

    For a chip: lehr train digits --target loihi -o run. The recipe that RUN keeps is the one for
    the target.
    """
    with session(as_json) as out:
        from lehr.train.recipefile import load

        told = load(
            recipe, tuple(overrides or ())
        )  # before torch is imported: a mistake in it is said at once
        from lehr.errors import UsageError
        from lehr.train.for_target import for_target, target_of
        from lehr.train.running import kept_progress

        chip = target_of(told, target)
        samples = None
        if chip is not None:
            samples = read_data(told.data, data, download)
            told = for_target(told, chip, samples)
        run = output or Path("runs") / told.name
        if output is None:
            run.parent.mkdir(exist_ok=True)
        runs = (
            {run: told}
            if seeds == 1
            else {
                run.with_name(f"{run.name}-seed-{seed}"): told.model_copy(update={"seed": seed})
                for seed in range(told.seed, told.seed + seeds)
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
        samples = samples or read_data(told.data, data, download)
        out.facts["runs"] = []
        for folder, each in runs.items():
            events = (
                None
                if tensorboard is None
                else tensorboard / folder.name
                if seeds > 1
                else tensorboard
            )
            out.facts["runs"].append(_train_one(out, folder, each, samples, kept[folder], events))
        out.then("export", next(iter(runs)), "-o", "model.nir")
        if seeds > 1:
            out.facts["accuracy"] = _over_seeds(
                out, [made["accuracy"] for made in out.facts["runs"]]
            )


def _train_one(
    out: Output, run: Path, recipe: Recipe, data: Dataset, kept: Progress, events: Path | None
) -> dict[str, Any]:
    """Train with one seed, write the run's folder, and tell about it."""
    from contextlib import closing, nullcontext

    from lehr.export.checkpoint import LAST
    from lehr.train.saving import accuracies, epochs_kept, notes, save
    from lehr.train.tensorboard import Events

    with nullcontext() if events is None else closing(Events(events, len(kept.metrics))) as written:
        trained = train_with_progress(recipe, data, kept=kept, events=written)
    found = accuracies(trained, data, recipe)
    save(run, recipe, trained, data, found)
    kept.finish()
    for line in notes(trained):
        out.say(line)
    if trained.last is not trained.twin:
        told = epochs_kept(trained)
        phase = max(told)
        out.say(
            f"epoch {told[phase]} of phase {phase} is the best on the validation samples; "
            f"{run / LAST} holds the last one"
        )
    for name, value in found.items():
        out.say(f"test accuracy, {name}: {percent(value)}")
    out.say(f"wrote {run}")
    return {"run": str(run), "seed": recipe.seed, "accuracy": found, "metrics": trained.metrics}


def _over_seeds(out: Output, found: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation over seeds of each station's accuracy."""
    from statistics import mean, stdev

    told = {}
    for name in found[0]:
        values = [accuracies[name] for accuracies in found]
        told[name] = {"mean": mean(values), "deviation": stdev(values)}
        out.say(
            f"test accuracy, {name}, {len(values)} seeds: {percent(mean(values))}, standard "
            f"deviation {percent(stdev(values))}"
        )
    return told


def train_with_progress(
    recipe: Recipe,
    data: Dataset,
    label: str = "training",
    kept: Progress | None = None,
    events: Events | None = None,
) -> Trained:
    """Train, with a progress bar over the epochs on stderr, and a warning for every layer that cannot learn, once a phase."""
    from lehr.train import loop
    from lehr.train.rates import warnings

    with progress() as bar:
        task = bar.add_task(
            label, total=loop.epochs(recipe), completed=len(kept.metrics) if kept else 0
        )
        warned: set[tuple[str, str]] = set()

        def report(entry: dict[str, Any]) -> None:
            found = warnings(entry)
            for key, sentence in found.items():
                if key not in warned:
                    bar.console.print(
                        f"warning: {sentence}", markup=False, highlight=False, soft_wrap=True
                    )
            warned.update(found)
            if events is not None:
                events.add(entry)
            accuracy = percent(entry["validation_accuracy"])
            bar.update(
                task,
                advance=1,
                description=f"{label}: phase {entry['phase']}, loss {entry['loss']:.4f}, validation {accuracy}",
            )

        return loop.train(recipe, data, report, kept)
