"""The optimiser of phase A.

AdamW is Loshchilov & Hutter 2019, "Decoupled weight decay regularization", Algorithm 2: every
update takes the share lr * weight_decay from a weight, whatever its gradient. Of binarized weights
it draws the real values behind the signs towards 0, so that a sign that the loss does not hold on
to turns more easily.
"""

from __future__ import annotations

from torch.optim import SGD, Adam, AdamW, Optimizer

from lehr.train.model import FloatNet
from lehr.train.training_recipe import Training

WEIGHT_DECAY = 0.01
"""Of AdamW where the recipe gives none: torch's own."""


def optimizer_of(training: Training, model: FloatNet) -> Optimizer:
    """Return the optimiser that trains a model in phase A.

    Weight decay takes of the layers' weights alone: not of biases, batch norms, gains, steps of
    levels or whatever else a layer learns.
    """
    if training.optimizer == "adam":
        return Adam(model.parameters(), training.lr)
    if training.optimizer == "sgd":
        return SGD(model.parameters(), training.lr, training.momentum)
    weights = list(model.weights.values())
    decays = {id(weight) for weight in weights}
    decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
    return AdamW(
        [
            {"params": weights, "weight_decay": decay},
            {
                "params": [value for value in model.parameters() if id(value) not in decays],
                "weight_decay": 0.0,
            },
        ],
        training.lr,
    )
