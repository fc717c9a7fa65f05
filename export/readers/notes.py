"""Sentences on what a float graph, as its importer runs it, does not say of its network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lehr.arithmetic import State
from lehr.export.readers.importers import Reader
from lehr.nodes import Neuron
from lehr.widths import LayerWidth

_DISTINCT = 2**36
"""States, times steps, up to which floats keep single integers apart.

Up to here the leaks that stand for none, and for all, and the roundings of doubles add up to less
than the margin of a threshold.
"""
_SPIKE = {
    ("subtract", "next_step"): "takes the threshold off in the next step",
    ("subtract", "same_step"): "takes the threshold off at once",
    ("zero", "next_step"): "sets the membrane to 0",
    ("zero", "same_step"): "sets the membrane to 0",
    ("none", "next_step"): "leaves the membrane alone",
    ("none", "same_step"): "leaves the membrane alone",
}


def differences(
    neuron: Neuron, kind: str, width: LayerWidth, steps: int, title: str, reader: Reader
) -> Iterator[str]:
    """Yield how the neurons of a layer differ once `title`, the importer, runs them.

    Args:
        neuron: the layer.
        kind: what it is written as.
        width: its proven bounds.
        steps: of the network.
        title: the importer's name.
        reader: the importer.
    """
    arithmetic = neuron.fields
    if arithmetic.update == "event":
        yield f"tests its threshold after each event; {title} tests it once a step"
    if not neuron.integrates:
        yield from _firing(neuron, width, title, reader)
    if kind in reader.clips:
        yield f"{title} keeps the membrane at minus the threshold or above"
    states: list[tuple[str, State, int]] = [("membrane", arithmetic, width.bits)]
    if neuron.synapse is not None:
        states.append(("synapse state", neuron.synapse, width.synapse_bits or 0))
    largest = max(
        abs(bound)
        for bound in (
            *width.membrane,
            *(width.synapse or ()),
            *(b << arithmetic.fraction_bits for b in width.current),
        )
    )
    if largest * steps ** (2 if reader.reset == "subtract" else 1) > _DISTINCT:
        yield (
            f"its states come to {largest:,} in {steps:,} steps, so far that floats lose sight of "
            "single integers"
        )
    for state, own, bits in states:
        decay = f"{own.decay_numerator}/{1 << own.decay_shift}"
        if bits > own.state_bits:
            does = "saturates" if own.overflow == "saturate" else "wraps round"
            yield f"its {state} {does} at {own.state_bits} bits; a float does not"
        if 0 < own.beta < 1 and not _leaks_exactly(neuron, steps):
            yield (
                f"the leak of its {state}, {decay}, is rounded to an integer in every step; a "
                "float is not"
            )


def _firing(neuron: Neuron, width: LayerWidth, title: str, reader: Reader) -> Iterator[str]:
    arithmetic = neuron.fields
    ours, theirs = (
        _SPIKE[arithmetic.reset, arithmetic.reset_timing],
        _SPIKE[reader.reset, "same_step"],
    )
    # Without a leak, between a subtraction at once and one in the next step nothing happens that
    # would see it.
    late = arithmetic.reset == reader.reset == "subtract" and arithmetic.beta == 1
    if ours != theirs and not late:
        when = "" if reader.reset == "subtract" else " at once"
        yield f"a spike {ours}; in {title} it {theirs}{when}"
    if reader.reset == "subtract" and arithmetic.fires == "gt":
        yield f"fires above its threshold; in {title} at it, too"
    if reader.reset == "subtract" and width.membrane[1] >= 2 * int(neuron.threshold.min()):
        yield f"fires once in a step; in {title} as often as the membrane holds the threshold"


def _leaks_exactly(neuron: Neuron, steps: int) -> bool:
    """Return whether no leak has anything to round, in any of the steps.

    Each takes no more bits off than are left below the point.
    """
    arithmetic = neuron.fields
    values = [np.array([1 << arithmetic.fraction_bits]), neuron.bias]
    if arithmetic.reset == "subtract":
        values.append(neuron.threshold)
    whole = min(_trailing_zeros(int(value)) for each in values for value in each if value)
    shifts = [
        own.decay_shift - _trailing_zeros(own.decay_numerator)
        for own in (arithmetic, neuron.synapse)
        if own and own.decay_numerator
    ]
    return max(shifts, default=0) * (steps - 1) <= whole


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1
