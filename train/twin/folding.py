"""Folding a trained layer for the twin.

It computes in float32, and so has a limit of its own for thresholds.

Float32 holds every integer up to 2**24. A channel whose gain is near 0 would have a threshold that
leaves nothing of that range for its sums; its gain is raised until the threshold is THRESHOLD_MAX,
and the bias with it, so that a bias alone fires it as often as before. Its weights count for more
then than they did, which phase B trains on; `clamped` names these channels, and `lehr train` says
so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.errors import NotMappable
from lehr.export.fold import THRESHOLD_ERROR, Affine, Folded, fold, in_units

THRESHOLD_MAX = 2**18
"""The greatest threshold of the twin."""


@dataclass(frozen=True)
class TwinFold:
    """A layer of the twin.

    Attributes:
        layer: its integers, and the scale that they are in.
        clamped: channels whose gain was raised.
        highest: the threshold that they have by that.
    """

    layer: Folded
    clamped: tuple[int, ...]
    highest: int = THRESHOLD_MAX


def fold_for_twin(
    affine: Affine, theta: float, fraction_bits: int | None, highest: int = THRESHOLD_MAX
) -> TwinFold:
    """Fold one layer with no threshold above `highest`.

    Args:
        affine: of the layer, per output channel, by integer that arrives.
        theta: its firing threshold, in the membrane units of training.
        fraction_bits: F; chosen by the thresholds' rounding error if None.
        highest: the greatest threshold.

    Raises:
        NotMappable: when the gain is 0 in every channel, or a bias needs more than 32 bits.
    """
    if not affine.gain.any():
        raise NotMappable(
            "the batch norm's gain is 0 in every channel; train the layer longer or without batch "
            "norm"
        )
    if fraction_bits is None:
        fraction_bits = choose_fraction_bits(float(in_units(affine, theta, 0)[0].min()))
    least = 2.0**fraction_bits * theta / highest
    small = np.abs(affine.gain) < least
    gain = np.where(small, np.copysign(least, affine.gain), affine.gain)
    clamped = tuple(int(channel) for channel in np.flatnonzero(small))
    return TwinFold(fold(Affine(gain, affine.offset), theta, fraction_bits), clamped, highest)


def choose_fraction_bits(threshold: float) -> int:
    """Return the least F by whose rounding no threshold, in weights, moves over THRESHOLD_ERROR."""
    return min(MAX_FRACTION_BITS, max(0, math.ceil(math.log2(0.5 / (THRESHOLD_ERROR * threshold)))))
