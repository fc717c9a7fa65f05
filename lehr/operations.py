"""The elementary operations of an update: exact, elementwise, by number or by neuron.

They work on numpy int64 wide enough not to overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.arithmetic import Int64, Overflow, Rounding, divide_by_power_of_two
from lehr.update import Decay, Test


def divided(value: Int64, shift: Any, rounding: Rounding) -> Int64:
    """Return `value / 2**shift` rounded to an integer.

    `shift` is a number, or an array that broadcasts with `value`.
    """
    if np.ndim(shift) == 0:
        return divide_by_power_of_two(value, int(shift), rounding)
    value, shifts = np.broadcast_arrays(value, shift)
    quotient = np.empty_like(value)
    for each in np.unique(shifts):
        at = shifts == each
        quotient[at] = divide_by_power_of_two(value[at], int(each), rounding)
    return quotient


def decayed(x: Int64, decay: Decay, numerator: Any, shift: Any) -> Int64:
    """Compute one step of a decay.

    The values of its numerator and shift are numbers, or arrays that broadcast with `x`.
    """
    if decay.form == "multiply":
        return divided(x * numerator, shift, decay.rounding)
    if decay.form == "shift":
        return x - divided(x, shift, decay.rounding)
    if decay.form == "dash":
        lost = x >> shift
        return np.asarray(x - np.where(lost == 0, np.sign(x), lost), np.int64)
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - numerator, 0), np.int64)


def bounded(x: Int64, low: Any, high: Any, overflow: Overflow) -> Int64:
    """Bring `x` between low and high, both included: clip it, or take it modulo high - low + 1."""
    if overflow == "saturate":
        return np.clip(x, low, high)
    return np.asarray((x - low) % (high - low + 1) + low, np.int64)


def spikes(x: Int64, level: Any, test: Test, up_to: int) -> Int64:
    """Count how often `x` passes `level`, 0 to `up_to`; for 1 it is whether it does."""
    gap = int(test == "gt")
    if up_to == 1:
        return np.asarray(x >= level + gap, np.int64)
    return np.asarray(np.clip((x - gap) // level, 0, up_to), np.int64)
