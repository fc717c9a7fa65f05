"""The pace of a training: a line of text an epoch, and the time that is left."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

from lehr.train.learning.selection import gone
from lehr.train.recipe import Recipe


def epochs(recipe: Recipe) -> dict[str, int]:
    """Return how many epochs a run takes at most, by phase."""
    tuned = recipe.finetune if recipe.network.integer else None
    return {
        "A": recipe.train.epochs,
        "B": tuned.epochs if tuned else 0,
        "C": tuned.frozen_epochs if tuned else 0,
    }


class Pace:
    """Measures the epochs of a run as they end.

    Attributes:
        remaining: how many epochs are left, at most.
        left: seconds that they take, by the mean of those measured; None before the first.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Begin now."""
        self._recipe, self._epochs = recipe, epochs(recipe)
        self._measured = 0
        self._start = self._last = time.monotonic()
        self.remaining = sum(self._epochs.values())
        self.left: float | None = None

    def line(self, entry: dict[str, Any]) -> str:
        """Take up an epoch that has just ended, and say in a line what came of it.

        Args:
            entry: its metrics, as `lehr.train.learning.loop.train` reports them.
        """
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self._measured += 1
        phase, epoch = entry["phase"], entry["epoch"]
        later = sum(count for name, count in self._epochs.items() if name > phase)
        self.remaining = self._epochs[phase] - epoch + later
        left = self.left = self.remaining * (now - self._start) / self._measured
        return (
            f"phase {phase}, epoch {epoch}/{self._epochs[phase]}: loss "
            f"{entry['loss']:.4f}, validation {100 * entry['validation_accuracy']:.2f} %, "
            f"{self._thresholds(entry)}, {seconds:.1f} s an epoch, {duration(left)} left"
        )

    def _thresholds(self, entry: dict[str, Any]) -> str:
        """Say where the lowest and the highest threshold stand and, in phase A, how far they are.

        That is the share of its way that the one furthest behind has gone.
        """
        thresholds = entry["thresholds"]
        text = f"thresholds {min(thresholds):.4g}..{max(thresholds):.4g}"
        if entry["phase"] != "A" or self._recipe.train.thresholds != "annealed":
            return text
        schedules = self._recipe.network.annealed
        if all(schedule.learned for schedule in schedules):
            return text
        share = min(map(gone, thresholds, schedules))
        return f"{text} ({math.floor(100 * share)} % of their way)"


def duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds, `0:01:05`."""
    return str(timedelta(seconds=round(seconds)))
