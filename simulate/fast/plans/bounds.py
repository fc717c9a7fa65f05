"""In which integers a layer of neurons may be computed: the narrowest that its width analysis proves to hold every intermediate result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, Synapse
from lehr.interval import Interval
from lehr.network import Neuron
from lehr.simulate.fast.kernels import layout
from lehr.widths import Range, ranges

STEPS = 1000
"""How many steps the analysis follows a membrane before it takes all of its width for possible."""
INT16, INT32 = 2**15 - 1, 2**31 - 1
ROUNDINGS = {"toward_zero": layout.TOWARD_ZERO, "floor": layout.FLOOR, "nearest_even": layout.NEAREST_EVEN}
OVERFLOWS = {"saturate": layout.SATURATE, "wrap": layout.WRAP}
RESETS = {"none": layout.NO_RESET, "subtract": layout.SUBTRACT, "zero": layout.ZERO}


@dataclass(frozen=True)
class Lanes:
    """How one state of a layer is computed.

    Attributes:
        dtype: of the state, int16, int32 or int64.
        sums: of what it takes in.
        bounded: whether it can leave its width, so that it must be brought back.
        held: the greatest magnitude that it has after a step.
    """

    dtype: Any
    sums: Any
    bounded: bool
    held: int


def lanes(neuron: Neuron, a: Interval, steps: int | None) -> tuple[Lanes, Lanes | None]:
    """The lanes of a layer's membranes and of its synapse states.

    Args:
        neuron: the layer.
        a: bounds of its summed inputs.
        steps: how many it runs at most; None for any number.
    """
    how, synapse = neuron.fields, neuron.synapse
    reached, current, settled = ranges(neuron, a, min(steps or STEPS, STEPS))
    proven = settled or (steps is not None and steps <= STEPS)
    drive, bias = int(a.magnitude.max()) << how.fraction_bits, int(np.abs(neuron.bias.astype(np.int64)).max())
    theta = int(thresholds(neuron, reached.held if proven else -how.lowest)[1].max())
    if synapse is None or current is None:
        return _lanes(how, reached, proven, int(a.magnitude.max()), drive + bias + theta, how.fraction_bits), None
    inner = _lanes(synapse, current, proven, int(a.magnitude.max()), drive + bias, how.fraction_bits)
    outer = _lanes(how, reached, proven, inner.held, inner.held + bias + theta, 0)
    # The current comes in int32, whatever its lanes are.
    return Lanes(np.int64 if outer.dtype is np.int64 else np.int32, np.int32, outer.bounded, outer.held), inner


def _lanes(how: Arithmetic | Synapse, reached: Range, proven: bool, sums: int, taken: int, fraction: int) -> Lanes:
    held = reached.held if proven else -how.lowest
    bounded = not (proven and reached.inside)
    whole = 1 << how.decay_shift
    product = held * (how.decay_numerator if how.decay_form == "multiply" else 1) + whole
    partial = held + taken
    if partial <= INT16 and sums <= INT16 and fraction < 15:
        return Lanes(np.int16, np.int16, bounded, held)
    narrow = np.int32 if sums <= INT32 else np.int64
    if partial <= INT32 and product <= INT32 and narrow is np.int32:
        return Lanes(np.int32, np.int32, bounded, held)
    return Lanes(np.int64, narrow, bounded, held)


def thresholds(neuron: Neuron, held: int) -> tuple[Any, Any]:
    """What a membrane must pass to fire, and what a reset takes from it, both int64 `[channels]`.

    A threshold that no membrane of magnitude `held` reaches is given as the least such number; a reset never happens there.
    """
    theta = neuron.threshold.astype(np.int64)
    passed = theta if neuron.fields.fires == "gt" else theta - 1
    never = passed >= held
    taken = np.where(never, 0, theta) if neuron.fields.reset == "subtract" else np.zeros_like(theta)
    return np.where(never, held, passed), taken


def numbers(how: Arithmetic | Synapse, at: Lanes, neuron: Neuron | None = None, fraction: int = 0) -> Any:
    """The array that tells a kernel how to compute, see layout.FIELDS."""
    factor, shift, leak = how.decay_numerator, how.decay_shift, layout.MULTIPLY
    if how.decay_form == "shift" and shift > 0:
        factor, leak = 1, layout.SHIFT
    elif factor == 1 << shift:
        leak = layout.KEEP
    if at.dtype is np.int16:
        factor <<= 16 - shift
    overflow = OVERFLOWS[how.overflow] if at.bounded else layout.FREE
    reset = RESETS[neuron.fields.reset] if neuron is not None else layout.NO_RESET
    late = neuron is not None and neuron.fields.reset_timing == "next_step"
    fires = neuron is not None and not neuron.integrates
    given = (leak, factor, shift, ROUNDINGS[how.rounding], overflow, how.lowest, how.highest, fraction, reset, late, fires)
    return np.array(given, np.int64)
