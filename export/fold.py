"""Folding: a trained layer's scale, batch norm and pooling become integer thresholds, biases and flipped signs.

A trained layer has the current `I = g * d * P(W x) / q + b` with W the levels of its weights: d what one level is worth (1 for -1 and
+1), g and b from batch norm, P average pooling over `area` values, q the full scale of the input. With `G = g * d / (area * q)`,
dividing the membrane equation by |G| leaves

    W' = sign(G) * W,   Theta = rint(2**F * theta / |G|),   B = rint(2**F * b / |G|)

and the average pooling a sum. Nothing is lost but the rounding of Theta and B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.errors import NotMappable
from lehr.nodes import INT32_MAX, Int32Array

Float = npt.NDArray[np.float64]

THRESHOLD_ERROR = 0.01
"""Fraction bits are chosen so that rounding changes no threshold by more than this share."""

THRESHOLD_MAX = 2**18
"""A threshold above this leaves too little of the range in which float32 is exact (2**24): the channel's gain is raised until it fits."""


@dataclass(frozen=True)
class Affine:
    """What stands between the weights and the membrane: `gain * x + offset` per channel, float64 `[channels]`."""

    gain: Float
    offset: Float

    @classmethod
    def batch_norm(cls, weight: Float, bias: Float, mean: Float, variance: Float, epsilon: float) -> Affine:
        """A batch norm in evaluation mode: gamma, beta, and the statistics it was left with."""
        gain = weight / np.sqrt(variance + epsilon)
        return cls(gain, bias - gain * mean)


@dataclass(frozen=True)
class Folded:
    """One layer in integers.

    Attributes:
        sign: -1 or +1 per output channel, to multiply the weights with.
        threshold, bias: int32 `[channels]`, in units of 2**-fraction_bits weights.
        fraction_bits: F.
        scale: |G| per channel: what one weight is worth in the membrane units of training, float64 `[channels]`.
        clamped: channels whose gain was too small for a finite threshold, and was raised.
    """

    sign: npt.NDArray[np.int8]
    threshold: Int32Array
    bias: Int32Array
    fraction_bits: int
    scale: Float
    clamped: tuple[int, ...]


def fold(
    affine: Affine, theta: float | Float, *, step: float = 1.0, area: int = 1, full_scale: int = 1, fraction_bits: int | None = None
) -> Folded:
    """Fold one layer.

    Args:
        affine: of the layer, per output channel.
        theta: its firing threshold, or one per channel, in the membrane units of training.
        step: what one level of the weights is worth.
        area: of the average pooling, 1 without.
        full_scale: what the integer input was divided by in training (255 for pixels, 1 for spikes).
        fraction_bits: F; chosen by the thresholds' rounding error if None.

    Raises:
        NotMappable: when the gain is 0 in every channel, so that no integer threshold stands for `theta`.
    """
    if not affine.gain.any():
        raise NotMappable("the batch norm's gain is 0 in every channel; train the layer longer or without batch norm")
    gain = affine.gain * step / (area * full_scale)
    chosen = choose_fraction_bits(float(np.min(theta)) / float(np.abs(gain).max())) if fraction_bits is None else fraction_bits
    unit = 2.0**chosen
    least = unit * theta / THRESHOLD_MAX
    scale = np.maximum(np.abs(gain), least)
    threshold = np.maximum(np.rint(unit * theta / scale), 1)
    bias = np.clip(np.rint(unit * affine.offset / scale), -INT32_MAX, INT32_MAX)
    return Folded(
        sign=np.where(gain < 0, -1, 1).astype(np.int8),
        threshold=threshold.astype(np.int32),
        bias=bias.astype(np.int32),
        fraction_bits=chosen,
        scale=scale,
        clamped=tuple(int(c) for c in np.flatnonzero(np.abs(gain) < least)),
    )


def choose_fraction_bits(threshold: float) -> int:
    """The least F with which rounding moves a layer's lowest threshold, in weights, by at most THRESHOLD_ERROR of it."""
    return min(MAX_FRACTION_BITS, max(0, math.ceil(math.log2(0.5 / (THRESHOLD_ERROR * threshold)))))
