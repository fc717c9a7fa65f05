"""Folding for the float32 twin, which has a greatest threshold of its own."""

from __future__ import annotations

import numpy as np
import pytest

from lehr.errors import NotMappable
from lehr.export.fold import THRESHOLD_ERROR, Affine
from lehr.train.twin.folding import THRESHOLD_MAX, choose_fraction_bits, fold_for_twin


@pytest.mark.parametrize("theta", [0.01, 0.3, 1.0, 7.5, 400.0])
def test_chosen_fraction_bits_keep_the_rounding_error_small_and_are_the_least(theta: float) -> None:
    gain = np.linspace(0.2, 3.0, 50)
    folded = fold_for_twin(Affine(gain, np.zeros(50)), theta, None).layer
    exact = 2.0**folded.fraction_bits * theta / gain
    assert (np.abs(folded.threshold - exact) / exact).max() <= THRESHOLD_ERROR
    lowest = theta / 3.0
    if folded.fraction_bits > 0:
        assert 0.5 / (2.0 ** (folded.fraction_bits - 1) * lowest) > THRESHOLD_ERROR


def test_fraction_bits_have_their_limits() -> None:
    assert choose_fraction_bits(1e9) == 0
    assert choose_fraction_bits(1e-9) == 16


def test_a_gain_near_zero_is_clamped_and_keeps_bias_to_threshold() -> None:
    fold = fold_for_twin(Affine(np.array([1.0, 1e-9, -1e-9]), np.array([0.0, 0.5, 0.5])), 2.0, 4)
    assert fold.clamped == (1, 2)
    assert fold.layer.sign.tolist() == [1, 1, -1]
    assert fold.layer.threshold.tolist() == [32, THRESHOLD_MAX, THRESHOLD_MAX]
    assert fold.layer.bias.tolist() == [0, THRESHOLD_MAX // 4, THRESHOLD_MAX // 4]


def test_a_dead_layer_is_refused() -> None:
    with pytest.raises(
        NotMappable,
        match="gain is 0 in every channel; train the layer longer or without batch norm",
    ):
        fold_for_twin(Affine(np.zeros(3), np.ones(3)), 1.0, None)
