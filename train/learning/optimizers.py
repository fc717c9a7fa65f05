"""The optimiser of phase A.

AdamW is Loshchilov & Hutter 2019, "Decoupled weight decay regularization", Algorithm 2: every
update takes the share lr * weight_decay from a weight, whatever its gradient. Of binarized weights
it draws the real values behind the signs towards 0, so that a sign that the loss does not hold on
to turns more easily.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from lehr.train.floats.model import FloatNet
from lehr.train.keys.training import Training

WEIGHT_DECAY = 0.01
"""Of AdamW where the recipe gives none: torch's own."""


def optimizer_of(training: Training, model: FloatNet) -> Optimizer:
    """Return the optimiser that trains a model in phase A.

    Weight decay takes of the layers' weights alone: not of biases, batch norms, gains, steps of
    levels or whatever else a layer learns. Delays have learning rates of their own.
    """
    learned = [each for each in model.delays.values() if each.learns]
    delays: list[dict[str, Any]] = [{"params": [each.steps], "lr": each.lr} for each in learned]
    others = _without(model.parameters(), (each.steps for each in learned))
    if training.optimizer == "adam":
        return Adam([{"params": others}, *delays], training.lr)
    if training.optimizer == "sgd":
        return SGD([{"params": others}, *delays], training.lr, training.momentum)
    weights = list(model.weights.values())
    decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
    rest = {"params": _without(others, weights)}
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": decay}, rest, *delays]
    return AdamW(groups, training.lr, weight_decay=0.0)


def _without(values: Iterable[Tensor], some: Iterable[Tensor]) -> list[Tensor]:
    left_out = {id(value) for value in some}
    return [value for value in values if id(value) not in left_out]
