"""Decay, exhaustively, against Python's integers.

Every 16-bit membrane goes through every form, rounding and width of lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from old_reference import decay

from lehr.arithmetic import Arithmetic, DecayForm, Rounding
from lehr.network import Neuron
from lehr.simulate.fast.calls import neurons
from lehr.simulate.fast.kernels.layout import NeuronSizes
from lehr.simulate.fast.plans.bounds import Lanes, numbers

EVERY = np.arange(-(2**15), 2**15)
DECAYS = [
    (0, 0),
    (1, 0),
    (0, 1),
    (1, 1),
    (3, 2),
    (7, 3),
    (1, 4),
    (243, 8),
    (253, 8),
    (255, 8),
    (1023, 10),
    (32767, 15),
    (1, 16),
    (65535, 16),
]


def rounded(value: int, whole: int, rounding: Rounding) -> int:
    """`value / whole` as an integer, by Python alone."""
    floor, rest = divmod(value, whole)
    if rounding == "floor" or rest == 0:
        return floor
    if rounding == "toward_zero":
        return floor + (value < 0)
    return floor + (2 * rest > whole or (2 * rest == whole and floor % 2 == 1))


def expected(form: DecayForm, rounding: Rounding, numerator: int, shift: int) -> list[int]:
    """Return the decay of every membrane."""
    whole = 1 << shift
    if form == "shift":
        return [v - rounded(v, whole, rounding) for v in EVERY.tolist()]
    return [rounded(v * numerator, whole, rounding) for v in EVERY.tolist()]


def decayed(arithmetic: Arithmetic, dtype: Any, kept: int) -> npt.NDArray[Any]:
    """One step of a layer whose inputs are all membranes there are, and what the next begins with.

    Where no membranes are kept, most rules have code of their own.
    """
    size = EVERY.size
    state, layer = np.zeros(size, dtype), np.zeros((3, size), dtype)
    membranes, totals = np.zeros(size, np.int32), np.zeros(3 * size, np.int64)
    neuron = Neuron(np.ones(1, np.int32), np.zeros(1, np.int32), arithmetic)
    p = np.array(numbers(neuron, Lanes(dtype, dtype, frozenset("v"), 2**15))._replace(kept=kept))
    sums, spikes = (
        EVERY.astype(np.int32 if dtype is np.int64 else dtype),
        np.zeros(size // 64, np.uint64),
    )
    rows = np.array((0, 1, 0) * 3)
    sizes = NeuronSizes(1, 1, size, 0, size, size, size, period=size, last=0)
    neurons(
        sums,
        state,
        spikes,
        layer.reshape(-1),
        p,
        totals,
        np.zeros(1, np.int64),
        membranes,
        np.zeros(256, np.uint8),
        np.array(sizes),
        rows,
    )
    assert np.array_equal(membranes, EVERY * kept)
    assert np.array_equal(totals[:size], EVERY > 0)
    assert (totals[size : 2 * size].min(), totals[2 * size :].max()) == (EVERY[0], EVERY[-1])
    return state


@pytest.mark.few(1)
@pytest.mark.parametrize("rounding", ["toward_zero", "floor", "nearest_even"])
def test_every_16_bit_membrane_decays_as_python_computes(rounding: Rounding) -> None:
    for numerator, shift in DECAYS:
        forms: tuple[DecayForm, ...] = (
            ("multiply", "shift") if numerator == (1 << shift) - 1 else ("multiply",)
        )
        for form in forms:
            arithmetic = Arithmetic(
                form, numerator, shift, rounding, reset="subtract", state_bits=16
            )
            wanted = np.array(expected(form, rounding, numerator, shift))
            assert np.array_equal(decay(arithmetic, EVERY), wanted)
            for dtype in (np.int16, np.int32, np.int64):
                if (
                    dtype is np.int16 and wanted.max() > 2**15 - 1
                ):  # 32,768 is no membrane, and no int16
                    continue
                for kept in (0, 1):
                    assert np.array_equal(decayed(arithmetic, dtype, kept), wanted), (
                        form,
                        numerator,
                        shift,
                        dtype,
                        kept,
                    )
