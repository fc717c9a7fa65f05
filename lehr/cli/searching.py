"""`lehr search`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import Json, Output, session
from lehr.cli.data import read_data
from lehr.cli.options import Data, Download, Overrides, RecipeName, WorkersOption
from lehr.cli.training import epochs_shown
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.searches import Searched, Trial
    from lehr.train.learning.loop import Report
    from lehr.train.search.trial import Job


def search(
    recipe: RecipeName,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space",
            metavar="SPACE.toml",
            help="What varies, and what is wanted; [search] of the recipe if not given.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="STUDY",
            help="Folder of the search, searches/NAME if not given; one that is there goes on.",
        ),
    ] = None,
    data: Data = None,
    download: Download = False,
    overrides: Overrides = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            metavar="N",
            min=1,
            help="How many in all; as the space says if not given.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Database in which Optuna keeps the study, as postgresql://HOST/NAME; SQLite in "
            "STUDY if not given.",
        ),
    ] = None,
    workers: WorkersOption = "1",
    as_json: Json = False,
) -> None:
    """Search keys of a recipe and options of builds for the best networks, by Optuna.

    The networks that none beats are printed, each a run. The same command goes on with a search
    that was interrupted; given several times at once it shares the trials out.
    """
    with session(as_json) as out:
        from lehr.extras import needed_by
        from lehr.train.recipefile import parse, text_of
        from lehr.workers.asked import workers_of

        team = workers_of(workers)
        text = text_of(recipe)
        given = tuple(overrides or ())
        settings = parse(text, recipe, given)
        with needed_by("lehr search"):
            from lehr.train.search.setting import Setting
            from lehr.train.search.space import read_space
            from lehr.train.search.study import Watch
            from lehr.train.search.study import search as run
        wanted = settings.search if space is None else read_space(space)
        if wanted is None:
            raise UsageError(
                f"recipe {recipe} has no [search]; give what varies by --space SPACE.toml"
            )
        if trials is not None:
            wanted = wanted.model_copy(update={"trials": trials})
        if download:
            read_data(settings.data, data, download)
        folder = output or Path("searches") / settings.name
        if output is None:
            folder.parent.mkdir(exist_ok=True)
        setting = Setting(text, recipe, given, wanted, data)
        with nullcontext() if team is None else team:
            searched = run(setting, folder, storage, Watch(_shown, _ended), team)
        _print(out, folder, searched)


@contextmanager
def _shown(trial: Trial, job: Job) -> Iterator[Report]:
    """Yield what shows the epochs of a trial on stderr."""
    from lehr.train.recipefile import parse

    with epochs_shown(parse(job.recipe, trial.folder), trial.folder) as report:
        yield report


def _ended(trial: Trial) -> None:
    from lehr.report.searches import measure_text

    said = "; ".join(f"{name}: {reason}" for name, reason in trial.refused.items())
    shown = ", ".join(
        f"{name} {measure_text(name, trial.measures[name])}"
        for name in ("accuracy", "spikes", "operations")
        if name in trial.measures
    )
    typer.echo(f"{trial.folder}: {trial.state} {said or shown}".rstrip(), err=True)


def _print(out: Output, folder: Path, searched: Searched) -> None:
    """Print the front."""
    from dataclasses import asdict

    from lehr.report.searches import front_table, in_short

    table = front_table(searched)
    out.say(in_short(searched))
    out.table(table.columns, table.rows, table.title)
    front = searched.front
    out.facts.update(
        asdict(searched)
        | {
            "folder": str(folder),
            "front": [trial.number for trial in front],
            "commands": {trial.folder: searched.commands(trial) for trial in front},
        }
    )
    out.say(f"wrote {folder}")
    if front:
        out.then("export", folder / front[0].folder, "-o", "model.nir")
