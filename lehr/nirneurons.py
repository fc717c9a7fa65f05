"""Neurons in NIR's own fields: the type nearest to a program, and its floats.

The type has the program's shape; the floats say its time constants and scales.

One Euler step of tau dv/dt = (v_leak - v) + r I is v = beta v + g I + b, with tau = dt / (1 -
beta). With a current before it, tau_syn di/dt = -i + w_in S is i = alpha i + g S, and the membrane
takes all of the new i. A program is read as such a map; where it does more, the nearest type is
what remains, and what it lacks is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.linear import ONE, Float, Form, Reading, read_linear
from lehr.nirnodes import DT
from lehr.update import FIRED, INPUT, Add, Program, Put

TYPES: Mapping[str, tuple[str, ...]] = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "I": ("r",),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
}
"""The types of neurons, each with its fields."""
SLOWEST = 1 - 2.0**-16
"""The decay that stands for none where NIR asks for a time constant."""
_NONE: Float = np.zeros(())


@dataclass(frozen=True)
class NirNeuron:
    """Neurons as NIR has them.

    Attributes:
        kind: the type.
        fields: its fields in order, each a number or an array that the layer's shape is laid out
            of.
        lacks: what the type does not say of the program, in sentences without a subject; empty
            where it has the program's shape.
    """

    kind: str
    fields: Mapping[str, npt.NDArray[Any]]
    lacks: tuple[str, ...]


def nir_neuron(program: Program, values: Mapping[str, npt.NDArray[Any]]) -> NirNeuron:
    """Return the type of NIR that is nearest to a program.

    Args:
        program: the update.
        values: the layer's parameters by name, by channel or by neuron, as integers.
    """
    axes = max(value.ndim for value in values.values())
    laid = {
        name: value.reshape(*value.shape, *[1] * (axes - value.ndim))
        for name, value in values.items()
    }
    lacks: list[str] = []
    with np.errstate(over="ignore", invalid="ignore"):  # a program may double a register 64 times
        reading = read_linear(program, laid)
        current = _current(program, reading, lacks)
        lacks += dict.fromkeys(reading.beyond)
        if current is not None:
            kind, fields = "CubaLI", _with_current(program, reading, *current, lacks)
        else:
            kind, fields = _alone(program, reading, lacks)
        if program.fires:
            kind, fields = f"{kind}F", fields | _firing(program, reading, lacks)
    beyond = [name for name, value in fields.items() if not np.isfinite(value).all()]
    lacks += [f"its {name} is beyond floating point" for name in beyond]
    return NirNeuron(
        kind, fields | {name: np.nan_to_num(fields[name]) for name in beyond}, tuple(lacks)
    )


def _current(program: Program, reading: Reading, lacks: list[str]) -> tuple[str, Form] | None:
    """Return the state that is a current of NIR, and what the membrane takes of it.

    It is one into which the input goes, which no spike changes and nothing else drives, and which
    drives the membrane.
    """
    others = [state for state in program.states if state not in (program.membrane, FIRED)]
    sometimes = {
        s.x
        for s in program.all
        if (isinstance(s, Add) and s.times) or (isinstance(s, Put) and s.when)
    }
    chosen = None
    for state in others:
        own = reading.forms[state]
        if (
            chosen is None
            and state not in sometimes
            and INPUT in own
            and own.keys() <= {state, INPUT, ONE}
        ):
            drives = read_linear(program, reading.values, held=state).forms[program.membrane]
            chosen = (state, drives) if state in drives else None
    lacks += [
        f"its state {state} is no current that drives {program.membrane}"
        for state in others
        if chosen is None or state != chosen[0]
    ]
    return chosen


def _alone(
    program: Program, reading: Reading, lacks: list[str]
) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """Return the type and the fields of neurons without a current."""
    membrane = reading.forms[program.membrane]
    beta, gain = membrane.get(program.membrane, _NONE), membrane.get(INPUT, _NONE)
    if np.all(beta == 1):
        return "I", {"r": np.asarray(gain / DT)}
    beta = _decay(program.membrane, beta, lacks)
    tau = DT / (1 - beta)
    return "LI", {
        "r": np.asarray(gain * tau / DT),
        "tau": np.asarray(tau),
        "v_leak": np.asarray(membrane.get(ONE, _NONE) / (1 - beta)),
    }


def _with_current(
    program: Program, reading: Reading, current: str, drives: Form, lacks: list[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of neurons whose membrane is driven by a current."""
    synapse = reading.forms[current]
    if INPUT in drives:
        lacks.append(f"its input goes into {program.membrane} beside {current}")
    alpha = _decay(current, synapse.get(current, _NONE), lacks)
    beta = _decay(program.membrane, drives.get(program.membrane, _NONE), lacks)
    return {
        "r": np.asarray(drives[current] / (1 - beta)),
        "v_leak": np.asarray(drives.get(ONE, _NONE) / (1 - beta)),
        "tau_mem": np.asarray(DT / (1 - beta)),
        "tau_syn": np.asarray(DT / (1 - alpha)),
        "w_in": np.asarray(synapse[INPUT] / (1 - alpha)),
    }


def _decay(state: str, factor: Float, lacks: list[str]) -> Float:
    """Return the share that a state keeps in a step, which a time constant must be able to say."""
    if np.any(factor == 1):
        lacks.append(f"its {state} does not leak")
    elif np.any((factor < 0) | (factor > 1)):
        lacks.append(
            f"its {state} is multiplied by {factor[(factor < 0) | (factor > 1)].flat[0]:g} in a "
            "step"
        )
    return np.clip(factor, 0.0, SLOWEST)


def _firing(program: Program, reading: Reading, lacks: list[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of neurons that fire."""
    (fire, level), *others = reading.fires
    if others:
        lacks.append(f"it fires in {1 + len(others)} places")
    if fire.x != program.membrane:
        lacks.append(f"it fires by {fire.x}, not by {program.membrane}")
    # The parameter of that name stands in the file here, whatever the program does with it.
    threshold = (
        reading.values["threshold"]
        if "threshold" in program.parameters
        else _exact(level.get(ONE, _NONE))
    )
    if set(level) - {ONE} or np.any(level.get(ONE, _NONE) != threshold):
        lacks.append(f"its threshold {fire.level} changes")
    reset = reading.resets.get(program.membrane, {})
    if set(reset) - {ONE}:
        lacks.append(f"a spike puts {program.membrane} to what changes")
    return {"v_threshold": threshold, "v_reset": _exact(reset.get(ONE, _NONE))}


def _exact(value: Float) -> npt.NDArray[Any]:
    """Return whole numbers of 32 bits as such."""
    whole = value.astype(np.int64)
    return (
        whole.astype(np.int32)
        if np.array_equal(whole, value) and np.all(np.abs(whole) < 2**31)
        else value
    )
