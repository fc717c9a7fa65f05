"""One trial: plain data and a folder in, plain numbers out, wherever it runs.

    outcome = run_trial(Job(recipe, None, {"c": Built({"device": "up5k"})}), Path("trial-0007"))
    outcome.measures["accuracy"]

The folder holds the run of it afterwards. A trial that was interrupted goes on where it stopped,
and one whose run is there already is measured alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lehr.errors import NotMappable, UsageError
from lehr.export.checkpoint import load_run
from lehr.runstate import STATE, read_state
from lehr.train.data import Dataset, load_dataset
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.running import kept_progress, train_run
from lehr.train.search.measures import Building, measured

TRAINING = "training"
"""By which an outcome knows a refusal that no target made."""


@dataclass(frozen=True)
class Job:
    """What a trial needs to know.

    Attributes:
        recipe: TOML text, whole.
        data: folder of the data set's official files; None for those that need none.
        builds: of each target, by its name.
    """

    recipe: str
    data: str | None
    builds: Mapping[str, Building]


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        measures: by name.
        refused: why, by `TRAINING` or the target's name; empty where all went well.
    """

    measures: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def run_trial(
    job: Job,
    folder: Path,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    data: Dataset | None = None,
) -> Outcome:
    """Train, and measure on the validation samples.

    Args:
        job: what to do.
        folder: the run's, which is written whole or not at all.
        report: called with the metrics of every epoch; what it raises ends the trial.
        data: the data set; read if None.

    Raises:
        UsageError: when the folder holds something else.
        FileRefused: when data are damaged, or nothing can be written.
    """
    recipe = parse(job.recipe, folder.name)
    data = data or dataset(recipe.data.model_dump_json(), job.data)
    kept = kept_progress(folder, recipe, resume=True)
    if not _is_done(folder, recipe):
        try:
            train_run(recipe, data, folder, kept, report)
        except (UsageError, NotMappable) as error:
            kept.finish()
            return Outcome(refused={TRAINING: "; ".join(map(str, error.args))})
    return Outcome(*measured(load_run(folder), recipe, data, job.builds))


def _is_done(folder: Path, recipe: Recipe) -> bool:
    """Whether a whole run of the recipe is there."""
    if not (folder / STATE).exists():
        return False
    read_state(folder)  # refuses one that is damaged
    return (folder / "recipe.toml").read_bytes() == to_toml(recipe)


@lru_cache(maxsize=2)
def dataset(recipe: str, folder: str | None) -> Dataset:
    """Read a data set, once for all trials that use it.

    Args:
        recipe: its table, as JSON.
        folder: of its official files.
    """
    return load_dataset(
        DataRecipe.model_validate_json(recipe), None if folder is None else Path(folder)
    )
