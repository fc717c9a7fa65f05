"""The membranes of a torch model's last layer as its answer: in one unit, and as scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable, UsageError
from lehr.export.decays import Decay
from lehr.export.fold import Float
from lehr.export.levels import read_levels
from lehr.export.nirgraph.semantics import ReadWhat
from lehr.export.pending import Dynamics
from lehr.export.torchmodels.chain import Chain
from lehr.spelling import either
from lehr.weights import Int8Array, WeightKind

READS: tuple[str, ...] = get_args(ReadWhat)
_WAYS = "--readout last, sum or max (in Python: readout='last')"


@dataclass(frozen=True)
class OneUnit:
    """Weights as levels of one step for all outputs.

    Attributes:
        levels: outputs first.
        real: the weights in steps, not rounded.
        step: what one level is worth.
        moved: how far the farthest weight is from its level, in steps.
    """

    levels: Int8Array
    real: Float
    step: float
    moved: float


def settled_read(chain: Chain, last: str, fires: bool, asked: ReadWhat | None) -> ReadWhat:
    """Return what is read of the last layer: the count of its spikes, or its membranes.

    Args:
        chain: the model's layers, and what its forward returns of them.
        last: qualified name of the last layer.
        fires: whether that is neurons.
        asked: what the user says; None for the count of spikes.

    Raises:
        UsageError: when the answer of the model is a membrane, and what of it decides is not said.
        NotMappable: likewise, when the last layer is no neurons.
    """
    if asked not in (None, *READS):
        raise UsageError(f"--readout is {asked!r}; {either(str(asked), READS)}")
    if asked not in (None, "count"):
        return asked
    if not fires:
        raise NotMappable(
            f"{last}: it is the last layer, and no neurons follow it; end in neurons, or say which "
            f"of its values counts: {_WAYS}"
        )
    if not chain.heads.get(last, True):
        raise UsageError(
            f"{last}: forward returns its membrane and not its spikes; say which of its membranes "
            f"counts: {_WAYS}"
        )
    return "count"


def deciding(chain: Chain, asked: str | None) -> str:
    """Return the layer that decides: that which forward returns, or which of them is asked for.

    Args:
        chain: the model's layers, and what its forward returns of them.
        asked: its qualified name; None where there is one.

    Raises:
        UsageError: when there are several, and it is not said which.
    """
    ways = " or ".join(f"--read-from {name}" for name in chain.heads)
    if asked is not None and asked not in chain.heads:
        raise UsageError(f"--read-from is {asked!r}, which forward does not end in; use {ways}")
    if asked is None and len(chain.heads) > 1:
        first = next(iter(chain.heads))
        raise UsageError(
            f"forward returns what {len(chain.heads)} layers give; say which of them decides: "
            f"{ways} (in Python: read_from={first!r})"
        )
    return asked or next(iter(chain.heads), next(reversed([*chain.layers]), "model"))


def require_read(dynamics: Dynamics, *, at_end: bool) -> None:
    """Refuse neurons of other libraries of which something else is read than what they give.

    Raises:
        NotMappable: where it is so. The caller names the module.
    """
    if dynamics.integrates and not at_end:
        raise NotMappable(
            "it never fires, and what it gives is no spikes; let forward return it, and say which "
            "of its values counts: --readout last (in Python: readout='last')"
        )
    if at_end and not dynamics.integrates:
        raise NotMappable(
            "its membranes are read out, and of other libraries' neurons only spikes are, or what "
            "those give that never fire; read out its spikes"
        )


def values(channels: int) -> Dynamics:
    """Return integrators that keep nothing: their membrane is what comes to them in the step."""
    arithmetic = Arithmetic(decay_numerator=0, decay_shift=0, reset="none", fires="never")
    return Dynamics(arithmetic, (Decay(0, 0, 0.0),), np.ones(channels), None)


def one_unit(real: Float, gain: Float, rounded: WeightKind | None) -> OneUnit:
    """Find one step for the weights of all outputs, so that their membranes have one unit.

    Args:
        real: the weights, not rounded, in steps of their own, outputs first.
        gain: what such a step is worth, by output, or by neuron where several in a row share the
            weights of an output.
        rounded: `int2` to `int8`, to which weights without a common step are rounded; None refuses
            them.

    Raises:
        NotMappable: when there is no common step, or neurons of one output differ in their gain.
    """
    by_output = gain.reshape(len(real), -1)
    if (by_output != by_output[:, :1]).any():
        raise NotMappable(
            "its membranes are read out, and neurons that share weights have different gains; "
            "read out its spikes, or put the batch norm before the flattening"
        )
    worth = real * by_output[:, 0].reshape(-1, *[1] * (real.ndim - 1))
    try:
        read = read_levels(worth.reshape(1, -1), rounded)
    except NotMappable:
        raise NotMappable(
            "its membranes are read out and compared, and the weights of its channels have no one "
            "step in common; have them rounded to one with --weights int8 (in Python: "
            "weights='int8'), or read out its spikes"
        ) from None
    step = float(read.step[0])
    return OneUnit(read.levels.reshape(real.shape), worth / step, step, read.moved)
