"""Objectives that ask for the class at every step, not at the end of the steps alone.

Two of them: TET, which trains a network that answers once, and the objective of one that answers
at every step, as who listens for key words does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lehr.train.objectives.goal import Classes

LEVEL = 1.0
"""To which the share `train.tet_share` of the loss draws outputs; phi of the paper's code."""


class Tet(Classes):
    """Temporal efficient training: the mean over the steps of the cross-entropy of each output.

    The output of a step is the membrane there, where the last layer integrates, and the spikes
    counted so far, where it fires. By Jensen's inequality the loss is no less than that of the
    mean output, and its gradient keeps large where that loss has become flat.

    Source: Deng, Li, Zhang & Gu 2022, "Temporal efficient training of spiking neural network via
    gradient re-weighting", Eq. 9 and 11: (1 - share) * TET + share * mean square distance of the
    outputs from a constant.
    """

    def __init__(self, readout: Classes, label_smoothing: float, share: float) -> None:
        super().__init__(readout.classes)
        self.readout, self.label_smoothing, self.share = readout, label_smoothing, share
        self.of_membranes = readout.of_membranes

    def outputs(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """Return the outputs of all steps, `[T, N, classes]`."""
        return (membranes if self.of_membranes else spikes[-1].cumsum(0)).flatten(2)

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Take the mean over steps and samples."""
        outputs = self.outputs(spikes, membranes)
        loss = functional.cross_entropy(
            outputs.flatten(0, 1),
            labels.repeat(len(outputs)),
            label_smoothing=self.label_smoothing,
        )
        if not self.share:
            return loss
        distance = functional.mse_loss(outputs, torch.full_like(outputs, LEVEL))
        return (1 - self.share) * loss + self.share * distance

    def scores(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """As the readout has it, which answers once, after all steps."""
        return self.readout.scores(spikes, membranes)

    def logits(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:
        """As the readout has them."""
        return self.readout.logits(spikes, membranes)


class Every(Classes):
    """The membranes of integrators are an answer at every step: the class of the highest one.

    Labels are int64 `[N]`, for all steps, or `[N, T]`, -1 where a step has none. A step with a
    label counts as one in loss and accuracy.
    """

    of_membranes = True

    def __init__(self, classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(classes)
        self.label_smoothing = label_smoothing

    def loss(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return the mean of the cross-entropy over all labelled steps; 0 where there are none."""
        wanted = self._by_step(labels, len(membranes))
        entropy = functional.cross_entropy(
            self.scores(spikes, membranes).flatten(0, 1),
            wanted.flatten(),
            ignore_index=-1,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return entropy / (wanted >= 0).sum().clamp(min=1)

    def scores(self, spikes: Sequence[Tensor], membranes: Tensor) -> Tensor:  # noqa: ARG002
        """Membranes, `[T, N, classes]`."""
        return membranes.flatten(2)

    def right(self, spikes: Sequence[Tensor], membranes: Tensor, labels: Tensor) -> Tensor:
        """Return the labelled steps of all samples, bool `[labelled]`; the lowest index wins."""
        with torch.no_grad():
            wanted = self._by_step(labels, len(membranes))
            return (self.scores(spikes, membranes).argmax(2) == wanted)[wanted >= 0]

    def _by_step(self, labels: Tensor, steps: int) -> Tensor:
        """Return labels `[T, N]`."""
        return labels.T if labels.ndim == 2 else labels.expand(steps, -1)
