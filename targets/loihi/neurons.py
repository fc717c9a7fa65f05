"""Neurons of the chip: whether an update is the chip's own, and the numbers of its registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Network, Neuron
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.loihi.layers import Layer
from lehr.targets.rooms import outside
from lehr.targets.wiring import shared

UNIT = 64
"""Unit of thresholds and biases, which the chip keeps without their lowest six bits.

Source: Lava, `vth_shift` and `bias_exp` 6.
"""
UNIT_BITS = 6
DECAY_BITS = 12
HIGHEST_MANTISSA = 2**17 - 1
LEAST_BIAS, HIGHEST_BIAS = -(2**12), 2**12 - 1
RAIL = 2**23
"""Rail of Lava's models.

They clip a membrane to -(2**23 - 1)..2**23 - 1, and wrap a current into -(2**23 - 1)..2**23.
"""
CURRENT_RANGE, MEMBRANE_RANGE = (1 - RAIL, RAIL), (1 - RAIL, RAIL - 1)
SUM_RANGE = (-(2**15), 2**15 - 1)
MOST_FRACTION_BITS = 13

_CURRENT = """\
leak {u:name} multiply {ku:name} {nu} toward_zero
add {u:name} input {bits}
bound {u:name} {low} {high} %s
"""
_MEMBRANE = """\
?leak v multiply {kv:name} {nv} toward_zero
add v {in:name} {bits_in}
?add v bias 0
bound v {vlow} {vhigh} %s
"""
_FIRES = """\
fire fired v gt {level:name} 1
put v 0 when fired
"""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers that the chip gets for a layer of neurons.

    Attributes:
        fraction_bits: by which the network shifts its sums; the chip's own shift is 6, the rest
            goes into the weights.
        current: 4096 times the share of the current that is lost in a step (netx: iDecay); 4096
            where there is none.
        membrane: the same of the membrane (netx: vDecay).
        threshold: in units of 64 (netx: vThMant).
        bias: in units of 64, by channel; None without one.
        rails: the program brings its states into a range where the chip does, so that they may come
            to its ends.
        register: of the current; empty where it is nothing but the step's sum.
    """

    fraction_bits: int
    current: int
    membrane: int
    threshold: int
    bias: Int64 | None
    rails: bool
    register: str = ""


def numbers(name: str, neuron: Neuron) -> Numbers | tuple[Problem, ...]:
    """Return the numbers of a layer; or why the chip has no such neurons."""
    matching = _matched(neuron)
    if isinstance(matching, str):
        return (
            Problem(
                name,
                matching,
                "write the update of lehr.machines.LOIHI, or say it in fields of Arithmetic",
            ),
        )
    values, rails = matching
    problems = list[Problem]()
    current, membrane = 1 << DECAY_BITS, 0
    if "ku" in values:
        current = _decay(
            name, neuron, values["ku"], int(values["nu"]), (0, (1 << DECAY_BITS) - 1), problems
        )
    if "kv" in values:
        membrane = _decay(
            name, neuron, values["kv"], int(values["nv"]), (1, 1 << DECAY_BITS), problems
        )
    bits = int(values["bits" if "ku" in values else "bits_in"])
    if not UNIT_BITS <= bits <= MOST_FRACTION_BITS:
        reason = (
            f"its sums are shifted by {bits} bits, the chip shifts by {UNIT_BITS} and its "
            "weights by up to 7 more"
        )
        problems.append(
            Problem(name, reason, f"use {UNIT_BITS} to {MOST_FRACTION_BITS} fraction bits")
        )
    threshold = (
        HIGHEST_MANTISSA
        if neuron.integrates
        else _threshold(name, neuron, values["level"], problems)
    )
    bias = _bias(name, neuron, problems)
    register = values["u"] if "ku" in values else ""
    return tuple(problems) or Numbers(bits, current, membrane, threshold, bias, rails, register)


def _matched(neuron: Neuron) -> tuple[dict[str, str], bool] | str:
    """Return what stands in the holes of the chip's form, and whether it has the chip's rails.

    It has where it wraps and saturates as the chip does. Else return where it differs.
    """
    said = ""
    for two_states in (True, False) if len(neuron.program.states) > 1 else (False,):
        for current, membrane in (
            ("wrap", "saturate"),
            ("saturate", "saturate"),
            ("wrap", "wrap"),
            ("saturate", "wrap"),
        ):
            form = (
                (_CURRENT % current if two_states else "")
                + _MEMBRANE % membrane
                + ("" if neuron.integrates else _FIRES)
            )
            values = matched(neuron.program, form)
            if isinstance(values, str):
                said = said or values
            elif values["in"] == (values["u"] if two_states else "input") and (
                not two_states or values["bits_in"] == "0"
            ):
                return values, (current, membrane) == ("wrap", "saturate")
    return said or (
        "its membrane takes something else than its sum or its current, which the machine "
        "does not compute"
    )


