"""Neurons that a processing element computes without rounding, all in float32.

They do v = alpha v + input, v > threshold, and are reset at once. py-spinnaker2 makes of an IF or a
LIF of NIR (`convert_IF`, `convert_LIF` in its s2_nir.py), with forward Euler and unscaled weights,

    alpha = 1 - dt / tau
    threshold = v_threshold / ((dt / tau) r)
    i_offset = bias

in double precision, and sends them as float32. So a layer is written with tau = 2^n / (2^n - k) and
r = tau for a decay of k / 2^n, which must come back exactly. A membrane of lehr is an integer V = v
2^F: where no decay ever rounds V, and V stays within 24 bits, the float is V / 2^F in every step,
by whatever order or fused instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import gcd
from typing import Literal

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Network, Neuron
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.rooms import outside
from lehr.targets.wiring import connections
from lehr.update import Program
from lehr.widths import FLOAT32_EXACT

Reset = Literal["subtract", "zero", "none"]
RESETS = {"subtract": "subtract v threshold 0 times fired", "zero": "put v 0 when fired"}
SILENT = 2.0**30
"""The threshold of integrators, which no membrane reaches that float32 holds exactly."""
SUMMED = 32_767
"""Greatest sum of the weights into a neuron in a step: 16 bits.

How wide the machine's sums are is not documented.
"""
_ROUNDINGS = ("toward_zero", "floor", "nearest_even")


@dataclass(frozen=True)
class Update:
    """Update of a layer.

    Attributes:
        numerator, shift: of its decay k / 2^n, in lowest terms; 1 and 0 without one.
        fraction_bits: F: its integer membrane is v 2^F.
        reset: of a neuron that has fired; none for an integrator.
    """

    numerator: int
    shift: int
    fraction_bits: int
    reset: Reset

    @property
    def decay(self) -> float:
        """The decay as a float, exactly."""
        return float(self.numerator / (1 << self.shift))

    @property
    def tau(self) -> float | None:
        """NIR's time constant in steps; None where nothing leaks."""
        return (
            None
            if self.numerator == 1 << self.shift
            else float((1 << self.shift) / ((1 << self.shift) - self.numerator))
        )

    @property
    def comes_back(self) -> bool:
        """Whether the conversion makes this decay of `tau`, and no factor of the threshold.

        It computes in floats.
        """
        return self.tau is None or (
            1 - 1.0 / self.tau == self.decay and (1.0 / self.tau) * self.tau == 1.0
        )


def _forms() -> Iterator[tuple[Reset, str]]:
    for form, rounding in product(("multiply", "shift"), _ROUNDINGS):
        lines = [
            f"?leak v {form} {{k}} {{n}} {rounding}",
            "add v input {f}",
            "?add v bias 0",
            "?bound v {low} {high} saturate",
        ]
        yield "none", "\n".join(lines)
        for reset, line in RESETS.items():
            yield (
                "subtract" if reset == "subtract" else "zero",
                "\n".join([*lines, "fire fired v gt threshold 1", line]),
            )


_FORMS = tuple(_forms())


def update_of(neuron: Neuron) -> Update | str:
    """Return what a layer computes, or the sentence that says where it is not the machine's."""
    return _update(neuron.program)


@lru_cache(maxsize=256)
def _update(program: Program) -> Update | str:
    sentences = []
    for reset, form in _FORMS:
        matching = matched(program, form)
        if not isinstance(matching, str):
            k, n = int(matching.get("k", 1)), int(matching.get("n", 0))
            common = gcd(k, 1 << n)
            return Update(k // common, n - common.bit_length() + 1, int(matching["f"]), reset)
        sentences.append(matching)
    # of the form that it goes along with the longest
    return max(sentences, key=lambda sentence: int(sentence.split()[1]))


def problems(net: Network, name: str) -> Iterator[Problem]:
    """Yield why a layer is not computed exactly."""
    neuron, update = net.neurons[name], update_of(net.neurons[name])
    assert isinstance(update, Update)
    if neuron.bias.any():
        reason = (
            "it has biases, which act from the machine's first step on, before the layer's own "
            "first input"
        )
        yield Problem(name, reason, "train without biases and without batch norm")
    if not update.comes_back:
        reason = (
            f"its decay {update.numerator}/2^{update.shift} does not come back from a time "
            "constant in double precision"
        )
        yield Problem(name, reason, "use a decay of (2^n - 1)/2^n, 1/2^n, or none")
    yield from _rounded(net, name, update)
    yield from outside(net, name, {"v": (-FLOAT32_EXACT, FLOAT32_EXACT)})
    sums = sum_of_weights(net, name)
    if sums > SUMMED:
        reason = (
            f"the weights into one of its neurons come to {sums:,}, and {SUMMED:,} is what sums "
            "of 16 bits hold"
        )
        yield Problem(name, reason, "use a smaller fan-in")


def _rounded(net: Network, name: str, update: Update) -> Iterator[Problem]:
    """Yield the problem of a decay that is rounded.

    A decay by k/2^n takes n bits of the membrane's fraction in each step after the first.
    """
    needed = update.shift * (net.steps - 1)
    if not needed:
        return
    if update.fraction_bits < needed:
        reason = (
            f"its decay is never rounded on the machine: in {net.steps} steps that takes "
            f"{needed} fraction bits, it has"
        )
        hint = f"use fewer steps, no leak, or export with {needed} fraction bits"
        yield Problem(name, f"{reason} {update.fraction_bits}", hint)
    if (
        update.reset == "subtract"
        and (net.neurons[name].threshold.astype(np.int64) % (1 << min(needed, 32))).any()
    ):
        reason = (
            f"its decay is never rounded on the machine: in {net.steps} steps that takes "
            f"thresholds that are multiples of 2^{needed}"
        )
        yield Problem(name, reason, "train with such thresholds, reset to zero, or no leak")


def sum_of_weights(net: Network, name: str) -> int:
    """Return the greatest sum of magnitudes of the weights into a neuron of a layer."""
    arriving: list[Int64] = [
        np.abs(each.weights).sum(axis=0) for each in connections(net) if each.target == name
    ]
    return int(np.sum(arriving, axis=0).max()) if arriving else 0
