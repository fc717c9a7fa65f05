"""Contradictions in a recipe's training: keys that say something against each other."""

from __future__ import annotations

from collections.abc import Iterator

from lehr.train.network_recipe import NetworkRecipe
from lehr.train.training_recipe import Training


def training_contradictions(training: Training, net: NetworkRecipe) -> list[str]:  # noqa: ARG001
    """Sentences, "key is value, but ...; what to change"."""
    return [*_of_optimizer(training), *_of_loss(training)]


def _of_optimizer(training: Training) -> Iterator[str]:
    if training.weight_decay is not None and training.optimizer != "adamw":
        yield (
            f"train.weight_decay is {training.weight_decay:g}, but train.optimizer is "
            f"'{training.optimizer}', which has none; use 'adamw', or leave it out"
        )


def _of_loss(training: Training) -> Iterator[str]:
    if training.label_smoothing and training.objective != "cross-entropy":
        yield (
            f"train.label_smoothing is {training.label_smoothing:g}, but train.objective is "
            f"'{training.objective}', which has no classes' chances to smooth; use "
            "'cross-entropy', or leave it out"
        )
