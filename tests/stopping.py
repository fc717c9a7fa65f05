"""Trainings that are stopped after an epoch, and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from lehr.train.data import Dataset
from lehr.train.learning.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.runs.progress import Progress


class _Stop(Exception):
    """Stands for whatever ends a process."""


def stopped_and_resumed(recipe: Recipe, data: Dataset, folder: Path, after: int) -> Trained:
    """Train until `after` epochs are kept, stop within the next one, and train on from there.

    Every epoch has to be kept: set `lehr.train.runs.progress.SHARE` to 1.
    """
    seen: list[object] = []

    def report(entry: object) -> None:
        seen.append(entry)
        if len(seen) > after:
            raise _Stop

    with pytest.raises(_Stop):
        train(recipe, data, report, Progress.open(folder, recipe, resume=False))
    kept = Progress.open(folder, recipe, resume=True)
    assert len(kept.metrics) == after
    return train(recipe, data, progress=kept)
