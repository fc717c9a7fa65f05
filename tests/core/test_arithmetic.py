"""Elementary operations against exact fractions, and refusals of an impossible arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, get_args

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from old_reference import decay
from strategies import arithmetics

from lehr.arithmetic import Arithmetic, Rounding, divide_by_power_of_two
from lehr.errors import FileRefused
from lehr.operations import bounded, spikes

ROUND: dict[str, Callable[[Fraction], int]] = {
    "toward_zero": math.trunc,
    "floor": math.floor,
    "nearest_even": round,
}


@pytest.mark.parametrize("rounding", get_args(Rounding))
@budget(40, 333)
@given(value=st.integers(-(2**46), 2**46) | st.integers(-40, 40), shift=st.integers(0, 16))
def test_division_rounds_as_the_fraction_does(rounding: Rounding, value: int, shift: int) -> None:
    result = divide_by_power_of_two(np.array([value]), shift, rounding)
    assert result.tolist() == [ROUND[rounding](Fraction(value, 1 << shift))]


@budget(40, 333)
@given(arithmetic=arithmetics(), value=st.integers(-(2**31), 2**31 - 1))
def test_decay_is_what_its_fields_say(arithmetic: Arithmetic, value: int) -> None:
    rounded, part = ROUND[arithmetic.rounding], Fraction(value, 1 << arithmetic.decay_shift)
    expected = (
        rounded(part * arithmetic.decay_numerator)
        if arithmetic.decay_form == "multiply"
        else value - rounded(part)
    )
    assert decay(arithmetic, np.array([value])).tolist() == [expected]
    assert arithmetic.beta == Fraction(arithmetic.decay_numerator, 1 << arithmetic.decay_shift)


def test_the_two_forms_of_seven_eighths_are_two_machines() -> None:
    values = np.arange(-2000, 2001)
    multiply = Arithmetic(decay_numerator=7, decay_shift=3)
    assert (
        decay(multiply, values) != decay(replace(multiply, decay_form="shift"), values)
    ).sum() == 3500
    assert decay(
        Arithmetic(decay_form="shift", decay_numerator=127, decay_shift=7), np.array([127])
    ).tolist() == [127]


@budget(40, 333)
@given(arithmetic=arithmetics(), value=st.integers(-(2**40), 2**40))
def test_bounding_saturates_or_wraps_into_twos_complement(
    arithmetic: Arithmetic, value: int
) -> None:
    (result,) = bounded(
        np.array([value]), arithmetic.lowest, arithmetic.highest, arithmetic.overflow
    ).tolist()
    assert arithmetic.lowest <= result <= arithmetic.highest
    if arithmetic.overflow == "wrap":
        assert (result - value) % (1 << arithmetic.state_bits) == 0
    else:
        assert result == min(max(value, arithmetic.lowest), arithmetic.highest)


def test_firing_at_the_threshold_depends_on_the_field() -> None:
    around, threshold = np.array([6, 7, 8]), np.array([7, 7, 7])
    assert spikes(around, threshold, "gt", 1).tolist() == [0, 0, 1]
    assert spikes(around, threshold, "ge", 1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"decay_form": "exp"}, "decay_form is 'exp'; use one of 'multiply', 'shift'"),
        ({"rounding": None}, "rounding is None; use one of 'toward_zero', 'floor', 'nearest_even'"),
        ({"reset": "hard"}, "reset is 'hard'; use one of 'subtract', 'zero', 'none'"),
        ({"reset_timing": 0}, "reset_timing is 0; use one of 'next_step', 'same_step'"),
        ({"fires": ">"}, "fires is '>'; use one of 'gt', 'ge', 'never'"),
        ({"overflow": "trap"}, "overflow is 'trap'; use one of 'saturate', 'wrap'"),
        ({"update": "spike"}, "update is 'spike'; use one of 'step', 'event'"),
        (
            {"decay_numerator": 0.875},
            "decay_numerator is 0.875, not an integer; give a whole number",
        ),
        ({"fraction_bits": True}, "fraction_bits is True, not an integer; give a whole number"),
        (
            {"state_bits": np.int32(16)},
            "state_bits is np.int32(16), not an integer; give a whole number",
        ),
        ({"decay_shift": 17}, "decay_shift is 17; use 0 to 16"),
        ({"decay_shift": -1}, "decay_shift is -1; use 0 to 16"),
        ({"decay_numerator": 9, "decay_shift": 3}, "decay_numerator is 9; use 0 to 8"),
        ({"decay_numerator": -1}, "decay_numerator is -1; use 0 to 1"),
        ({"fraction_bits": 17}, "fraction_bits is 17; use 0 to 16"),
        ({"state_bits": 7}, "state_bits is 7; use 8 to 32"),
        ({"state_bits": 33}, "state_bits is 33; use 8 to 32"),
        (
            {"decay_form": "shift", "decay_numerator": 6, "decay_shift": 3},
            "decay_numerator is 6, but decay_form 'shift' with decay_shift 3 decays by 7/8; set it "
            "to 7",
        ),
        (
            {"update": "event"},
            "update 'event' resets at the event that fires, but reset_timing is 'next_step'; set "
            "it to 'same_step'",
        ),
    ],
)
def test_an_arithmetic_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FileRefused) as caught:
        Arithmetic(**fields)
    assert str(caught.value) == message
