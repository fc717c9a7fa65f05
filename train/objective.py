"""The objectives: what training asks of the output layer, and when a sample is right.

Labels are classes, and the class with the highest score is the answer: its spike count or, where
the last layer integrates, what its readout takes from the membranes. Or the label is a step, and
there is one output.

count          a spike count for every class, by the mean square loss of Eshraghian & Lu 2022; right
where the label's count is the highest cross-entropy  of the softmax of the scores, which learns
faster where steps are few; right likewise ramp           a membrane that rises along a straight
line to one spike at the step that is the label, and is 0 afterwards, by the mean
               square distance from it: the paper's temporal task; right where the output fires
               once, alone, within TOLERANCE steps of the label
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import snntorch.functional
import torch
from torch import Tensor
from torch.nn import functional

from lehr.errors import UsageError
from lehr.train.data import Dataset
from lehr.train.recipe import Recipe

TOLERANCE = 5
"""By how many steps a spike may miss its own."""

TOP = 1.1
"""Of a ramp, in final thresholds.

It is high enough that the membrane crosses the threshold at the ramp's end, and not much earlier.
"""


class Objective(ABC):
    """A loss and what counts as right.

    Both take the spikes of all layers that fire, `[T, N, ...]` each, the output's last; its
    membranes `[T, N, outputs]` in the units of training; and labels int64 `[N]`.
    """

    @abstractmethod
    def require_outputs(self, outputs: int) -> None:
        """Raise UsageError where the output layer has not as many neurons as it takes."""

    @abstractmethod
    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return what is to become small, a scalar."""

    @abstractmethod
    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return the samples that are right, bool `[N]`."""


class Classes(Objective):
    """One output for each class."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def require_outputs(self, outputs: int) -> None:
        """One for each class; more are never right."""
        if outputs < self.classes:
            raise UsageError(
                f"the last layer has {outputs} neurons for {self.classes} classes; give it one for "
                "each"
            )

    @abstractmethod
    def scores(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """Return the scores of every class, `[N, classes]`."""

    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return where the highest score is the label's; the lowest index wins ties."""
        with torch.no_grad():
            return self.scores(spikes, membranes).flatten(1).argmax(1) == labels


class Count(Classes):
    """Spikes are counted, by class; `loss_of` is a loss of spikes `[T, N, classes]`."""

    def __init__(self, classes: int, loss_of: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(classes)
        self.loss_of = loss_of

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """As `loss_of` has it."""
        return self.loss_of(spikes[-1], labels)

    def scores(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:  # noqa: ARG002
        """Spike counts."""
        return spikes[-1].sum(0)


class Membrane(Classes):
    """The membranes of integrators are read out: `last`, `sum` or `max` of all steps, by class."""

    def __init__(self, classes: int, readout: str, label_smoothing: float = 0.0) -> None:
        super().__init__(classes)
        self.readout, self.label_smoothing = readout, label_smoothing

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the scores.

        Of sums it takes the means, so that a gain means the same for any number of steps.
        """
        scores = self.scores(spikes, membranes).flatten(1)
        return functional.cross_entropy(
            (scores / len(membranes) if self.readout == "sum" else scores).to(membranes.dtype),
            labels,
            label_smoothing=self.label_smoothing,
        )

    def scores(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the readout takes, in double, which holds every sum of integers."""
        wide = membranes.double()
        return (
            wide[-1]
            if self.readout == "last"
            else wide.sum(0)
            if self.readout == "sum"
            else wide.amax(0)
        )


@dataclass(frozen=True)
class Ramp(Objective):
    """The membrane follows a ramp to `top`, in the units of training."""

    top: float

    def require_outputs(self, outputs: int) -> None:
        """Exactly one."""
        if outputs != 1:
            raise UsageError(
                f"the last layer has {outputs} neurons, but with train.objective 'ramp' one "
                "follows it; give it 1 feature"
            )

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Mean square distance from the ramp."""
        step = torch.arange(len(membranes), device=membranes.device)[:, None]
        ramp = torch.where(step <= labels, self.top * step / labels, 0.0)
        return functional.mse_loss(membranes.flatten(1), ramp)

    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Return where the output fires once, alone, near the step that is the label."""
        fired = spikes[-1].detach().flatten(1)
        return (fired.sum(0) == 1) & ((fired.argmax(0) - labels).abs() <= TOLERANCE)


def objective(recipe: Recipe, data: Dataset) -> Objective:
    """Return the objective of a run.

    Raises:
        UsageError: when the labels do not fit it.
    """
    if recipe.train.objective == "count":
        right, wrong = recipe.train.rates
        return Count(
            data.classes,
            snntorch.functional.mse_count_loss(correct_rate=right, incorrect_rate=wrong),
        )
    if recipe.network.integrator is not None:
        return Membrane(
            data.classes, recipe.network.integrator.readout, recipe.train.label_smoothing
        )
    if recipe.train.objective == "cross-entropy":
        return Count(
            data.classes,
            lambda spikes, labels: functional.cross_entropy(
                spikes.sum(0), labels, label_smoothing=recipe.train.label_smoothing
            ),
        )
    labels = np.concatenate([split.y for split in (data.train, data.validation, data.test)])
    if labels.min() < 1 or labels.max() >= recipe.network.steps:
        raise UsageError(
            f"labels are {labels.min()} to {labels.max()}, but train.objective 'ramp' takes them "
            "as steps at which to fire; "
            f"use 1 to {recipe.network.steps - 1}, or the objective 'count'"
        )
    threshold = recipe.network.annealed[-1]
    return Ramp(TOP * (threshold.final or threshold.start))
