"""Fewer fraction bits for a wanted error.

This module computes what coarser units do to thresholds, biases and leaks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lehr.arithmetic import Arithmetic, State, Synapse, divide_by_power_of_two
from lehr.errors import UsageError
from lehr.export.in_fields import require_fields
from lehr.network import Network, Neuron
from lehr.widths import fit_state_bits


def check_error(error: float) -> None:
    """Raise UsageError unless `error` is a share of a threshold."""
    if not 0 < error < 1:
        raise UsageError(
            f"--error is {error:g}; give a share of the threshold, above 0 and below 1"
        )


def leak_error(arithmetic: Arithmetic, synapse: Synapse | None) -> float:
    """Bound how far the rounding of leaks moves a membrane, in units of 2**-F.

    The bound is against the membrane without rounding, as long as nothing fires.

    Each step rounds by up to one unit, half a unit to nearest, and what is left of earlier steps
    leaks away: a geometric sum.
    """
    current = 0.0 if synapse is None else _one_step(synapse) / (1 - synapse.beta)
    each = _one_step(arithmetic) + current
    return each / (1 - arithmetic.beta) if each else 0.0


def _one_step(state: State) -> float:
    exact = state.decay_numerator in (0, 1 << state.decay_shift)
    return 0.0 if exact else 0.5 if state.rounding == "nearest_even" else 1.0


def coarsened(net: Network, error: float) -> Network:
    """Return `net` with the fewest fraction bits that keep rounding within `error`.

    In each layer, rounding then moves nothing by more than `error` of the threshold.

    That holds for every threshold and bias, against the network's own, and for the membranes by
    `leak_error`. It is another network. States have the least bits that provably never saturate. A
    layer that would need more fraction bits than it has keeps them, and so do integrators, which
    have no threshold to compare with.

    Args:
        net: the network.
        error: a share of the threshold.

    Raises:
        UsageError: when `error` is out of range.
        NotMappable: when a state can leave 32 bits, or a layer is not in fields.
    """
    check_error(error)
    require_fields(net)
    return fit_state_bits(
        replace(
            net,
            nodes={
                **net.nodes,
                **{name: _layer(neuron, error) for name, neuron in net.neurons.items()},
            },
        )
    )


def _layer(neuron: Neuron, error: float) -> Neuron:
    if neuron.integrates:
        return neuron
    arithmetic, threshold, bias = (
        neuron.fields,
        neuron.threshold.astype(np.int64),
        neuron.bias.astype(np.int64),
    )
    for dropped in range(arithmetic.fraction_bits, 0, -1):
        theta, b = (
            divide_by_power_of_two(value, dropped, "nearest_even") for value in (threshold, bias)
        )
        moved = np.maximum(np.abs((theta << dropped) - threshold), np.abs((b << dropped) - bias))
        leak = leak_error(arithmetic, neuron.synapse) * 2.0**dropped
        if theta.min() >= 1 and float((np.maximum(moved, leak) / threshold).max()) <= error:
            coarse = replace(arithmetic, fraction_bits=arithmetic.fraction_bits - dropped)
            return replace(
                neuron, threshold=theta.astype(np.int32), bias=b.astype(np.int32), arithmetic=coarse
            )
    return neuron
