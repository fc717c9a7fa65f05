"""Contradictions in a recipe's training: keys that say something against each other."""

from __future__ import annotations

from collections.abc import Iterator

from lehr.train.keys.network import NetworkRecipe
from lehr.train.keys.training import Training


def training_contradictions(training: Training, net: NetworkRecipe) -> list[str]:
    """Sentences, "key is value, but ...; what to change"."""
    return [
        *_of_optimizer(training),
        *_of_loss(training, net),
        *_of_noise(training, net),
        *_of_levels(training, net),
    ]


def _of_optimizer(training: Training) -> Iterator[str]:
    if training.weight_decay is not None and training.optimizer != "adamw":
        yield (
            f"train.weight_decay is {training.weight_decay:g}, but train.optimizer is "
            f"'{training.optimizer}', which has none; use 'adamw', or leave it out"
        )


def _of_loss(training: Training, net: NetworkRecipe) -> Iterator[str]:
    key = f"train.objective is '{training.objective}'"
    if training.label_smoothing and training.objective not in ("cross-entropy", "tet"):
        yield (
            f"train.label_smoothing is {training.label_smoothing:g}, but {key}, which has no "
            "classes' chances to smooth; use 'cross-entropy', or leave it out"
        )
    if training.objective == "tet" and net.integrator and net.integrator.readout == "every":
        yield (
            f"{key}, but {net.key(len(net.weighted) - 1)}.readout is 'every', which asks at "
            "every step already; use 'cross-entropy', or another readout"
        )
    if training.teacher is not None and training.objective in ("ramp", "spike"):
        yield (
            f"train.teacher.run is '{training.teacher.run}', but {key}, which has no scores of "
            "classes to learn; use another objective, or leave it out"
        )
    if (
        training.rate_penalty is not None
        and len(net.annealed) < 2
        and not (net.annealed and net.integrator)
    ):
        yield (
            f"train.rate_penalty.target is {training.rate_penalty.target:g}, but no layer is "
            "hidden, and the output's rates are what the objective asks; add a layer, or leave it "
            "out"
        )
    if not training.tet_share:
        return
    if training.objective != "tet":
        yield (f"train.tet_share is {training.tet_share:g}, but {key}; use 'tet', or leave it out")
    elif net.integrator is None:
        yield (
            f"train.tet_share is {training.tet_share:g}, but the last layer fires, and counts of "
            "spikes are drawn to no constant; end in integrators, or leave it out"
        )


def _of_noise(training: Training, net: NetworkRecipe) -> Iterator[str]:
    if training.weight_noise is not None and net.weights == "float":
        yield (
            f"train.weight_noise.deviation is {training.weight_noise.deviation:g}, but "
            "network.weights is 'float', and noise is on quantized weights; leave one out"
        )


def _of_levels(training: Training, net: NetworkRecipe) -> Iterator[str]:
    if training.constrained is None:
        return
    key = f"train.constrained.rate is {training.constrained.rate:g}, but"
    for number, layer in enumerate(net.weighted):
        if net.kind_of(layer) not in ("binary", "ternary"):
            weights = "float" if net.weights == "float" else layer.weights or net.weights
            yield (
                f"{key} {net.key(number)} has '{weights}' weights, and to 'binarized' and "
                "'ternary' ones alone are weights drawn; use those, or leave it out"
            )
            break
    if training.prune is not None:
        yield (
            f"{key} train.prune is {training.prune:g}, which takes of weights that are drawn to "
            "levels those near 0; use 'ternary' weights, or leave one out"
        )
    if training.patience is not None:
        yield (
            f"{key} train.patience is {training.patience}, which may end phase A before weights "
            "lie at levels; leave one out"
        )
    if training.clamp is not None:
        yield (
            f"{key} train.clamp is {training.clamp:g}, which may keep weights from levels; leave "
            "one out"
        )
    if training.weight_noise is not None:
        yield (
            f"{key} train.weight_noise.deviation is {training.weight_noise.deviation:g}, and noise "
            "is on quantized weights; leave one out"
        )
