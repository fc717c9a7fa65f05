"""A quick training: a quarter of the epochs, and thresholds that arrive in them all the same.

    recipe = load("fashion-mnist-short")
    data = load_dataset(recipe.data, folder)
    trained = train(quick(recipe, len(data.train)), data)

What a recipe states as a share of phase A shrinks with it: the schedules `linear`, `cosine`, `step`
and `restarts`, learning rates and pruning; so does the period of a learning rate. The rates of
`exponential` and `rate-controlled` annealing are by batch, and are raised here: the first as far as
it takes to arrive, which many recipes' own rates do not in a quarter of their batches, the second
so that a threshold grows as far as before.
"""

from __future__ import annotations

import math

from lehr.train.keys.layer import Add, Integrator
from lehr.train.keys.network import NetworkRecipe
from lehr.train.keys.threshold import Threshold
from lehr.train.keys.training import Cosine
from lehr.train.learning.anneal import GROWTH, UNTIL
from lehr.train.learning.selection import ARRIVED
from lehr.train.recipe import Recipe

SHARE = 0.25
"""Of the epochs of every phase."""

BATCHES = 300
"""Phase A has no fewer, unless the recipe has: with less, hardly a network learns anything."""


def arrival_rate(batches: int) -> float:
    """Return the rate by which exponential annealing arrives in half of `batches` batches.

    The weights need the other half to settle, as for schedules that state no `until`.
    """
    return float(1 - ARRIVED ** (1 / (UNTIL * batches)))


def arrival_batches(rate: float) -> float:
    """Return how many batches phase A needs to arrive in half of them, for a rate within 0..1."""
    return math.log(ARRIVED) / math.log1p(-rate) / UNTIL


def quick(recipe: Recipe, samples: int) -> Recipe:
    """Return a recipe that trains for a quarter of the epochs, with schedules to match.

    Args:
        recipe: of the whole training.
        samples: how many it trains on.
    """
    per_epoch = -(-samples // recipe.train.batch_size)
    whole = recipe.train.epochs
    epochs = min(whole, max(_share(whole), -(-BATCHES // per_epoch)))
    network = _faster(recipe.network, whole / epochs, epochs * per_epoch)
    patience = recipe.train.patience and _share(recipe.train.patience)
    training = recipe.train.model_copy(
        update={
            "epochs": epochs,
            "patience": patience,
            "lr_schedule": _shorter(recipe.train.lr_schedule, whole / epochs),
        }
    )
    tuning = recipe.finetune and recipe.finetune.model_copy(
        update={
            "epochs": _share(recipe.finetune.epochs),
            "frozen_epochs": _share(recipe.finetune.frozen_epochs),
        }
    )
    return recipe.model_copy(update={"network": network, "train": training, "finetune": tuning})


def _share(epochs: int) -> int:
    return math.ceil(SHARE * epochs)


def _shorter(schedule: str | Cosine, factor: float) -> str | Cosine:
    """Return a learning rate's schedule for a phase A that is `factor` times shorter."""
    if isinstance(schedule, str):
        return schedule
    return schedule.model_copy(update={"period": max(1, round(schedule.period / factor))})


def _faster(net: NetworkRecipe, factor: float, batches: int) -> NetworkRecipe:
    """Return the network with rates for `batches` batches, where it had `factor` times as many."""
    layers = [
        layer
        if isinstance(layer, (Integrator, Add))
        else layer.model_copy(update={"threshold": _scaled(layer.threshold, factor, batches)})
        for layer in net.layers
    ]
    return net.model_copy(update={"layers": tuple(layers)})


def _scaled(threshold: Threshold, factor: float, batches: int) -> Threshold:
    if threshold.schedule == "rate-controlled":
        growth = GROWTH if threshold.rate is None else threshold.rate
        rate = min(1.0, (1 + growth) ** factor - 1)
    elif threshold.rate:
        rate = max(threshold.rate, arrival_rate(batches))
    else:  # a share of phase A, or held
        return threshold
    return threshold.model_copy(update={"rate": rate})
