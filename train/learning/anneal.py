"""Threshold annealing: thresholds start low, so that spikes flow, and rise while the weights learn.

A binarized neuron sums many +-1 weights, and needs a high threshold to tell them apart; set high
from the start, nothing fires and nothing learns. Every schedule says where a layer's threshold
stands after a batch, and depends on nothing else than the threshold, the number of the batch and
the layer's firing rate in it: a run can be stopped and taken up anywhere.

Sources: Eshraghian & Lu 2022, "The fine line between dead neurons and sparsity in binarized spiking
neural networks", Eq. 4 (exponential); Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent
with warm restarts", Eq. 5, which Eshraghian et al. 2022, "Navigating local minima in quantized
spiking neural networks", use for the learning rate of quantized spiking networks (restarts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from lehr.train.keys.threshold import Threshold
from lehr.train.keys.training import Cosine, Training

FLOOR = 0.1
"""Spikes per neuron and step above which `rate-controlled` annealing raises a layer, if not given.

For the output it is the mean rate that the loss asks of it, because a threshold that presses below
works against the loss (measured: docs/training/thresholds.md).
"""

GROWTH = 0.01
"""The share of itself by which a batch raises a `rate-controlled` threshold, if none is given.

It doubles in 70 batches.
"""

UNTIL = 0.5
"""The share of phase A, or of a cycle, in which a threshold arrives, if none is given.

The weights need the other half, and its learning rate, to settle around it (measured:
docs/training/thresholds.md).
"""


@dataclass(frozen=True)
class Moment:
    """Position of phase A after a batch.

    Attributes:
        batch: batches trained so far, 1 after the first.
        batches: of all phase A.
        cycles: into which `restarts` divides them.
        rate: the layer's spikes per neuron and step in the last batch.
        floor: the one of the layer, where the recipe tells none.
    """

    batch: int
    batches: int
    cycles: int = 1
    rate: float = 0.0
    floor: float = FLOOR

    def position(self, schedule: Threshold) -> float:
        """Return how much of the way is gone, 0..1.

        All of it is from the share `until` of phase A, or of each cycle, on.
        """
        cycles = self.cycles if schedule.schedule == "restarts" else 1
        return min(
            1.0, cycle_position(self.batch, self.batches, cycles) / (schedule.until or UNTIL)
        )


def cycle_position(batch: int, batches: int, cycles: int) -> float:
    """Share of the present cycle that is gone, 0..1; 1 only at the end of the last one."""
    return 1.0 if batch >= batches else batch * cycles % batches / batches


def cosine(position: float) -> float:
    """From 0 at position 0 to 1 at position 1, flat at both."""
    return (1 - math.cos(math.pi * position)) / 2


def relax(threshold: Tensor, final: float, rate: float) -> None:
    """One step of exponential annealing, in place: theta += rate * (final - theta).

    Args:
        threshold: current threshold, any shape, in the membrane units of training.
        final: where it goes.
        rate: alpha in the paper, 0..1; 0 holds the threshold.
    """
    threshold += rate * (final - threshold)


def control(threshold: Tensor, schedule: Threshold, at: Moment) -> None:
    """Take one step of rate-controlled annealing, in place.

    A layer that fires more than its floor is raised, any other is left alone.
    """
    if at.rate > (schedule.floor or at.floor):
        threshold *= 1 + (GROWTH if schedule.rate is None else schedule.rate)
        threshold.clamp_(max=math.inf if schedule.final is None else schedule.final)


def _gone(schedule: Threshold, position: float) -> float:
    """Return the share of the gap from `start` to `final` that is closed at a position."""
    if schedule.schedule == "step":
        stages = schedule.stages or 1
        return math.floor(position * stages) / stages
    return position if schedule.schedule == "linear" else cosine(position)


def move(threshold: Tensor, schedule: Threshold, at: Moment) -> None:
    """Bring a layer's threshold, in place, to where its schedule wants it at a moment."""
    if schedule.schedule == "rate-controlled":
        control(threshold, schedule, at)
    elif schedule.final is not None and schedule.schedule == "exponential":
        relax(threshold, schedule.final, schedule.rate or 0.0)
    elif schedule.final is not None:
        threshold.fill_(
            schedule.start
            + (schedule.final - schedule.start) * _gone(schedule, at.position(schedule))
        )


class Annealer:
    """Moves the thresholds of all layers after every batch of phase A.

    Or it holds them where an arm of the comparison wants them.

    Attributes:
        batch: batches trained so far; with the thresholds, all that a run which is taken up again
            must set.
    """

    def __init__(
        self,
        thresholds: Sequence[Tensor],
        schedules: Sequence[Threshold],
        training: Training,
        batches: int,
        outputs: int | None,
    ) -> None:
        """Take over `thresholds`, which stand at `start`, for a phase of `batches` batches.

        The last of them is that of the `outputs` output neurons; where `outputs` is None, all
        belong to hidden layers.
        """
        right, wrong = training.rates
        self._floors = [FLOOR] * len(thresholds)
        if outputs is not None:
            self._floors[-1] = wrong + (right - wrong) / outputs
        self._layers = list(zip(thresholds, schedules, strict=True))
        self._training, self._batches, self.batch = training, batches, 0
        if training.thresholds == "final":
            for threshold, schedule in self._layers:
                threshold.fill_(schedule.start if schedule.final is None else schedule.final)

    def step(self, rates: Sequence[float]) -> None:
        """Go on by a batch, in which the layers fired `rates` spikes per neuron and step."""
        self.batch += 1
        if self._training.thresholds == "annealed":
            for (threshold, schedule), rate, floor in zip(
                self._layers, rates, self._floors, strict=True
            ):
                move(
                    threshold,
                    schedule,
                    Moment(self.batch, self._batches, self._training.cycles, rate, floor),
                )


def learning_rate(optimizer: Optimizer, training: Training, batches: int) -> LRScheduler:
    """Return the learning rate's schedule over phase A, to be stepped after each of its batches."""
    schedule = training.lr_schedule
    if isinstance(schedule, Cosine) and not training.warmup:
        return CosineAnnealingLR(optimizer, schedule.period)
    if schedule == "cosine" and not training.warmup:
        return CosineAnnealingLR(optimizer, batches)
    return LambdaLR(
        optimizer,
        lambda batch: _warmth(training, batch, batches) * _share_of_rate(training, batch, batches),
    )


def _warmth(training: Training, batch: int, batches: int) -> float:
    """Return the share of the scheduled rate that a batch, from 0, learns with in the warm-up.

    On a straight line: 1/n in the first of n batches, 1 in the last. The schedule runs beside it.
    """
    warm = round(training.warmup * batches)
    return (batch + 1) / warm if batch < warm else 1.0


def _share_of_rate(training: Training, batch: int, batches: int) -> float:
    """Return the share of `lr` that the schedule leaves a batch, from 0."""
    if isinstance(training.lr_schedule, Cosine):
        return 1 - cosine(batch / training.lr_schedule.period)
    if training.lr_schedule == "constant":
        return 1.0
    cycles = training.cycles if training.lr_schedule == "restarts" else 1
    return 1 - cosine(cycle_position(batch, batches, cycles))
