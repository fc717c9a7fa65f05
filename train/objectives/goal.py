"""What an objective of training is: a loss, and what counts as right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from lehr.errors import UsageError


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
        """Return what is right, bool: `[N]`, a sample each, or a label each where it has more."""


class Classes(Objective):
    """One output for each class.

    Attributes:
        of_membranes: whether the scores are read out of membranes, and not of spikes.
    """

    of_membranes: bool = False

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
        """Return the scores of every class, `[N, classes]`, or of every step, `[T, N, classes]`."""

    def logits(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """Return the scores as a softmax takes them, of the type that is trained in."""
        return self.scores(spikes, membranes)

    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return where the highest score is the label's; the lowest index wins ties."""
        with torch.no_grad():
            return self.scores(spikes, membranes).flatten(1).argmax(1) == labels
