"""Model selection: which epoch of a phase goes on, by the accuracy on the validation samples.

The test samples have no say in it.

An epoch is a *candidate*

- in phase A, where `train.patience` is given and all thresholds have arrived: while they are still
  being raised, the task gets harder from epoch to epoch, and an early epoch would win with
  thresholds that nobody wants;
- in phase C (in phase B, where C has no epochs): there every epoch is a network that could be
  exported.

Of the candidates the one with the highest accuracy goes on, the earliest at ties; where there is
none, the last epoch does. Phase A without `train.patience` ends where its learning rate has come
down to 0, and needs no choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from lehr.train.keys.threshold import Threshold
from lehr.train.recipe import Training

ARRIVED = 0.01
"""A threshold has arrived when this share of its way is left.

Exponential annealing never gets to the end of it.
"""


def gone(threshold: float, schedule: Threshold) -> float:
    """Return the share of its way from `start` to `final` that a threshold has gone.

    It is 1 where it goes nowhere.

    Args:
        threshold: as it stands, in the membrane units of training.
        schedule: its own.
    """
    if schedule.final is None or schedule.final == schedule.start:
        return 1.0
    return (threshold - schedule.start) / (schedule.final - schedule.start)


def arrived(
    thresholds: Iterable[Tensor], schedules: Iterable[Threshold], training: Training
) -> bool:
    """Whether all thresholds stand where their schedules bring them in the end.

    They are scalars in the membrane units of training.
    """
    if training.thresholds != "annealed":
        return True
    return all(
        abs(1 - gone(float(now), schedule)) <= ARRIVED
        for now, schedule in zip(thresholds, schedules, strict=True)
    )


def chosen(metrics: Sequence[dict[str, Any]], phase: str) -> dict[str, Any]:
    """Return the entry of the epoch of `phase` that goes on; it has had one epoch at least."""
    entries = [entry for entry in metrics if entry["phase"] == phase]
    candidates = [entry for entry in entries if entry["candidate"]]
    return (
        max(candidates, key=lambda entry: float(entry["validation_accuracy"]))
        if candidates
        else entries[-1]
    )


def stalled(metrics: Sequence[dict[str, Any]], phase: str, patience: int | None) -> bool:
    """Whether `patience` candidates of `phase` have come after the best one."""
    candidates = [entry for entry in metrics if entry["phase"] == phase and entry["candidate"]]
    return (
        patience is not None
        and bool(candidates)
        and len(candidates) - 1 - candidates.index(chosen(metrics, phase)) >= patience
    )
