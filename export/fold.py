"""Folding: scale, batch norm and pooling become integer thresholds, biases and flipped signs.

A trained layer has the current `I = g * d * P(W x) / q + b` with W the levels of its weights: d
what one level is worth (1 for -1 and +1), g and b from batch norm, P average pooling over `area`
values, q the full scale of the input. With `G = g * d / (area * q)`, dividing the membrane equation
by |G| leaves

    W' = sign(G) * W,   Theta = rint(2**F * theta / |G|),   B = rint(2**F * b / |G|)

and the average pooling a sum. Nothing is lost but the rounding of Theta and B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.nodes import INT32_MAX, Int32Array

Float = npt.NDArray[np.float64]

THRESHOLD_ERROR = 0.01
"""Fraction bits are chosen so that rounding changes no threshold by more than this share."""


@dataclass(frozen=True)
class Affine:
    """The map between weights and membrane: `gain * x + offset` per channel.

    Both are float64 `[channels]`.
    """

    gain: Float
    offset: Float

    @classmethod
    def batch_norm(
        cls, weight: Float, bias: Float, mean: Float, variance: Float, epsilon: float
    ) -> Affine:
        """Return a batch norm in evaluation mode.

        It is given as gamma, beta, and the statistics that training left.
        """
        gain = weight / np.sqrt(variance + epsilon)
        return cls(gain, bias - gain * mean)


@dataclass(frozen=True)
class Folded:
    """One layer in integers.

    Attributes:
        sign: -1 or +1 per output channel, to multiply the weights with.
        threshold, bias: int32 `[channels]`, in units of 2**-fraction_bits weights.
        fraction_bits: F.
        scale: |G| per channel: what one weight is worth in the membrane units of training, float64
            `[channels]`.
    """

    sign: npt.NDArray[np.int8]
    threshold: Int32Array
    bias: Int32Array
    fraction_bits: int
    scale: Float


def in_units(affine: Affine, theta: float | Float, fraction_bits: int) -> tuple[Float, Float]:
    """Return thresholds and biases in units of 2**-fraction_bits weights, not yet rounded.

    They are not finite where a gain is too small.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        unit, scale = 2.0**fraction_bits, np.abs(affine.gain)
        return unit * theta / scale, unit * affine.offset / scale


def fold(affine: Affine, theta: float | Float, fraction_bits: int) -> Folded:
    """Fold one layer.

    Args:
        affine: its current per integer that arrives, by channel: G and b.
        theta: its firing threshold, or one per channel, in the membrane units of training.
        fraction_bits: F.

    Raises:
        NotMappable: when a gain is so small, or 0, that no 32-bit integer stands for a channel's
            threshold or bias.
    """
    rounded = {}
    for name, exact in zip(
        ("threshold", "bias"), in_units(affine, theta, fraction_bits), strict=True
    ):
        fits = np.abs(exact) <= INT32_MAX
        if not fits.all():
            channel = int(fits.argmin())
            raise NotMappable(
                f"channel {channel}: its {name} is {exact[channel]:.3g} units of "
                f"2**-{fraction_bits} weights, and 32 bits"
                f" hold {INT32_MAX:,}; use fewer fraction bits, or a gain further from 0 than "
                f"{affine.gain[channel]:.3g}"
            )
        rounded[name] = np.rint(exact).astype(np.int32)
    return Folded(
        sign=np.where(affine.gain < 0, -1, 1).astype(np.int8),
        threshold=np.maximum(rounded["threshold"], 1),
        bias=rounded["bias"],
        fraction_bits=fraction_bits,
        scale=np.abs(affine.gain),
    )
