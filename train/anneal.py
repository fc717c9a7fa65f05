"""Threshold annealing: firing thresholds start low, so that spikes flow, and are raised while the weights learn.

A binarized neuron sums many +-1 weights, and needs a high threshold to tell them apart; set high from the start, nothing fires
and nothing learns.

Source: Eshraghian & Lu 2022, "The fine line between dead neurons and sparsity in binarized spiking neural networks", Eq. 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lehr.train.recipe import Threshold


def relax(threshold: Tensor, final: float, rate: float) -> None:
    """One step of exponential annealing, in place: theta += rate * (final - theta).

    Args:
        threshold: current threshold, any shape, in the membrane units of training.
        final: where it goes.
        rate: alpha in the paper, 0..1; 0 holds the threshold.
    """
    threshold += rate * (final - threshold)


class Annealer:
    """Moves the thresholds of all layers by one step, to be called after every batch."""

    def __init__(self, thresholds: Sequence[Tensor], schedules: Sequence[Threshold]) -> None:
        self._pairs = list(zip(thresholds, schedules, strict=True))

    def step(self) -> None:
        """One batch has been trained."""
        for threshold, schedule in self._pairs:
            if schedule.final is not None:
                relax(threshold, schedule.final, schedule.rate)
