"""Steps that lose least, against every assignment of levels and fine grids of steps.

The common rules are others; a trained net shows what all of them do.
"""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from nir_graphs import chain, graph
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from lehr.export import rounding
from lehr.export.effect import measure
from lehr.export.levels import read_levels, within_kind
from lehr.export.nirgraph import Options, Semantics, from_nir, quantize
from lehr.export.rounding import least_loss_step
from lehr.weights import KINDS, LARGEST, WeightKind

Float = npt.NDArray[np.float64]


def loss(row: Float, step: float, greatest: int) -> float:
    return float(((row - step * np.rint(row / step).clip(-greatest, greatest)) ** 2).sum())


def least_by_trying_all(row: Float, greatest: int) -> float:
    """Return the least loss of all assignments of levels, each with its best step."""
    levels = np.array(list(itertools.product(range(greatest + 1), repeat=len(row)))[1:], np.float64)
    return float((row**2).sum() - ((levels @ np.abs(row)) ** 2 / (levels**2).sum(axis=1)).max())


def ternary_rule(row: Float) -> float:
    """Return what Li and Liu's rule loses.

    It takes the mean of what is above 0.7 of the mean, and 0 for the rest.
    """
    large = np.abs(row) > 0.7 * np.abs(row).mean()
    step = np.abs(row[large]).mean()
    return float(((row - np.where(large, np.sign(row) * step, 0)) ** 2).sum())


@st.composite
def rows(draw: st.DrawFn, most: int = 60) -> Float:
    """Draw weights of several kinds of spread.

    They are even, normal, with outliers, nearly levels, nearly one magnitude, of all orders.
    """
    rng, n = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(1, most))
    spread = draw(st.integers(0, 5))
    signs, noise = rng.choice([-1.0, 1.0], n), rng.normal(size=n)
    spreads = [
        rng.random(n),
        noise,
        rng.standard_cauchy(n),
        rng.integers(1, 9, n) + 1e-3 * noise,
        1 + 1e-3 * noise,
        10.0 ** rng.uniform(-9, 9, n),
    ]
    return np.asarray(signs * np.abs(spreads[spread]) * 10.0 ** draw(st.integers(-20, 20)))


@budget(40, 333)
@given(rows(most=5), st.sampled_from([1, 2, 3, 7]))
def test_no_assignment_of_levels_loses_less(row: Float, greatest: int) -> None:
    row = row[: 3 if greatest == 7 else 5]
    assert (
        loss(row, least_loss_step(np.abs(row), greatest), greatest)
        <= least_by_trying_all(row, greatest) + 1e-12 * (row**2).sum()
    )


@budget(20, 133)
@given(rows(), st.sampled_from(KINDS[1:]))
def test_no_step_of_a_grid_loses_less_nor_the_common_rules(row: Float, kind: WeightKind) -> None:
    greatest, total = LARGEST[kind], float((row**2).sum())
    for nearest in (
        within_kind(row[None], kind),
        read_levels(row[None], kind) if kind != "ternary" else within_kind(row[None], kind),
    ):
        lost = float(((row - nearest.levels[0] * nearest.step[0]) ** 2).sum())
        highest = np.abs(row).max() / greatest
        steps = highest * np.concatenate([[1.0], np.geomspace(0.02, 3, 300)])
        assert lost <= min(loss(row, step, greatest) for step in steps) + 1e-12 * total
        assert lost <= ternary_rule(row) + 1e-12 * total


@budget(20, 133)
@given(rows(), st.sampled_from([1, 3, 31, 127]))
def test_looking_at_a_few_changes_at_once_gives_the_same(row: Float, greatest: int) -> None:
    whole = loss(row, least_loss_step(np.abs(row), greatest), greatest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounding, "AT_ONCE", 7)
        assert loss(row, least_loss_step(np.abs(row), greatest), greatest) == pytest.approx(
            whole, rel=1e-9, abs=1e-12 * (row**2).sum()
        )


@pytest.mark.parametrize("kind", KINDS[1:])
def test_levels_stay_what_they_are(kind: WeightKind) -> None:
    rng = np.random.default_rng(1)
    levels = rng.integers(-LARGEST[kind], LARGEST[kind] + 1, (6, 30))
    levels[:, :2] = [LARGEST[kind], 1]
    steps = rng.uniform(0.01, 3, 6)
    nearest = within_kind((levels * steps[:, None]).astype(np.float32).astype(np.float64), kind)
    np.testing.assert_array_equal(nearest.levels, levels)
    np.testing.assert_allclose(nearest.step, steps, rtol=1e-6)
    assert nearest.moved < 1e-4
    one_off = levels * steps[:, None]
    one_off[0, 5] += 0.3 * steps[0]
    assert within_kind(one_off, kind).moved > 0.1, "a weight that is no level is not taken for one"


