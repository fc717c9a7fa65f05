"""The programs that the fused loops of `lehr.train.floats.lif` compute.

Those that fields of `Arithmetic` say, without a second state.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, get_args

from lehr.arithmetic import Arithmetic, Reset, ResetTiming
from lehr.errors import FileRefused
from lehr.programs import program_of
from lehr.update import INPUT, Add, Bound, Decay, Fire, Leak, Program, Statement


@cache
def fields_of(program: Program) -> Arithmetic | None:
    """Return the fields whose program equals this one, or None where there are none.

    They have update 'step' and no synapse state. Where the numerator of the decay is a parameter,
    they have the shift alone from it.
    """
    if decays_by_channel(program):
        return fields_of(Program(tuple(map(_without_parameter, program.statements))))
    statements = program.statements
    takes = [s for s in statements if isinstance(s, Add) and s.source == INPUT]
    bounds = [
        (s.low, s.overflow) for s in statements if isinstance(s, Bound) and isinstance(s.low, int)
    ]
    if program.loop is not None or len(takes) != 1 or len(bounds) != 1:
        return None
    [(lowest, overflow)] = bounds
    decay = next((s.decay for s in statements if isinstance(s, Leak)), Decay("multiply"))
    read: dict[str, Any] = {
        "decay_form": decay.form,
        "decay_numerator": decay.numerator,
        "decay_shift": decay.shift,
        "rounding": decay.rounding,
        "fires": next((s.test for s in statements if isinstance(s, Fire)), "never"),
        "fraction_bits": takes[0].shift,
        "state_bits": (-lowest).bit_length(),
        "overflow": overflow,
    }
    # what a spike does shows in the order of statements: the program of each answer says which it
    # is
    for reset, timing in product(get_args(Reset), get_args(ResetTiming)):
        try:
            fields = Arithmetic(**read, reset=reset, reset_timing=timing)
        except FileRefused:  # a field that is no number, or out of its range
            continue
        if program_of(fields) == program:
            return fields
    return None


def decays_by_channel(program: Program) -> list[str]:
    """Return the parameters that hold numerators of decays by multiplication."""
    return [
        s.decay.numerator
        for s in program.all
        if isinstance(s, Leak) and s.decay.form == "multiply" and isinstance(s.decay.numerator, str)
    ]


def _without_parameter(s: Statement) -> Statement:
    if isinstance(s, Leak) and isinstance(s.decay.numerator, str):
        return replace(s, decay=replace(s.decay, numerator=0))
    return s
