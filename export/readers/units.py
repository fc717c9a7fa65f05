"""Numbers of a float graph: what a unit of the membrane is worth, and the fields of its nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.export.fold import Float
from lehr.export.readers.importers import Reader
from lehr.nodes import Conv2d, Linear, Neuron, Shape, SumPool2d

ENDLESS = 2.0**-49
"""The leak in a step of neurons that do not leak, where they have to.

It is too little for a float32 to show it.
"""
GONE = 1 - 2.0**-40
"""The leak in a step of a state that keeps nothing.

Importers take no time constant as short as a step.
"""
LEAST_DECAY = math.exp(-1)
"""The decay above which a time constant is longer than a step.

An r of tau/dt - 1 is then one of NIR's.
"""
SLACK = 0.25
"""The most, of an integer, that a threshold may lie beside the middle between two."""


@dataclass(frozen=True)
class Unit:
    """Factors of the numbers of a layer, per channel.

    Attributes:
        scale: from units of the integer membrane to those of the file's.
        threshold: in the file; None where nothing fires.
        drive: from integer currents, shifted by the fraction bits, to the file's.
    """

    scale: Float
    threshold: Float | None
    drive: Float

    @property
    def limits(self) -> tuple[float, float]:
        """Return the lowest and the highest threshold of a layer that fires.

        They are in units of the integer membrane.
        """
        assert self.threshold is not None
        height = self.threshold / self.scale
        return float(height.min()), float(height.max())


def unit_of(neuron: Neuron, kind: str, reader: Reader, steps: int) -> Unit:
    """Return the units of a layer, written as NIR's `kind`, in a network of so many steps."""
    arithmetic, theta = neuron.fields, neuron.threshold.astype(np.float64)
    scale, threshold = np.full(theta.shape, 2.0**-arithmetic.fraction_bits), None
    if not neuron.integrates and reader.reset == "subtract":
        # What is taken off has to be the integer; so little less that a spike in every step does
        # not make up one between them.
        threshold = (theta - SLACK / (2 * steps)) * scale
    elif not neuron.integrates:
        scale, threshold = (
            _simplest(theta + (0.5 if arithmetic.fires == "gt" else -0.5)),
            np.ones_like(theta),
        )
    drive = scale
    if kind == "LIF" and reader.drops_r:
        drive = scale / _leak(arithmetic.beta)
    if kind.startswith("Cuba") and reader.drives_first:
        drive = scale / (1 - _synapse_leak(neuron))
    return Unit(scale, threshold, drive)


def _simplest(height: Float) -> Float:
    """Return for each height a scale that brings it to 1, within SLACK of it.

    It is a float of the fewest bits.
    """
    scales = np.zeros_like(height)
    mantissa, exponent = np.frexp(1 / height)
    for bits in range(1, 54):
        scale = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
        scales = np.where((scales == 0) & (np.abs(1 / scale - height) <= SLACK), scale, scales)
    return scales


def _leak(beta: float) -> float:
    """Return the share of a state that leaves it in a step."""
    return ENDLESS if beta == 1 else min(1 - beta, GONE)


def _synapse_leak(neuron: Neuron) -> float:
    """Return `_leak` of the synapse; neurons without one forget their current in a step."""
    return GONE if neuron.synapse is None else _leak(neuron.synapse.beta)


def neuron_fields(
    neuron: Neuron, kind: str, shape: Shape, unit: Unit, reader: Reader
) -> dict[str, Any]:
    """Return the fields of neurons in NIR.

    v_reset, which is 0, is left out, as nir 1.0.4 does not know it.
    """

    def spread(value: npt.ArrayLike) -> Float:
        each = np.broadcast_to(np.asarray(value, np.float64), neuron.threshold.shape)
        return np.broadcast_to(each.reshape(-1, *[1] * (len(shape) - 1)), shape)

    def tau(leak: float) -> float:
        return reader.dt / leak if reader.decay == "euler" else float(-reader.dt / np.log1p(-leak))

    fires = {} if unit.threshold is None else {"v_threshold": spread(unit.threshold)}
    if kind in ("IF", "I"):
        return {"type": kind, "r": spread(1 / reader.dt), **fires}
    leak = _leak(neuron.fields.beta)
    if kind in ("LIF", "LI"):
        r = 1.0 if reader.drops_r else 1 / leak
        return {
            "type": kind,
            "tau": spread(tau(leak)),
            "r": spread(r),
            "v_leak": spread(0.0),
            **fires,
        }
    forgets = _synapse_leak(neuron)
    r, w_in = 1 / leak, 1 / forgets
    if reader.drives_first:  # such an importer takes nothing from r but its step, tau_mem / (1 + r)
        r = tau(leak) / reader.dt - 1
        w_in = (1 - forgets) / (leak * forgets * r)
    v_leak = neuron.bias * unit.scale / leak if biased_membrane(neuron) else 0.0
    states = {"tau_mem": spread(tau(leak)), "tau_syn": spread(tau(forgets))}
    return {
        "type": kind,
        **states,
        "r": spread(r),
        "w_in": spread(w_in),
        "v_leak": spread(v_leak),
        **fires,
    }


def biased_membrane(neuron: Neuron) -> bool:
    """Return whether a bias goes past the synapse, so that no weights can bring it."""
    return (
        neuron.synapse is not None
        and neuron.synapse.bias_to == "membrane"
        and bool(neuron.bias.any())
    )


def weights_fields(
    node: Conv2d | Linear | SumPool2d, taken: Shape, factor: Float, bias: Float
) -> dict[str, Any]:
    """Return the fields of weights, each output multiplied by its `factor`, in one group.

    Sums over windows are weights of 1.

    Args:
        node: what the network has.
        taken: shape of its input.
        factor: one number per output channel.
        bias: one number per output channel, added as it is.
    """
    if isinstance(node, SumPool2d):
        ones = np.ones((1, 1, *node.kernel))
        node = Conv2d(
            np.eye(taken[0], dtype=np.int8)[:, :, None, None] * ones.astype(np.int8),
            node.stride,
            node.padding,
            kind="ternary",
        )
    weight = _one_group(node) * factor.reshape(-1, *[1] * (node.weight.ndim - 1))
    numbers = {"weight": weight, "bias": bias}
    if isinstance(node, Linear):
        return {"type": "Affine", **numbers}
    window = {name: np.array(getattr(node, name)) for name in ("stride", "padding", "dilation")}
    return {"type": "Conv2d", "input_shape": np.array(taken[1:]), **numbers, **window, "groups": 1}


def _one_group(node: Conv2d | Linear) -> Float:
    weight = node.weight.astype(np.float64)
    if isinstance(node, Linear) or node.groups == 1:
        return weight
    outputs, inputs = len(weight) // node.groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * node.groups, *weight.shape[2:]))
    for group in range(node.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole


def diagonal_fields(shape: Shape, factor: Float, bias: Float) -> dict[str, Any]:
    """Return weights that multiply each channel by a number of its own.

    They stand where a network has none before its neurons.
    """
    one = np.eye(shape[0], dtype=np.int8)
    node = (
        Linear(one, "ternary") if len(shape) == 1 else Conv2d(one[:, :, None, None], kind="ternary")
    )
    return weights_fields(node, shape, factor, bias)
