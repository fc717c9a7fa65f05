"""The loss of a training: its objective's, and what a recipe adds to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lehr.train.objectives.goal import Classes, Objective
from lehr.train.objectives.teacher import Teacher
from lehr.train.processes import Part
from lehr.train.recipe import Recipe


class Loss:
    """The sum that training makes small."""

    def __init__(self, recipe: Recipe, goal: Objective, teacher: Teacher | None) -> None:
        """Take the objective, and the teacher where the recipe names one."""
        self._goal, self._teacher = goal, teacher
        self._teaching, self._penalty = recipe.train.teacher, recipe.train.rate_penalty
        self._hidden = slice(None if recipe.network.integrator is not None else -1)

    def __call__(
        self,
        x: Tensor,
        spikes: Sequence[Tensor],
        membranes: Tensor,
        labels: Tensor,
        part: Part,
    ) -> Tensor:
        """Return the loss of a whole batch, a scalar.

        Args:
            x: the inputs of this process's part, as the network got them.
            spikes: of all layers that fire, `[T, N, ...]` each, the output's of the whole batch.
            membranes: of the output, `[T, N, outputs]`, of the whole batch.
            labels: int64 `[N]` or `[N, T]`, of the whole batch.
            part: of the batch, this process's.
        """
        loss = self._goal.loss(spikes, membranes, labels)
        if self._teacher is not None:
            assert self._teaching is not None
            assert isinstance(self._goal, Classes)
            taught = self._teacher.loss(x, self._goal.logits(spikes, membranes), part)
            loss = (1 - self._teaching.share) * loss + self._teaching.share * taught
        if self._penalty is not None:
            above = [
                (part.mean(layer) - self._penalty.target).clamp(min=0) ** 2
                for layer in spikes[self._hidden]
            ]
            loss = loss + self._penalty.weight * torch.stack(above).sum()
        return loss
