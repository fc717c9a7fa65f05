"""Target openspike: what of a network the open chip OpenSpike cannot hold.

Source: its Verilog, sfmth/OpenSpike, openlane/src.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from lehr.network import Conv2d, Flatten, Linear, Network, Neuron
from lehr.targets.checked import CheckedTarget
from lehr.targets.contract import Arithmetics, Problem, Varying
from lehr.weights import KINDS, WeightKind

THRESHOLD = 230
WHOLE_SHIFTS = (0, 1, 2, 4, 8)
"""Eighths by which a membrane decays as a product rounded down does.

The others are sums of shifts, each rounded down for itself.
"""


class OpenSpike(CheckedTarget):
    """A network that it cannot hold, property by property."""

    name: ClassVar[str] = "openspike"
    summary: ClassVar[str] = (
        "checks alone: weights of 0 and 1, membranes of 8 bits without a sign, one threshold"
    )
    no_artefact: ClassVar[str] = (
        "nothing is written for OpenSpike, whose published top level does not integrate its input"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=("toward_zero", "floor"),
        reset=("zero",),
        reset_timing=("same_step",),
        fires=("ge",),
        overflow=("saturate",),
        update=("step",),
        max_state_bits=8,
    )
    nodes: ClassVar[frozenset[type]] = frozenset({Linear, Conv2d, Flatten, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    holds: ClassVar[str] = (
        "1,024 inputs, hidden neurons of 8 bits, weights of 0 and 1, a decay in eighths by neuron"
    )
    judge: ClassVar[str] = "none"

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Weights, thresholds, decays and membranes that it has no room for."""
        weights = (
            Problem(
                name,
                f"its weights are {node.weight.min()}..{node.weight.max()}, the machine has 0 and "
                "1",
                "use weights of 0 and 1",
            )
            for name, node in net.weighted.items()
            if node.weight.min() < 0 or node.weight.max() > 1
        )
        neurons = (
            problem for name, neuron in net.neurons.items() for problem in _of_neurons(name, neuron)
        )
        return (*weights, *neurons)


def _of_neurons(name: str, neuron: Neuron) -> Iterator[Problem]:
    thresholds, fields = neuron.threshold, neuron.fields
    if (thresholds != THRESHOLD).any():
        reason = (
            f"its thresholds are {thresholds.min():,}..{thresholds.max():,}, the machine has "
            f"{THRESHOLD} in its circuit"
        )
        yield Problem(name, reason, "scale weights and thresholds")
    eighths = fields.decay_numerator * 8 / (1 << fields.decay_shift)
    if eighths not in WHOLE_SHIFTS:
        reason = (
            f"its decay is {fields.decay_numerator}/2^{fields.decay_shift}, the machine's are sums "
            "of shifts, which round otherwise"
        )
        yield Problem(name, reason, "train with a decay of 0, 1/8, 1/4, 1/2 or 1")
    if neuron.bias.any():
        yield Problem(name, "its neurons have a bias, the machine has none", "train without biases")
    yield Problem(
        name,
        "its membranes go below 0, the machine's are 0..255",
        "there is no way: fields say no membrane without a sign",
    )
