"""Leaks of others' models as binary fractions.

A layer has one, or one for each of its neurons with a shift in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import MAX_SHIFT
from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.nodes import Int32Array


@dataclass(frozen=True)
class Decay:
    """A leak, `numerator / 2**shift`, and how far it is at most from what the model says.

    Attributes:
        numerator: one number, then with the least shift; or one for each neuron, int32 of one axis.
        shift: n.
        moved: the greatest distance.
    """

    numerator: int | Int32Array
    shift: int
    moved: float

    @property
    def own(self) -> bool:
        """Return whether the neurons of the layer differ in it."""
        return not isinstance(self.numerator, int)

    @property
    def beta(self) -> Float:
        """Return the decays, float64: one number, or one for each neuron."""
        return np.asarray(self.numerator, np.float64) / (1 << self.shift)

    @property
    def rounds(self) -> npt.NDArray[np.bool_]:
        """Return whether a step of it can round.

        Only forgetting everything and leaking nothing cannot.
        """
        numerator = np.asarray(self.numerator)
        return np.asarray((numerator != 0) & (numerator != 1 << self.shift))

    def common(self, instead: int) -> tuple[int, int]:
        """Return numerator and shift for the fields of an arithmetic.

        Where neurons have their own, that is `instead` over 1.
        """
        return (self.numerator, self.shift) if isinstance(self.numerator, int) else (instead, 0)

    @property
    def numbers(self) -> int | list[int]:
        """Return the numerator as Python's own numbers."""
        return (
            self.numerator
            if isinstance(self.numerator, int)
            else [int(number) for number in self.numerator]
        )

    @property
    def fractions(self) -> str:
        """Return it as a note has it, the least and the greatest where neurons differ."""
        low, high = int(np.min(self.numerator)), int(np.max(self.numerator))
        whole = 1 << self.shift
        return f"{low}/{whole} to {high}/{whole}" if self.own else f"{low}/{whole}"

    def __str__(self) -> str:
        """Return the decay as a table shows it."""
        low, high = int(np.min(self.numerator)), int(np.max(self.numerator))
        return f"{low}/2^{self.shift}" if not self.own else f"{low}..{high}/2^{self.shift}"


def exact_decay(beta: float) -> Decay | None:
    """Return a decay of 0..1 as the binary fraction that it is.

    It is None where the denominator is above 2**16.
    """
    numerator, denominator = beta.as_integer_ratio()
    return (
        Decay(numerator, denominator.bit_length() - 1, 0.0)
        if denominator <= 1 << MAX_SHIFT
        else None
    )


def rounded_decay(beta: float, bits: int) -> Decay:
    """Round a decay of 0..1 to the nearest multiple of 2**-bits.

    With more bits it is never further away.
    """
    numerator, denominator = (round(beta * (1 << bits)) / (1 << bits)).as_integer_ratio()
    return Decay(numerator, denominator.bit_length() - 1, abs(numerator / denominator - beta))


def own_decays(betas: Float, bits: int) -> Decay:
    """Round decays of 0..1, one for each neuron, to the nearest multiples of 2**-bits.

    Decays that are such multiples stay exact.
    """
    numerator = np.rint(betas * (1 << bits)).astype(np.int32)
    return Decay(numerator, bits, float(np.abs(numerator / (1 << bits) - betas).max()))


def exact_decays(betas: Float) -> Decay | None:
    """Return decays, one for each neuron, as the binary fractions that they are.

    They have the least shift in common; the result is None where that is above 16.
    """
    shifts = [float(beta).as_integer_ratio()[1].bit_length() - 1 for beta in np.unique(betas)]
    return own_decays(betas, max(shifts)) if max(shifts) <= MAX_SHIFT else None


def require_leak(decay: Decay, name: str, beta: float, bits: int, way_out: str) -> None:
    """Raise NotMappable where a decay `beta` below 1 was rounded to 1; `name` is in the error."""
    if beta < 1 and int(np.max(decay.numerator)) == 1 << decay.shift:
        raise NotMappable(
            f"its {name} is {beta:.8g}, which {bits} bits round to 1, so that nothing leaks; "
            f"{way_out}"
        )


def leak_errors(decays: tuple[Decay, ...]) -> Float:
    """Bound how far the rounding of leaks moves the membrane of each neuron, in units of 2**-F.

    The bound holds as long as nothing fires.

    Each step rounds toward zero, by up to one unit, and what is left of earlier steps leaks away: a
    geometric sum, and for a current in front of the membrane a second one.
    """
    each: Float = np.zeros(1)
    for decay in reversed(decays):  # the current before the membrane
        step = np.where(decay.rounds, 1.0, 0.0) + each
        left = 1 - decay.beta
        each = np.divide(
            step,
            left,
            out=np.zeros(np.broadcast_shapes(step.shape, left.shape)),
            where=(step > 0) & (left > 0),
        )
    return each
