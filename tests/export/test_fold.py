"""Folding against the real-valued layer it stands for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st

from lehr.errors import NotMappable
from lehr.export.fold import Affine, fold, in_units
from lehr.nodes import INT32_MAX

GAINS = st.floats(1e-4, 1e3)


def test_batch_norm_as_its_definition() -> None:
    rng = np.random.default_rng(0)
    weight, bias, mean = rng.normal(size=(3, 5))
    variance, x = rng.uniform(0.1, 2, 5), rng.normal(size=5)
    affine = Affine.batch_norm(weight, bias, mean, variance, 1e-5)
    assert np.allclose(
        affine.gain * x + affine.offset, (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
    )


@budget(60, 1000)
@given(
    GAINS, st.sampled_from([-1, 1]), st.floats(1e-3, 100), st.floats(-100, 100), st.integers(0, 8)
)
def test_thresholds_and_biases_are_the_nearest_integers(
    gain: float, sign: int, theta: float, offset: float, bits: int
) -> None:
    """Against fractions: no threshold is cut, however great it is."""
    folded = fold(Affine(np.array([sign * gain]), np.array([offset])), theta, bits)
    assert folded.sign.tolist() == [sign]
    assert folded.scale.tolist() == [gain]
    for integers, value in ((folded.threshold, theta), (folded.bias, offset)):
        exact = Fraction(value) * 2**bits / Fraction(gain)
        nearest = int(integers[0])
        assert abs(nearest - exact) <= Fraction(1, 2) + abs(exact) * Fraction(1, 2**50) or (
            value == theta and nearest == 1
        )


def test_a_threshold_below_half_a_unit_is_one_unit() -> None:
    folded = fold(Affine(np.array([1.0]), np.array([0.0])), 0.01, 4)
    assert folded.threshold.tolist() == [1]
    assert in_units(Affine(np.array([1.0]), np.array([0.0])), 0.01, 4)[0].tolist() == [0.16]


@pytest.mark.parametrize(
    ("gain", "offset", "message"),
    [
        (1e-9, 0.0, r"^channel 1: its threshold is 3\.2e\+10 units of 2\*\*-4 weights, and 32 bits hold 2,147,483,647; use fewer fraction"
                    r" bits, or a gain further from 0 than 1e-09$"),
        (0.0, 0.0, r"^channel 1: its threshold is inf units of .* further from 0 than 0$"),
        (1.0, -1e9, r"^channel 1: its bias is -1\.6e\+10 units of"),
        (float("nan"), 0.0, r"^channel 1: its threshold is nan units of"),
    ],
)  # fmt: skip
def test_what_32_bits_do_not_hold_is_refused_not_cut(
    gain: float, offset: float, message: str
) -> None:
    with pytest.raises(NotMappable, match=message):
        fold(Affine(np.array([1.0, gain]), np.array([0.0, offset])), 2.0, 4)


def test_the_greatest_integers_are_held() -> None:
    most = float(INT32_MAX)
    folded = fold(Affine(np.ones(2), np.array([most, -most])), most, 0)
    assert folded.threshold.tolist() == [INT32_MAX, INT32_MAX]
    assert folded.bias.tolist() == [INT32_MAX, -INT32_MAX]