def _one(name: str, neuron: Neuron, value: str, problems: list[Problem]) -> int | None:
    """Return a number, or the one number that a parameter of a layer is."""
    if value.lstrip("-").isdigit():
        return int(value)
    one = shared(neuron.values[value].astype(np.int64)) if value in neuron.values else None
    if one is None:
        problems.append(
            Problem(
                name,
                f"its {value} differs from neuron to neuron, the machine has one a layer",
                "use one for the layer",
            )
        )
    return one


def _decay(
    name: str,
    neuron: Neuron,
    numerator: str,
    shift: int,
    kept: tuple[int, int],
    problems: list[Problem],
) -> int:
    """4096 times the share that is lost in a step."""
    k = _one(name, neuron, numerator, problems)
    if k is None:
        return 0
    share, left = divmod(k << DECAY_BITS, 1 << shift)
    if left or not kept[0] <= share <= kept[1]:
        reason = (
            f"a decay by {k}/2^{shift} is none of {kept[0]}/2^{DECAY_BITS} to "
            f"{kept[1]}/2^{DECAY_BITS}, which the chip has"
        )
        problems.append(Problem(name, reason, "use such a decay"))
    return (1 << DECAY_BITS) - share


def _threshold(name: str, neuron: Neuron, level: str, problems: list[Problem]) -> int:
    one = _one(name, neuron, level, problems)
    if one is None:
        return 0
    mantissa, left = divmod(one, UNIT)
    if left or not 1 <= mantissa <= HIGHEST_MANTISSA:
        reason = (
            f"its threshold is {one:,}, the chip has multiples of {UNIT} up to "
            f"{HIGHEST_MANTISSA * UNIT:,}"
        )
        problems.append(Problem(name, reason, "use such a threshold"))
    return mantissa


def _bias(name: str, neuron: Neuron, problems: list[Problem]) -> Int64 | None:
    bias = neuron.bias.astype(np.int64)
    if not bias.any():
        return None
    whole = (bias % UNIT == 0) & (bias // UNIT >= LEAST_BIAS) & (bias // UNIT <= HIGHEST_BIAS)
    if not whole.all():
        worst = int(bias[~whole].flat[0])
        reason = (
            f"a bias is {worst:,}, the chip has multiples of {UNIT} from {LEAST_BIAS * UNIT:,} "
            f"to {HIGHEST_BIAS * UNIT:,}"
        )
        problems.append(Problem(name, reason, "use such biases, or none"))
    return bias // UNIT


def stays(net: Network, layer: Layer, registers: Numbers) -> list[Problem]:
    """Return why states of a layer could come where chip and network differ.

    The chip does something there that the network does not. Or sums come to where it has no bits.
    """
    low, high = (end << (registers.fraction_bits - UNIT_BITS) for end in layer.sums)
    problems = []
    if low < SUM_RANGE[0] or high > SUM_RANGE[1]:
        reason = f"its sums reach {low:,}..{high:,} in units of the chip, which adds in 16 bits"
        problems.append(Problem(layer.name, reason, "use fewer fraction bits or a smaller fan-in"))
    neuron = net.neurons[layer.name]
    # no integrator may pass the threshold that it has
    highest = HIGHEST_MANTISSA * UNIT if neuron.integrates else MEMBRANE_RANGE[1]
    ranges = {"v": (MEMBRANE_RANGE[0], highest)} | (
        {registers.register: CURRENT_RANGE} if registers.register else {}
    )
    return [*problems, *outside(net, layer.name, ranges, same_rails=registers.rails)]


def may_reach_rails(net: Network, layer: Layer, registers: Numbers) -> bool:
    """Return whether a state of the layer could come to an end of its range.

    There it wraps or saturates.
    """
    ranges = {"v": MEMBRANE_RANGE} | (
        {registers.register: CURRENT_RANGE} if registers.register else {}
    )
    return bool(outside(net, layer.name, ranges))
