"""The one update that Xylo computes, and the numbers that a layer's update has in its places.

Source: the behaviour of xylosim 0.1.3 (`xylosim.v2`), SynSense's bit-exact simulator of the core;
widths are those of its memory files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.wiring import by_neuron

HIDDEN_SPIKES, OUTPUT_SPIKES = 31, 1
"""The most spikes of a neuron in a step."""
STATE = (-32768, 32767)
NEVER = 32767
"""Threshold of an output that is not to fire: its membrane must stay below."""
RANGES = {"threshold": (1, 32767), "bias": (-128, 127), "dash_mem": (0, 15), "dash_syn": (0, 15)}
_TAKE = """\
add i input {shift}
bound i -32768 32767 saturate
leak i dash 0 {dash_syn:name}
put d v
leak d dash 0 {dash_mem:name}
subtract d v 0
add d i 0
bound d -32768 32767 saturate
"""
_BIAS = """\
add d {bias:name} 0
bound d -32768 32767 saturate
"""
_CHANGE = """\
add v d 0
bound v -32768 32767 saturate
"""
_FIRE = """\
fire fired v ge {threshold:name} {up_to}
subtract v {threshold:name} 0 times fired
"""
_FORMS = tuple(
    "".join(parts) for parts in ((_TAKE, _BIAS, _CHANGE, _FIRE), (_TAKE, _CHANGE, _FIRE))
)
_INTEGRATORS = tuple("".join(parts) for parts in ((_TAKE, _BIAS, _CHANGE), (_TAKE, _CHANGE)))


@dataclass(frozen=True)
class Cells:
    """Numbers that the chip keeps of each neuron of a layer, `[size]`.

    Attributes:
        threshold: of the membrane; `NEVER` for integrators.
        bias: added to the change of the membrane in each step.
        dash_mem: shift of the membrane's decay.
        dash_syn: shift of the synapse's decay.
        shift: by which what arrives is shifted to the left.
        up_to: the most spikes that the update fires in a step; 0 for integrators.
    """

    threshold: Int64
    bias: Int64
    dash_mem: Int64
    dash_syn: Int64
    shift: int
    up_to: int


def cells(net: Network, name: str, size: int) -> Cells | Problem:
    """Return the numbers of a layer, or why its update is not Xylo's."""
    neuron = net.neurons[name]
    forms = _INTEGRATORS if neuron.integrates else _FORMS
    matchings = [matched(neuron.program, form) for form in forms]
    holes = next((each for each in matchings if isinstance(each, dict)), None)
    if holes is None:
        return Problem(name, str(matchings[0]), "train with machine 'xylo'")
    given = {"bias": "0", "threshold": str(NEVER), "up_to": "0", **holes}

    def values(hole: str) -> Int64:
        word = given[hole]
        return (
            by_neuron(neuron, word, size)
            if word in neuron.values
            else np.full(size, int(word), np.int64)
        )

    parameters = {hole: values(hole) for hole in RANGES}
    for hole, (low, high) in RANGES.items():
        worst = parameters[hole][(parameters[hole] < low) | (parameters[hole] > high)]
        if worst.size:
            hint = "train with a higher threshold" if hole == "bias" else f"use {hole} within it"
            return Problem(
                name, f"its {hole} is {worst[0]:,}, the chip holds {low:,} to {high:,}", hint
            )
    return Cells(**parameters, shift=int(given["shift"]), up_to=int(given["up_to"]))
