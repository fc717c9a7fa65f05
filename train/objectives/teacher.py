"""Distillation: a network learns the scores of another one beside the labels.

Source: Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network", section 2: the
softmax of both networks' scores at a temperature, whose gradients the square of the temperature
brings back to the size of those of the labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lehr.errors import UsageError
from lehr.train.data import Dataset
from lehr.train.keys.network import NetworkRecipe
from lehr.train.keys.training import Teaching
from lehr.train.learning.evaluation import outputs
from lehr.train.learning.other_runs import TEACHER, open_run
from lehr.train.objectives.goal import Classes
from lehr.train.objectives.objective import objective
from lehr.train.processes import Part
from lehr.train.twin.network import Twin

SCALES = range(-24, 1)
"""Powers of two among which the one of a teacher's integer membranes is looked for."""


class Teacher:
    """A trained network and the scores that it gives samples.

    Attributes:
        scale: of its scores. Membranes of an integer network count in units that the run does not
            state; the power of two is taken with which their cross-entropy is the least on the
            validation samples. 1 of all others.
    """

    def __init__(self, teaching: Teaching, data: Dataset, device: torch.device) -> None:
        """Read the run.

        Raises:
            UsageError: when it is none whose scores can be learnt from these data.
        """
        other = open_run(TEACHER, teaching.run, data)
        goal = objective(other.recipe, data)
        if not isinstance(goal, Classes):
            raise UsageError(
                f"train.teacher.run is '{teaching.run}', which was trained with train.objective "
                f"'{other.recipe.train.objective}' and has no scores of classes; name another run"
            )
        self._teaching, self._goal = teaching, goal
        self._model = other.model.to(device).eval()
        self._few = torch.from_numpy(data.validation.x[:1]).to(device).float()
        self._held = data.steps is None
        self.scale = 1.0
        if goal.of_membranes and isinstance(other.model, Twin):
            self.scale = self._calibrated(data)

    def require_outputs(self, outputs: int, net: NetworkRecipe) -> None:
        """Refuse a teacher that has not a score for each output, or not at as many steps.

        Raises:
            UsageError: naming both.
        """
        *steps, _, mine = self.logits(self._few).shape
        key = f"train.teacher.run is '{self._teaching.run}'"
        if mine != outputs:
            raise UsageError(
                f"{key}, whose last layer has {mine} neurons, but this network's has {outputs}; "
                "name a run of as many"
            )
        every = net.integrator is not None and net.integrator.readout == "every"
        if every and steps and self._held and steps[0] != net.steps:
            raise UsageError(
                f"{key}, which answers at {steps[0]} steps, but network.steps is {net.steps}; name "
                "a run of as many"
            )

    def logits(self, x: Tensor) -> Tensor:
        """Return scores `[N, classes]`, or `[T, N, classes]` where it answers at every step."""
        with torch.no_grad():
            return self._goal.logits(*self._model.run(x)) * self.scale

    def loss(self, x: Tensor, logits: Tensor, part: Part) -> Tensor:
        """Return how far the scores of a batch are from the teacher's, a scalar.

        Args:
            x: this process's part of the batch, as the network got it.
            logits: that it gave of the whole batch, in one of the shapes of `logits`.
            part: this process's.
        """
        heat, taught = self._teaching.temperature, part.whole(self.logits(x), -2)
        if taught.ndim > logits.ndim:
            taught = taught[-1]  # its latest answer
        taught = taught.expand_as(logits)
        divergence = functional.kl_div(
            functional.log_softmax(logits.flatten(0, -2) / heat, 1),
            functional.log_softmax(taught.flatten(0, -2) / heat, 1),
            reduction="batchmean",
            log_target=True,
        )
        return divergence * heat**2

    def _calibrated(self, data: Dataset) -> float:
        """Return the power of two with which the teacher's own loss is the least."""
        batches = [(each[1], labels) for each, labels in outputs(self._model, data.validation)]
        membranes = torch.cat([each for each, _ in batches], 1)
        labels = torch.cat([each for _, each in batches])
        return min(
            (2.0**power for power in SCALES),
            key=lambda scale: float(self._goal.loss([], membranes * scale, labels)),
        )
