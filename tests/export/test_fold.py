"""Folding against the real-valued layer it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from lehr.errors import NotMappable
from lehr.export.fold import THRESHOLD_ERROR, THRESHOLD_MAX, Affine, choose_fraction_bits, fold


def test_batch_norm_as_its_definition() -> None:
    rng = np.random.default_rng(0)
    weight, bias, mean = rng.normal(size=(3, 5))
    variance, x = rng.uniform(0.1, 2, 5), rng.normal(size=5)
    affine = Affine.batch_norm(weight, bias, mean, variance, 1e-5)
    assert np.allclose(affine.gain * x + affine.offset, (x - mean) / np.sqrt(variance + 1e-5) * weight + bias)


def test_units_signs_and_scale() -> None:
    folded = fold(Affine(np.array([0.5, -0.25]), np.array([1.0, -1.0])), 3.0, area=4, full_scale=255, fraction_bits=1)
    assert folded.sign.tolist() == [1, -1]
    assert folded.threshold.tolist() == [round(2 * 3.0 * 1020 / 0.5), round(2 * 3.0 * 1020 / 0.25)]
    assert folded.bias.tolist() == [round(2 * 1020 / 0.5), -round(2 * 1020 / 0.25)]
    assert folded.scale.tolist() == [0.5 / 1020, 0.25 / 1020]
    assert folded.clamped == ()


@pytest.mark.parametrize("theta", [0.01, 0.3, 1.0, 7.5, 400.0])
def test_chosen_fraction_bits_keep_the_rounding_error_small_and_are_the_least(theta: float) -> None:
    gain = np.linspace(0.2, 3.0, 50)
    folded = fold(Affine(gain, np.zeros(50)), theta)
    exact = 2.0**folded.fraction_bits * theta / gain
    assert (np.abs(folded.threshold - exact) / exact).max() <= THRESHOLD_ERROR
    lowest = theta / 3.0
    if folded.fraction_bits > 0:
        assert 0.5 / (2.0 ** (folded.fraction_bits - 1) * lowest) > THRESHOLD_ERROR


def test_fraction_bits_have_their_limits() -> None:
    assert choose_fraction_bits(1e9) == 0
    assert choose_fraction_bits(1e-9) == 16


def test_a_gain_near_zero_is_clamped_and_keeps_bias_to_threshold() -> None:
    folded = fold(Affine(np.array([1.0, 1e-9]), np.array([0.0, 0.5])), 2.0, fraction_bits=4)
    assert folded.clamped == (1,)
    assert folded.threshold.tolist() == [32, THRESHOLD_MAX]
    assert folded.bias.tolist() == [0, THRESHOLD_MAX // 4]


def test_a_dead_layer_is_refused() -> None:
    with pytest.raises(NotMappable, match="gain is 0 in every channel; train the layer longer or without batch norm"):
        fold(Affine(np.zeros(3), np.ones(3)), 1.0)
