"""The remains of a training: accuracies, and the folder of a run.

trained = train(recipe, data, print)
save(Path("run"), recipe, trained, data, accuracies(trained, data, recipe))
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lehr.export.checkpoint import run_files, save_run
from lehr.sequences.encoding import KEY
from lehr.train import processes
from lehr.train.data import Dataset
from lehr.train.learning.evaluation import accuracy as measured
from lehr.train.learning.loop import Trained
from lehr.train.learning.selection import chosen
from lehr.train.objectives.objective import objective
from lehr.train.objectives.timed import TIMED
from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml
from lehr.train.runs.concerns import concerns
from lehr.train.twin.convert import finished
from lehr.train.twin.folding import THRESHOLD_MAX

SAMPLES = 64
"""Test samples that a run keeps, to verify its export by."""


def accuracies(trained: Trained, data: Dataset, recipe: Recipe) -> dict[str, float]:
    """Measure the test accuracy, a share, after phase A and, if there is one, of the integer twin.

    Args:
        trained: from `lehr.train.learning.loop.train`.
        data: with the test samples.
        recipe: that was trained by.
    """
    goal = objective(recipe, data)
    shares = {"phase A": measured(trained.model, data.test, goal)}
    if trained.twin is not None:
        shares["integer"] = measured(trained.twin, data.test, goal)
    return shares


def notes(trained: Trained) -> list[str]:
    """Say what a user must know of the folding, in sentences."""
    return [
        f"{name}: channels {', '.join(map(str, fold.clamped))} have a gain near 0; their "
        "thresholds were clamped to"
        f" {fold.highest:,}, {_why(fold.highest)}, so their weights count for more; retrain if "
        "they matter"
        for name, fold in trained.folds.items()
        if fold.clamped
    ]


def _why(highest: int) -> str:
    return (
        "which keeps the float32 training exact"
        if highest == THRESHOLD_MAX
        else "the highest that the recipe allows"
    )


def save(
    run: Path, recipe: Recipe, trained: Trained, data: Dataset, accuracy: dict[str, float]
) -> None:
    """Write a run's folder, and in it the network after the last epoch; an earlier one is replaced.

    Of several processes, which all measure, the first one writes.

    Args:
        run: the folder, which `lehr.export.checkpoint.load_run` reads.
        recipe: that was trained by.
        trained: from `lehr.train.learning.loop.train`.
        data: of whose test samples some are kept.
        accuracy: from `accuracies`.

    Raises:
        UsageError: when the folder holds something else than a run.
        FileRefused: when it cannot be written.
    """
    files, inner = _files(recipe, trained, data, accuracy, epochs_kept(trained)), None
    if trained.last is not None:
        last, epochs = replace(trained, twin=trained.last), epochs_kept(trained)
        if trained.last is not trained.twin:
            last.network = finished(trained.last, recipe)
            accuracy = {
                **accuracy,
                "integer": measured(trained.last, data.test, objective(recipe, data)),
            }
            epochs[max(epochs)] = trained.metrics[-1]["epoch"]
            last.warnings = concerns(recipe, trained.last, trained.metrics, data)
        inner = _files(recipe, last, data, accuracy, epochs)
    if processes.first():
        save_run(run, files, inner)


def epochs_kept(trained: Trained) -> dict[str, int]:
    """Find the epoch of each phase that went on."""
    return {
        phase: chosen(trained.metrics, phase)["epoch"]
        for phase in sorted({entry["phase"] for entry in trained.metrics})
    }


def _files(
    recipe: Recipe,
    trained: Trained,
    data: Dataset,
    accuracy: dict[str, float],
    epochs: dict[str, int],
) -> dict[str, bytes]:
    if trained.twin is None:
        weights = {
            name: value.numpy(force=True) for name, value in trained.model.state_dict().items()
        }
    else:
        weights = trained.twin.latents()
    folds = {
        name: {"clamped": fold.clamped, "fraction_bits": fold.layer.fraction_bits}
        for name, fold in trained.folds.items()
    }
    kept = data.test.take(SAMPLES)
    facts = {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "accuracy": accuracy,
        "tested": len(data.test),
        "processes": processes.count(),
        "epochs": epochs,
        "folds": folds,
        "warnings": trained.warnings,
        **({"others": trained.others} if trained.others else {}),
        **({} if data.encoding is None else {KEY: data.encoding.model_dump(mode="json")}),
    }
    samples: dict[str, Any] = {"input": kept.x}
    # those of a ramp, or of steps, are not what the readout gives
    if recipe.train.objective not in TIMED and kept.y.ndim == 1:
        samples["labels"] = kept.y
    return run_files(to_toml(recipe), trained.metrics, facts, samples, trained.network, weights)
