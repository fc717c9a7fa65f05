"""Neurons of ReckOn as programs of lehr, and the numbers with which an update is one of them.

Recurrent neurons (srnn.v, "Hidden neurons"): at the end of a step the membrane u fires where u >=
thr; then u becomes floor(u * alpha / 2^15), less thr where it fired, or 0; then each event of the
next step adds its weight and u saturates at 16 bits. Output neurons ("Output neurons"): u becomes
floor(u * kappa / 2^7), then each spike of a recurrent neuron adds its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lehr.arithmetic import Int64
from lehr.nodes import Neuron
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.wiring import by_neuron
from lehr.update import MEMBRANE, Put

LOWEST, HIGHEST = -32768, 32767
"""Of a membrane, and of a threshold; adders saturate there."""
ALPHA_ONE, ALPHA_BITS = 0x8000, 15
ALPHA_LEAST = 0x7000
"""The machine's go on to 0x8FFF, but nothing decays by more than 1 here."""
KAPPA_ONE, KAPPA_BITS = 0x80, 7

_SUBTRACT = """
    ? leak v multiply {numerator:name} {decay} floor
    add v input {shift}
    ? add v bias 0
    subtract v threshold 0 times fired
    ? bound v {low} {high} {overflow:name}
    fire fired v ge threshold 1
"""
_ZERO = """
    ? leak v multiply {numerator:name} {decay} floor
    put v 0 when fired
    add v input {shift}
    ? add v bias 0
    ? bound v {low} {high} {overflow:name}
    fire fired v {test:name} threshold 1
"""
_INTEGRATOR = """
    ? leak v multiply {numerator:name} {decay} floor
    add v input {shift}
    ? add v bias 0
    ? bound v {low} {high} {overflow:name}
"""
Reset = Literal["subtract", "zero", "none"]


@dataclass(frozen=True)
class Cells:
    """A layer's neurons in the numbers of the machine, by neuron.

    Attributes:
        reset: `none` for integrators, which are output neurons.
        shift: by how many bits weights are shifted to the left.
        alpha: what is left of a membrane after a step, in 2**-15; of integrators kappa, in 2**-7.
        threshold: at which a neuron fires; 0 of integrators.
        bias: added in every step.
        raised: whether thresholds are one more than the network's, whose neurons fire beyond them.
    """

    reset: Reset
    shift: int
    alpha: Int64
    threshold: Int64
    bias: Int64
    raised: bool

    @property
    def integrates(self) -> bool:
        """Whether they are output neurons."""
        return self.reset == "none"


def cells(name: str, neuron: Neuron, size: int) -> Cells | list[Problem]:
    """Return the neurons of a layer in the numbers of the machine, or why they are not its own."""
    reset: Reset = (
        "none"
        if neuron.integrates
        else "zero"
        if any(isinstance(s, Put) for s in neuron.program.all)
        else "subtract"
    )
    numbers = matched(
        neuron.program, {"none": _INTEGRATOR, "zero": _ZERO, "subtract": _SUBTRACT}[reset]
    )
    if neuron.program.membrane != MEMBRANE:
        numbers = (
            f"its membrane is register '{neuron.program.membrane}', and '{MEMBRANE}' in the "
            "machine's update"
        )
    if isinstance(numbers, str):
        return [
            Problem(
                name,
                numbers,
                "use machine 'reckon' of lehr.machines, or decay multiply, rounding floor, fires "
                "ge, next_step",
            )
        ]
    one, bits, least = (
        (KAPPA_ONE, KAPPA_BITS, 0) if reset == "none" else (ALPHA_ONE, ALPHA_BITS, ALPHA_LEAST)
    )
    exact = _factor(neuron, size, numbers, bits)
    threshold = by_neuron(neuron, "threshold", size) + (numbers.get("test") == "gt")
    refusals = []
    if exact is None or exact.min() < least:
        reason = (
            f"what is left of its membranes after a step is not {least / one:g} to 1 in steps "
            f"of 1/{one}, as the machine has it"
        )
        refusals.append(
            Problem(
                name,
                reason,
                "train with a beta of 7/8 to 1"
                if reset != "none"
                else "train with a beta of k/128",
            )
        )
    if reset == "none" and exact is not None and np.unique(exact).size > 1:
        refusals.append(
            Problem(
                name,
                "its neurons decay differently, the machine's output neurons alike",
                "use one decay",
            )
        )
    if threshold.max() > HIGHEST:
        reason = f"it fires from {threshold.max():,} on, the machine at {HIGHEST:,} or less"
        refusals.append(Problem(name, reason, "use fewer fraction bits"))
    if refusals or exact is None:
        return refusals
    return Cells(
        reset,
        int(numbers["shift"]),
        exact,
        threshold,
        by_neuron(neuron, "bias", size),
        numbers.get("test") == "gt",
    )


def _factor(neuron: Neuron, size: int, numbers: dict[str, str], bits: int) -> Int64 | None:
    """Return the decay of each neuron in 2**-bits; None where one is not a multiple of that."""
    given = numbers.get("numerator")
    if given is None:
        return np.full(size, 1 << bits, np.int64)
    numerator = (
        by_neuron(neuron, given, size)
        if given in neuron.values
        else np.full(size, int(given), np.int64)
    )
    numerator, shift = numerator << bits, int(numbers["decay"])
    return None if (numerator % (1 << shift)).any() else numerator >> shift
