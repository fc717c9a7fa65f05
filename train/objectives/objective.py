"""The objectives: what training asks of the output layer, and when a sample is right.

Labels are classes, and the class with the highest score is the answer: its spike count or, where
the last layer integrates, what its readout takes from the membranes. Or the label is a step, and
there is one output.

- `count`: a spike count for every class, by the mean square loss of Eshraghian & Lu 2022; right
  where the label's count is the highest.
- `cross-entropy`: of the softmax of the scores, which learns faster where steps are few; right
  likewise. Where integrators are read out at `every` step, `lehr.train.objectives.each_step`.
- `tet`: the mean over the steps of the cross-entropy of each step's outputs,
  `lehr.train.objectives.each_step`; right as with `cross-entropy`.
- `ramp`, `spike`: one output that fires at the step that is the label,
  `lehr.train.objectives.timed`; right where it fires once, alone, within a few steps of the label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import snntorch.functional
from torch import Tensor
from torch.nn import functional

from lehr.errors import UsageError
from lehr.train.data import Dataset
from lehr.train.objectives.each_step import Every, Tet
from lehr.train.objectives.goal import Classes
from lehr.train.objectives.goal import Objective as Objective
from lehr.train.objectives.timed import TIMED
from lehr.train.recipe import Recipe


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

    of_membranes = True

    def __init__(self, classes: int, readout: str, label_smoothing: float = 0.0) -> None:
        super().__init__(classes)
        self.readout, self.label_smoothing = readout, label_smoothing

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the scores."""
        return functional.cross_entropy(
            self.logits(spikes, membranes), labels, label_smoothing=self.label_smoothing
        )

    def logits(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """Of sums they are the means, so that a gain means the same for any number of steps."""
        scores = self.scores(spikes, membranes).flatten(1)
        return (scores / len(membranes) if self.readout == "sum" else scores).to(membranes.dtype)

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


def objective(recipe: Recipe, data: Dataset) -> Objective:
    """Return the objective of a run.

    Raises:
        UsageError: when the labels do not fit it.
    """
    _require_labels(recipe, data)
    if recipe.train.objective == "count":
        right, wrong = recipe.train.rates
        return Count(
            data.classes,
            snntorch.functional.mse_count_loss(correct_rate=right, incorrect_rate=wrong),
        )
    if recipe.train.objective in ("cross-entropy", "tet"):
        return _of_classes(recipe, data)
    labels = np.concatenate([split.y for split in (data.train, data.validation, data.test)])
    if labels.min() < 1 or labels.max() >= recipe.network.steps:
        raise UsageError(
            f"labels are {labels.min()} to {labels.max()}, but train.objective "
            f"'{recipe.train.objective}' takes them as steps at which to fire; "
            f"use 1 to {recipe.network.steps - 1}, or the objective 'count'"
        )
    threshold = recipe.network.annealed[-1]
    return TIMED[recipe.train.objective](threshold.final or threshold.start)


def _of_classes(recipe: Recipe, data: Dataset) -> Classes:
    """Return the objective of a softmax over the classes."""
    training, integrator = recipe.train, recipe.network.integrator
    smoothing = training.label_smoothing
    if integrator is None:
        readout: Classes = Count(
            data.classes,
            lambda spikes, labels: functional.cross_entropy(
                spikes.sum(0), labels, label_smoothing=smoothing
            ),
        )
    elif integrator.readout == "every":
        return Every(data.classes, smoothing)
    else:
        readout = Membrane(data.classes, integrator.readout, smoothing)
    return Tet(readout, smoothing, training.tet_share) if training.objective == "tet" else readout


def _require_labels(recipe: Recipe, data: Dataset) -> None:
    """Refuse labels of every step where nothing asks for them, or for other steps."""
    labels, integrator = data.train.y, recipe.network.integrator
    if labels.ndim == 1:
        return
    if integrator is None or integrator.readout != "every":
        raise UsageError(
            f"labels are given for each of {labels.shape[1]} steps, but the network answers once; "
            "end it in integrators of readout 'every', or give one label per sample"
        )
    if labels.shape[1] != recipe.network.steps:
        raise UsageError(
            f"labels are given for {labels.shape[1]} steps, but network.steps is "
            f"{recipe.network.steps}; set them to one number"
        )
