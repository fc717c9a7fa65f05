"""Objectives whose label is a step, at which the one output is to fire once, alone.

`ramp`   the output's membrane rises along a straight line to TOP thresholds at the label, and is 0
         afterwards: the temporal task of Eshraghian & Lu 2022.
`spike`  the membrane rises along a line that stays below the threshold, is 0 after the label, and
         at the label it is higher than in any other step. The paper's line is above the threshold
         from 0.91 of the way on, and asks for as many spikes as there are steps; this one asks for
         one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lehr.errors import UsageError
from lehr.train.objectives.goal import Objective

TOLERANCE = 5
"""By how many steps a spike may miss its own."""

TOP = 1.1
"""Of the paper's ramp, in thresholds.

It is high enough that the membrane crosses the threshold at the ramp's end.
"""

BELOW = 0.9
"""Of the ramp of `spike`, in thresholds."""

TEMPERATURE = 0.1
"""What the membranes of `spike` are divided by before the softmax, in thresholds.

The label's has to stand out by some of it, which is what a ramp to 0.9 leaves to the threshold.
"""

SHARE = 0.1
"""Of the cross-entropy of `spike`, in squares of the threshold."""


@dataclass(frozen=True)
class Timed(Objective):
    """One output, and a step at which it is to fire.

    Attributes:
        threshold: of the output in the end, in the units of training.
    """

    name: ClassVar[str]
    threshold: float

    @property
    @abstractmethod
    def top(self) -> float:
        """Where the ramp ends, in the units of training."""

    def require_outputs(self, outputs: int) -> None:
        """Exactly one."""
        if outputs != 1:
            raise UsageError(
                f"the last layer has {outputs} neurons, but with train.objective '{self.name}' one "
                "fires at the label; give it 1 feature"
            )

    def ramp(self, steps: int, labels: Tensor) -> Tensor:
        """Return the membranes that are asked for, `[T, N]`."""
        step = torch.arange(steps, device=labels.device)[:, None]
        return torch.where(step <= labels, self.top * step / labels, 0.0)

    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Return where the output fires once, alone, near the step that is the label."""
        fired = spikes[-1].detach().flatten(1)
        return (fired.sum(0) == 1) & ((fired.argmax(0) - labels).abs() <= TOLERANCE)


class Ramp(Timed):
    """The paper's ramp."""

    name = "ramp"

    @property
    def top(self) -> float:
        """Above the threshold."""
        return TOP * self.threshold

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Mean square distance from the ramp."""
        return functional.mse_loss(membranes.flatten(1), self.ramp(len(membranes), labels))


class Spike(Timed):
    """A ramp below the threshold, and the spike."""

    name = "spike"

    @property
    def top(self) -> float:
        """Below the threshold."""
        return BELOW * self.threshold

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        """Mean square distance from the ramp but at the label, and a cross-entropy.

        It is that of the softmax of the membranes over the steps. Both are in squares of the units
        of training.
        """
        flat = membranes.flatten(1)
        elsewhere = functional.one_hot(labels, len(flat)).T == 0
        ramp = ((flat - self.ramp(len(flat), labels)) ** 2 * elsewhere).mean()
        steps = flat.T / (TEMPERATURE * self.threshold)
        return ramp + SHARE * self.threshold**2 * functional.cross_entropy(steps, labels)


TIMED: dict[str, type[Ramp] | type[Spike]] = {each.name: each for each in (Ramp, Spike)}
"""By their names in a recipe."""
