"""Recurrent weights of a torch model.

They bring the spikes of the step before, in the unit of the input that they are added to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from snntorch._neurons import rleaky, rsynaptic
from torch import nn

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.levels import read_levels
from lehr.export.torchmodels.neurons import by_channel
from lehr.nodes import Shape
from lehr.weights import LARGEST, Int8Array, WeightKind

ONE_TO_ONE = (rleaky.RecurrentOneToOne, rsynaptic.RecurrentOneToOne)
"""Modules through which each neuron hears itself alone."""


@dataclass(frozen=True)
class Recurrent:
    """Real weights and biases through which spikes come back.

    Weights have outputs first; biases are one per output, or one for all.
    """

    weight: Float
    bias: Float | float


def recurrent_weights(module: Any, shape: Shape) -> Recurrent:
    """Return the weights through which a neuron module's spikes come back.

    Args:
        module: the neuron's `recurrent`, in double precision.
        shape: of the neurons, without batch.

    Raises:
        NotMappable: when it is a module that snnTorch's neurons do not make.
    """
    if isinstance(module, ONE_TO_ONE):
        own = by_channel(module.V, "V", shape)
        return Recurrent(np.diag(own) if len(shape) == 1 else own.reshape(-1, 1, 1, 1), 0.0)
    if not isinstance(module, (nn.Linear, nn.Conv2d)):
        raise NotMappable(
            f"its spikes come back through {type(module).__name__}; use nn.Linear or nn.Conv2d"
        )
    return Recurrent(
        module.weight.detach().numpy(), 0.0 if module.bias is None else module.bias.detach().numpy()
    )


@dataclass(frozen=True)
class SharedStep:
    """Weights of the input and recurrent ones as levels of one step per output.

    Attributes:
        input: levels of the input's weights; without any, one that is 1 per channel.
        recurrent: levels, outputs first.
        step: per channel of the neurons, in the steps that the input's weights had before.
        moved: how far the farthest weight is from its level, in steps.
        notes: which outputs lost all weights of one of the two, in sentences.
    """

    input: Int8Array
    recurrent: Int8Array
    step: Float
    moved: float
    notes: tuple[str, ...]


def share_step(
    real: Float | None, recurrent: Float, gain: Float, rounded: WeightKind | None
) -> SharedStep:
    """Find one step for all weights whose currents are added in a neuron.

    Args:
        real: weights of the input, not rounded, in steps, outputs first; several neurons in a row
            of channels may share an output of a convolution. None where the neurons take spikes or
            inputs without weights.
        recurrent: weights, `[channels, ...]`.
        gain: what a step of the input's weights is worth, `[channels]`, none of them 0.
        rounded: `int2` to `int8`, to which weights without a common step are rounded; None refuses
            them.

    Raises:
        NotMappable: when there is no common step, or when rounding to one leaves half of the
            outputs or more nothing of the input or of the recurrence.
    """
    channels = len(recurrent)
    own = np.ones((channels, 1)) if real is None else real.reshape(len(real), -1)
    back = (recurrent.reshape(channels, -1) / gain[:, None]).reshape(len(own), -1)
    if not np.isfinite(back).all():
        raise NotMappable("its recurrent weights are not finite; train it again")
    try:
        read = read_levels(np.concatenate([own, back], axis=1), None if real is None else rounded)
    except NotMappable:
        raise NotMappable(_no_step(real is None)) from None
    levels, returning = read.levels[:, : own.shape[1]], read.levels[:, own.shape[1] :]
    if real is None and np.any(levels != 1):
        raise NotMappable(_no_step(bare=True))
    notes = []
    for name, given, kept in (("input's", own, levels), ("recurrent", back, returning)):
        lost = given.any(axis=1) & ~kept.any(axis=1)
        if lost.any():
            notes.append(
                f"outputs {', '.join(map(str, np.flatnonzero(lost)))} keep none of their {name} "
                "weights beside the others, which are larger"
            )
        if lost.any() and 2 * lost.sum() >= given.any(axis=1).sum():
            times = max(np.abs(own).max(), np.abs(back).max()) / np.abs(given).max()
            raise NotMappable(
                f"its {name} weights are up to {times:,.0f} times smaller than those that are "
                "added to them, so that a common step leaves"
                f" none of them to {lost.sum()} of {len(own)} outputs; use more bits, or put "
                "neurons before it where it takes pixels or"
                " counts"
            )
    step = np.repeat(read.step, channels // len(own))
    return SharedStep(
        levels.reshape(own.shape if real is None else real.shape),
        returning.reshape(recurrent.shape),
        step,
        read.moved,
        tuple(notes),
    )


def _no_step(bare: bool) -> str:
    if bare:
        return (
            "its recurrent weights are no whole multiples of what it takes, and there are no "
            "weights before it that could share a step"
            " with them; put a layer with weights before it"
        )
    return (
        f"its recurrent weights and its input's are not up to {LARGEST['int8']} levels of one step "
        "in each output; train both with one"
        " step, or have them rounded to one with --weights int8 (weights='int8' in Python)"
    )
