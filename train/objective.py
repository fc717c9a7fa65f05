"""What training asks of the output layer, and when a sample counts as right.

count          a spike count for every class, by the mean square loss of Eshraghian & Lu 2022; right where the label's count is the highest
cross-entropy  of the softmax of the spike counts, which learns faster where steps are few; right likewise
ramp           a membrane that rises along a straight line to one spike at the step that is the label, and is 0 afterwards, by the mean
               square distance from it: the paper's temporal task; right where the output fires once, alone, within TOLERANCE steps
               of the label
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import snntorch.functional
import torch
from torch import Tensor

from lehr.errors import UsageError
from lehr.train.data import Dataset
from lehr.train.recipe import Recipe

TOLERANCE = 5
"""By how many steps a spike may miss its own."""

TOP = 1.1
"""Of a ramp, in final thresholds: high enough that the membrane crosses the threshold at the ramp's end, and not much earlier."""


class Objective(ABC):
    """A loss and what counts as right; spikes and membranes are those of the output, `[T, N, outputs]`, labels int64 `[N]`."""

    @abstractmethod
    def require_outputs(self, outputs: int) -> None:
        """Raise UsageError where the output layer has not as many neurons as it takes."""

    @abstractmethod
    def loss(self, spikes: Tensor, membranes: Tensor, labels: Tensor) -> Tensor:
        """What is to become small, a scalar; membranes in the units of training."""

    @abstractmethod
    def right(self, spikes: Tensor, labels: Tensor) -> Tensor:
        """Which samples are right, bool `[N]`."""


class Count(Objective):
    """Spikes are counted, by class; `loss_of` is one of snnTorch's losses of spikes."""

    def __init__(self, classes: int, loss_of: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.classes, self.loss_of = classes, loss_of

    def require_outputs(self, outputs: int) -> None:
        """One for each class; more are never right."""
        if outputs < self.classes:
            raise UsageError(f"the last layer has {outputs} neurons for {self.classes} classes; give it one for each")

    def loss(self, spikes: Tensor, membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """As `loss_of` has it."""
        return self.loss_of(spikes, labels)

    def right(self, spikes: Tensor, labels: Tensor) -> Tensor:
        """Where the highest count is the label's; the lowest index at ties."""
        return spikes.detach().sum(0).flatten(1).argmax(1) == labels


@dataclass(frozen=True)
class Ramp(Objective):
    """The membrane follows a ramp to `top`, in the units of training."""

    top: float

    def require_outputs(self, outputs: int) -> None:
        """Exactly one."""
        if outputs != 1:
            raise UsageError(f"the last layer has {outputs} neurons, but with train.objective 'ramp' one follows it; give it 1 feature")

    def loss(self, spikes: Tensor, membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Mean square distance from the ramp."""
        step = torch.arange(len(membranes), device=membranes.device)[:, None]
        ramp = torch.where(step <= labels, self.top * step / labels, 0.0)
        return torch.nn.functional.mse_loss(membranes.flatten(1), ramp)

    def right(self, spikes: Tensor, labels: Tensor) -> Tensor:
        """Where the output fires once, alone, near the step that is the label."""
        fired = spikes.detach().flatten(1)
        return (fired.sum(0) == 1) & ((fired.argmax(0) - labels).abs() <= TOLERANCE)


def objective(recipe: Recipe, data: Dataset) -> Objective:
    """The objective of a run.

    Raises:
        UsageError: when the labels do not fit it.
    """
    if recipe.train.objective == "count":
        right, wrong = recipe.train.rates
        return Count(data.classes, snntorch.functional.mse_count_loss(correct_rate=right, incorrect_rate=wrong))
    if recipe.train.objective == "cross-entropy":
        return Count(data.classes, snntorch.functional.ce_count_loss())
    labels = np.concatenate([split.y for split in (data.train, data.validation, data.test)])
    if labels.min() < 1 or labels.max() >= recipe.network.steps:
        raise UsageError(
            f"labels are {labels.min()} to {labels.max()}, but train.objective 'ramp' takes them as steps at which to fire; "
            f"use 1 to {recipe.network.steps - 1}, or the objective 'count'"
        )
    threshold = recipe.network.layers[-1].threshold
    return Ramp(TOP * (threshold.final or threshold.start))
