"""The narrowest integers that provably hold every intermediate result of a layer of neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, Int64, Synapse
from lehr.interval import Interval
from lehr.network import Neuron
from lehr.nodes import Shape
from lehr.programs import CURRENT
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.plans.reach import reach
from lehr.simulate.fast.plans.usual import in_fields
from lehr.update import MEMBRANE
from lehr.widths import Range, ranges

STEPS = 1000
"""The most steps that the analysis follows a membrane.

After them it takes all of its width for possible.
"""
INT16, INT32, INT64 = 2**15 - 1, 2**31 - 1, 2**63 - 1
COUNTED = 4096
"""Steps over which spikes are counted in lanes."""
ROUNDINGS = {
    "toward_zero": layout.TOWARD_ZERO,
    "floor": layout.FLOOR,
    "nearest_even": layout.NEAREST_EVEN,
}
OVERFLOWS = {"saturate": layout.SATURATE, "wrap": layout.WRAP}
RESETS = {"none": layout.NO_RESET, "subtract": layout.SUBTRACT, "zero": layout.ZERO}


@dataclass(frozen=True)
class Lanes:
    """Choices in computing a layer.

    Attributes:
        dtype: of its registers, int16, int32 or int64.
        sums: of what it takes in.
        free: registers that no Bound of theirs ever changes.
        held: the greatest magnitude that the membrane of fields has after a step.
    """

    dtype: Any
    sums: Any
    free: frozenset[str] = frozenset()
    held: int = 0


def lanes(
    layers: Mapping[str, tuple[Neuron, Interval, Shape]], steps: int | None
) -> dict[str, Lanes]:
    """Return the lanes of layers: all that this engine asks the width analysis.

    Args:
        layers: by name, with bounds of the summed inputs of each, and its shape.
        steps: how many they run at most; None for any number.
    """
    in_programs, usual = dict[str, Lanes](), dict[str, tuple[Neuron, Interval]]()
    for name, (neuron, a, shape) in layers.items():
        fields = in_fields(neuron)
        if fields is None:
            in_programs[name] = _of_program(neuron, a)
        else:
            usual[name] = _flat(fields, shape), _by_neuron(fields, a, shape)
    reached = ranges(usual, min(steps or STEPS, STEPS))
    return in_programs | {name: _of_fields(*usual[name], reached[name], steps) for name in usual}


def _by_neuron(neuron: Neuron, a: Interval, shape: Shape) -> Interval:
    return a.repeated(int(np.prod(shape[1:]))) if neuron.per_neuron else a


def _flat(neuron: Neuron, shape: Shape) -> Neuron:
    """Neurons whose parameters differ within a channel, each as a channel of its own."""
    if not neuron.per_neuron:
        return neuron
    threshold, bias = (
        neuron.spread(name, shape).reshape(-1).astype(np.int32) for name in ("threshold", "bias")
    )
    return replace(neuron, threshold=threshold, bias=bias)


# -------------------------------------------------------------------- fields
def _of_fields(
    neuron: Neuron, a: Interval, ends: tuple[Range, Range | None, bool], steps: int | None
) -> Lanes:
    fields, synapse = neuron.fields, neuron.synapse
    reached, current, settled = ends
    proven = settled or (steps is not None and steps <= STEPS)
    most = int(a.magnitude.max())
    drive, bias = most << fields.fraction_bits, int(np.abs(neuron.bias.astype(np.int64)).max())
    theta = int(
        thresholds(
            neuron, neuron.threshold.astype(np.int64), reached.held if proven else -fields.lowest
        )[1].max()
    )
    if synapse is None or current is None:
        return _lanes(
            MEMBRANE, fields, reached, proven, most, drive + bias + theta, fields.fraction_bits
        )
    inner = _lanes(CURRENT, synapse, current, proven, most, drive + bias, fields.fraction_bits)
    outer = _lanes(MEMBRANE, fields, reached, proven, inner.held, inner.held + bias + theta, 0)
    dtype = max(inner.dtype, outer.dtype, key=lambda kind: np.dtype(kind).itemsize)
    return Lanes(dtype, _sums(dtype, most), inner.free | outer.free, outer.held)


def _lanes(
    x: str,
    fields: Arithmetic | Synapse,
    reached: Range,
    proven: bool,
    sums: int,
    taken: int,
    fraction: int,
) -> Lanes:
    held = reached.held if proven else -fields.lowest
    free = frozenset((x,)) if proven and reached.inside else frozenset[str]()
    product = held * (fields.decay_numerator if fields.decay_form == "multiply" else 1) + (
        1 << fields.decay_shift
    )
    partial = held + taken
    if partial <= INT16 and sums <= INT16 and fraction < 15:
        return Lanes(np.int16, np.int16, free, held)
    dtype = np.int32 if max(partial, product, sums) <= INT32 else np.int64
    return Lanes(dtype, _sums(dtype, sums), free, held)


def _sums(dtype: Any, most: int) -> Any:
    """Return the type that holds sums of magnitude `most`, for lanes of a type.

    Of 64-bit lanes the sums may be narrower.
    """
    return dtype if dtype is not np.int64 else np.int32 if most <= INT32 else np.int64


def thresholds(neuron: Neuron, theta: Int64, held: int) -> tuple[Int64, Int64]:
    """Return what a membrane must pass to fire, and what a reset takes from it.

    A threshold that no membrane of magnitude `held` reaches, or that none is compared with, is
    given as the least such number; a reset never happens there.
    """
    passed = theta if neuron.fields.fires == "gt" else theta - 1
    never = (passed >= held) | neuron.integrates
    taken = np.where(never, 0, theta) if neuron.fields.reset == "subtract" else np.zeros_like(theta)
    return np.where(never, held, passed), taken


def numbers(neuron: Neuron, at: Lanes) -> layout.UpdateRule:
    """Return the arithmetic of the one state of fields, as kernels read it."""
    fields = neuron.fields
    factor, shift, leak = fields.decay_numerator, fields.decay_shift, layout.MULTIPLY
    if fields.decay_form == "shift" and shift > 0:
        factor, leak = 1, layout.SHIFT
    elif factor == 1 << shift:
        leak = layout.KEEP
    if at.dtype is np.int16:
        factor <<= 16 - shift
    overflow = layout.FREE if MEMBRANE in at.free else OVERFLOWS[fields.overflow]
    late = int(fields.reset_timing == "next_step")
    bounds = overflow, fields.lowest, fields.highest, fields.fraction_bits
    return layout.UpdateRule(
        leak, factor, shift, ROUNDINGS[fields.rounding], *bounds, RESETS[fields.reset], late
    )


# -------------------------------------------------------------------- any program
def _of_program(neuron: Neuron, a: Interval) -> Lanes:
    most, reach_of = int(a.magnitude.max()), reach(neuron, a.limits)
    if reach_of.partial > INT64:  # nothing is proven of what leaves 64 bits
        return Lanes(np.int64, _sums(np.int64, most))
    narrow = (
        reach_of.narrow
        and max(reach_of.partial, most) <= INT16
        and neuron.program.most_spikes * COUNTED <= INT16
    )
    dtype = (
        np.int16
        if narrow
        else np.int32
        if max(reach_of.partial, reach_of.product, most) <= INT32
        else np.int64
    )
    return Lanes(dtype, _sums(dtype, most), reach_of.free)