def test_two_bits_are_three_levels_and_numbers_at_the_ends_of_the_range_are_rounded() -> None:
    weight = np.random.default_rng(2).normal(size=(20, 30))
    ternary, int2 = within_kind(weight, "ternary"), within_kind(weight, "int2")
    np.testing.assert_array_equal(ternary.levels, int2.levels)
    np.testing.assert_array_equal(ternary.step, int2.step)
    for scale in (1e-300, 1e300):
        np.testing.assert_array_equal(
            within_kind(weight * scale, "int4").levels, within_kind(weight, "int4").levels
        )


def test_weights_whose_currents_are_added_share_the_step_that_loses_least_for_both() -> None:
    rng = np.random.default_rng(3)
    first, back = rng.normal(0, 0.2, (5, 9)), rng.normal(0, 0.6, (5, 5))
    body = {"a": nir.Linear(first), "n": nir.IF(np.ones(5), np.ones(5)), "r": nir.Linear(back)}
    nir_graph = graph(
        body, [("input", "a"), ("a", "n"), ("n", "r"), ("r", "n"), ("n", "output")], (9,), (5,)
    )
    x = (rng.random((4, 20, 9)) < 0.5).astype(np.uint8)
    quantized = quantize(
        from_nir(nir_graph), x, Semantics(integrate="step"), Options(weights="int3")
    )
    joined = np.concatenate([first, back], axis=1)
    levels = np.concatenate([quantized.network.weighted[name].weight for name in "ar"], axis=1)
    scale = quantized.layers["n"].scale * 2.0 ** quantized.network.neurons["n"].fields.fraction_bits
    for row, own, step in zip(joined, levels, scale, strict=True):
        grid = np.abs(row).max() / 3 * np.geomspace(0.1, 2, 2000)
        assert ((row - step * own) ** 2).sum() <= min(loss(row, each, 3) for each in grid) + 1e-12


def digits_net(seed: int) -> tuple[nir.NIRGraph, npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Train a network on scikit-learn's digits, and return it with 300 unseen samples.

    It has real weights, and its hidden layer became rates.
    """
    digits: Any = load_digits()
    x, labels = digits.data.astype(np.uint8), digits.target
    trained = MLPClassifier((48,), random_state=seed, learning_rate_init=0.005)
    for _ in range(30):
        trained.partial_fit(x[:1200] / 16, labels[:1200], classes=np.arange(10))
    (first, last), (bias, out) = (
        [each.T for each in values] for values in (trained.coefs_, trained.intercepts_)
    )
    threshold = np.quantile(x[:1200] / 16 @ first.T + bias, 0.999)
    body = {
        "hidden": nir.Affine(first, bias),
        "fires": nir.IF(r=np.ones(48), v_threshold=np.full(48, threshold)),
        "last": nir.Affine(last, out / threshold),
        "sums": nir.I(r=np.ones(10)),
    }
    return chain(body, (64,), (10,)), x[1200:1500], labels[1200:1500]


@pytest.mark.slow
def test_more_levels_serve_a_trained_net_better_and_two_bits_as_well_as_ternary() -> None:
    semantics = Semantics(integrate="step", reset="subtract", readout="last")
    kinds: tuple[WeightKind, ...] = ("ternary", "int2", "int3", "int8")
    right, alike = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0.0)
    for seed in range(2):
        nir_graph, x, labels = digits_net(seed)
        differ = []
        for kind in kinds:
            effect = measure(
                quantize(
                    from_nir(nir_graph),
                    x,
                    semantics,
                    Options(weights=kind),
                    steps=16,
                    full_scale=16,
                ),
                x,
            )
            assert 0.05 < effect.layers["fires"].rate < 0.5
            floats, integers = effect.accuracies(labels)
            assert floats > 0.94
            differ.append(effect.layers["fires"].spikes_differ)
            right[kind] += integers / 2
            alike[kind] += float((effect.prediction == effect.float_prediction).mean()) / 2
        assert differ[0] == differ[1], "the same levels"
        assert differ[3] < differ[2] < differ[1], (
            "each bit more brings the spikes nearer to the graph's"
        )
    for shares in (right, alike):
        assert shares["ternary"] <= shares["int2"] <= shares["int3"]
        assert shares["int2"] > 0.87
        assert shares["int8"] > 0.94
