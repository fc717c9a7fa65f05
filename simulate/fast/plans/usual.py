"""The programs that fields say.

They have kernels of their own, and lanes that the width analysis of fields proves.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.network import Neuron
from lehr.programs import CURRENT, program_of
from lehr.update import MEMBRANE, Add, Bound, Fire, Leak, Program, Put, Statement

Fields = tuple[Arithmetic, Synapse | None]


@cache
def fields_of(program: Program) -> Fields | None:
    """Return the fields of a neuron whose program is this one; None where no fields say it."""
    some = program.all
    try:
        synapse = (
            Synapse(**_state(some, CURRENT), bias_to=_bias_to(some))
            if _of(some, Bound, CURRENT)
            else None
        )
        fires, reset = _of(some, Fire, MEMBRANE), _reset(some)
        late = not fires or not reset or some.index(fires[0]) > some.index(reset[0])
        arithmetic = Arithmetic(
            **_state(some, MEMBRANE),
            reset="none" if not reset else "zero" if isinstance(reset[0], Put) else "subtract",
            reset_timing="next_step" if late and program.loop is None else "same_step",
            fires=fires[0].test if fires else "never",
            fraction_bits=max((s.shift for s in some if isinstance(s, Add)), default=0),
            update="step" if program.loop is None else "event",
        )
        return (arithmetic, synapse) if program_of(arithmetic, synapse) == program else None
    except (
        FileRefused,
        TypeError,
    ):  # numbers that no fields take, or parameters where fields have numbers
        return None


def _of(some: tuple[Statement, ...], kind: type, x: str) -> list[Any]:
    """Return the statements of one kind about register x."""
    return [s for s in some if isinstance(s, kind) and getattr(s, "x", "") == x]


def _state(some: tuple[Statement, ...], x: str) -> dict[str, Any]:
    """Return the fields of a state."""
    bounds, leaks = _of(some, Bound, x), _of(some, Leak, x)
    if not bounds or isinstance(bounds[0].high, str):
        raise FileRefused(f"{x} has no width in bits")
    width = {"state_bits": bounds[0].high.bit_length() + 1, "overflow": bounds[0].overflow}
    if not leaks:
        return {**width, "decay_numerator": 1, "decay_shift": 0}
    decay = leaks[0].decay
    return {
        **width,
        "decay_form": decay.form,
        "decay_numerator": decay.numerator,
        "decay_shift": decay.shift,
        "rounding": decay.rounding,
    }


def _reset(some: tuple[Statement, ...]) -> list[Any]:
    zero = [s for s in _of(some, Put, MEMBRANE) if s.when]
    return zero + [s for s in _of(some, Add, MEMBRANE) if s.times]


def _bias_to(some: tuple[Statement, ...]) -> Any:
    return "synapse" if any(s.source == "bias" for s in _of(some, Add, CURRENT)) else "membrane"


def in_fields(neuron: Neuron) -> Neuron | None:
    """Return the neurons with their update in fields; None where none say it."""
    fields = fields_of(neuron.program)
    return None if fields is None else replace(neuron, arithmetic=fields[0], synapse=fields[1])
