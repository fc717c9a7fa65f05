"""A training from recipe to folder.

recipe = load("digits")
run = train_run(recipe, load_dataset(recipe.data, None), Path("run"))
run.accuracy["integer"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lehr.export.checkpoint import check_run_folder
from lehr.shown import Shown, Table
from lehr.train import processes
from lehr.train.data import Dataset
from lehr.train.learning.loop import Report, Trained, train
from lehr.train.recipe import Recipe
from lehr.train.runs.progress import Progress, progress_folder
from lehr.train.runs.saving import accuracies, save


@dataclass(frozen=True, repr=False)
class TrainedRun(Shown):
    """A finished training and its folder; it can be given wherever the folder can.

    Attributes:
        folder: that was written, which `lehr.export.checkpoint.load_run` reads.
        recipe: that was trained by.
        trained: the networks, and metrics of every epoch.
        accuracy: on the test samples, a share, after phase A and of the integer twin.
    """

    folder: Path
    recipe: Recipe
    trained: Trained
    accuracy: Mapping[str, float]

    def __fspath__(self) -> str:
        """Return the path of the folder."""
        return str(self.folder)

    def _table(self) -> Table:
        reached = ", ".join(f"{name} {100 * value:.2f} %" for name, value in self.accuracy.items())
        rows = [
            (
                entry["phase"],
                str(entry["epoch"]),
                f"{entry['loss']:.4f}",
                f"{100 * entry['validation_accuracy']:.2f} %",
            )
            for entry in self.trained.metrics
        ]
        return Table(
            f"{self.recipe.name} in {self.folder}, test accuracy: {reached}",
            ("phase", "epoch", "loss", "validation accuracy"),
            rows,
        )


def kept_progress(folder: Path, recipe: Recipe, resume: bool) -> Progress:
    """Open what an interrupted training of a recipe has kept, or begin anew.

    Args:
        folder: that the run is written to.
        recipe: of the run.
        resume: whether to go on with what was kept.

    Raises:
        UsageError: when the folder holds something else, or progress that is not resumed.
        FileRefused: when the progress is damaged.
    """
    with processes.first_goes_ahead():
        check_run_folder(folder)
        return Progress.open(progress_folder(folder), recipe, resume)


def train_run(
    recipe: Recipe,
    data: Dataset,
    folder: Path,
    kept: Progress | None = None,
    report: Report = lambda _: None,
) -> TrainedRun:
    """Train as a recipe says, measure on the test samples, and write the run's folder.

    Args:
        recipe: of the run.
        data: its data set.
        folder: to write, whole or not at all; an earlier run there is replaced.
        kept: from `kept_progress`; a new one if None.
        report: called with the metrics of every epoch.

    Raises:
        NotMappable: when the network does not fit the integers that its recipe asks for.
        UsageError: when the folder holds something else than a run.
        FileRefused: when it cannot be written.
    """
    kept = kept or kept_progress(folder, recipe, resume=False)
    trained = train(recipe, data, report, kept)
    accuracy = accuracies(trained, data, recipe)
    save(folder, recipe, trained, data, accuracy)
    kept.finish()
    processes.wait_for_all()  # until the folder is there
    return TrainedRun(folder, recipe, trained, accuracy)
