"""Constrained backpropagation: the constraint, the multipliers' ascent, and weights at levels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from stopping import stopped_and_resumed
from tiny import tiny_recipe, tiny_toml

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.floats.constrained import Constraint, constraint
from lehr.train.floats.layers import QuantizedLinear
from lehr.train.floats.quantize import Drawn, quantizer
from lehr.train.keys.training import Constrained
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse

LEVELS = {"binary": (1, 2), "ternary": (1, 1)}
"""Greatest level and distance of neighbours."""


def by_hand(weight: float, levels: list[float], reach: float) -> float:
    """Take the constraint as the published code does: a sum of hats between neighbours."""
    total = max(-2 * (weight - levels[0]), 0) + max(2 * (weight - levels[-1]), 0)
    for low, high in itertools.pairwise(levels):
        middle, wide = (low + high) / 2, high - low
        hat = max(min((weight - low) / (middle - low), (weight - high) / (middle - high)) * wide, 0)
        total += hat if hat <= wide * reach else 0
    return total


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("reach", [0.0, 0.5, 0.9, 1.0])
def test_constraint_is_the_papers_and_has_its_slope(kind: str, reach: float) -> None:
    largest, spacing = LEVELS[kind]
    levels = [float(level) for level in np.arange(-1, 1.5, spacing)]
    weights = np.linspace(-2.013, 2.017, 143)
    tensor = torch.tensor(weights, requires_grad=True)
    values = constraint(tensor, largest, spacing, reach)
    expected = [by_hand(weight, levels, reach) for weight in weights]
    np.testing.assert_allclose(values.detach().numpy(), expected, atol=1e-12)
    (gradient,) = torch.autograd.grad(values.sum(), tensor)
    step = 1e-7
    slopes = [
        (by_hand(weight + step, levels, reach) - by_hand(weight - step, levels, reach)) / (2 * step)
        for weight in weights
    ]
    np.testing.assert_allclose(gradient.numpy(), slopes, atol=1e-6)
    assert set(np.round(slopes)) >= ({-2, 2} if not reach else {-2, 2, 0} if reach < 1 else {-2, 2})


@pytest.mark.parametrize("kind", LEVELS)
def test_constraint_is_0_at_the_levels_alone(kind: str) -> None:
    largest, spacing = LEVELS[kind]
    at = torch.arange(-1, 1.5, spacing)
    assert constraint(at, largest, spacing, 1.0).tolist() == [0.0] * len(at)
    assert (constraint(at + 0.01, largest, spacing, 1.0) > 0).all()


def linear(kind: str = "binary") -> QuantizedLinear:
    torch.manual_seed(0)
    return QuantizedLinear(quantizer(kind, learned_step=True), 40, 30)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LEVELS)
def test_training_takes_real_weights_and_evaluation_levels(kind: str) -> None:
    layer = linear(kind)
    Constraint([layer], Constrained(), batches=10)
    scale = layer.weight.detach().abs().mean()
    x = torch.rand(5, 40)
    layer.train()
    assert torch.allclose(layer(x), x @ (layer.weight / scale).T, atol=1e-5)
    layer.eval()
    real = (layer.weight / scale).detach().numpy()
    rounded = np.where(real >= 0, 1, -1) if kind == "binary" else np.clip(np.rint(real), -1, 1)
    assert np.allclose(layer(x).detach().numpy(), x.numpy() @ rounded.T, atol=1e-4)
    if kind == "ternary":
        assert 0.05 < (rounded == 0).mean() < 0.95


def test_multipliers_climb_when_the_lagrangian_has_not_fallen() -> None:
    layer = linear()
    recipe = Constrained(rate=0.5, after=0.4, interval=2, period=3)
    kept = Constraint([layer], recipe, batches=10)
    drawn = layer.quantizer
    assert isinstance(drawn, Drawn)
    real = drawn.real(layer.weight).detach().numpy().astype(float)
    multipliers = np.zeros_like(real)

    def constraints(g: float) -> np.ndarray:
        return np.array(
            [[by_hand(weight, [-1.0, 1.0], 1 - 1 / g) for weight in row] for row in real]
        )

    def climb(g: float) -> None:
        nonlocal multipliers
        multipliers = multipliers + 0.5 * constraints(g)

    def same() -> bool:
        return np.allclose(kept.get_buffer("multipliers_0").numpy(), multipliers, atol=1e-5)

    for _ in range(3):
        kept.after_batch(1.0)
        assert not kept.get_buffer("multipliers_0").any()
    kept.after_batch(1.0)  # 0.4 of 10 batches are over
    climb(1)
    assert same()
    assert multipliers.any()
    for loss in (5.0, 4.0, 3.0, 3.0):  # two intervals that fall
        kept.after_batch(loss)
    assert same()
    assert float(kept.g) == 1
    for loss in (3.0, 3.5):  # one that does not
        kept.after_batch(loss)
    climb(2)
    assert same()
    for loss in (9.0, 9.0, 8.0, 8.0, 7.0, 7.0):  # three that fall, the period
        assert float(kept.g) == 2
        kept.after_batch(loss)
    climb(3)
    assert same()
    penalty = (multipliers * constraints(3)).sum()
    assert kept.penalty().item() == pytest.approx(penalty, rel=1e-4)
    for loss in range(2 * 18):  # every other interval has one before it, and has not fallen
        kept.after_batch(float(loss))
    assert float(kept.g) == 10 + 10 * (3 + 9 - 10)


def constrained(weights: str, **keys: object) -> Recipe:
    recipe = tiny_recipe()
    table = recipe.model_dump(exclude_none=True)
    table["network"]["weights"] = weights
    table["train"] |= {"constrained": keys, "epochs": 12, "lr": 2e-2}
    return Recipe.model_validate(table)


@pytest.mark.parametrize("weights", ["binarized", "ternary"])
def test_weights_come_to_lie_at_levels(weights: str) -> None:
    recipe = constrained(weights, rate=0.3, interval=1, period=2, after=0.2)
    trained = train(recipe, load_dataset(recipe.data, None))
    shares = [entry["at_levels"] for entry in trained.metrics if entry["phase"] == "A"]
    assert shares[0] < 0.3
    assert shares[-1] > 0.95
    assert all("at_levels" not in entry for entry in trained.metrics if entry["phase"] != "A")
    assert trained.network is not None
    (quantizer_of_first, *_) = [layer.quantizer for layer in trained.model.quantized]
    assert isinstance(quantizer_of_first, Drawn)


@pytest.mark.parametrize("after", [3, 7, 12, 13])
def test_a_run_that_is_taken_up_again_gives_the_same_network(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lehr.train.runs.progress.SHARE", 1)
    recipe = constrained("binarized", rate=0.3, interval=4, period=2, after=0.3)
    data = load_dataset(recipe.data, None)
    folder = tmp_path / "run.unfinished"
    resumed = stopped_and_resumed(recipe, data, folder, after)
    whole = train(recipe, data)
    assert resumed.network is not None
    assert resumed.network == whole.network
    assert resumed.metrics == whole.metrics


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("train.constrained={}", "network.weights=int4"),
            "train.constrained.rate is 0.01, but network.layers.0 has 'int4' weights, and to "
            "'binarized' and 'ternary' ones alone are weights drawn; use those, or leave it out",
        ),
        (
            ("train.constrained={}", "network.weights=float"),
            "train.constrained.rate is 0.01, but network.layers.0 has 'float' weights, and to "
            "'binarized' and 'ternary' ones alone are weights drawn; use those, or leave it out",
        ),
        (
            ("train.constrained={}", "train.prune=0.5"),
            "train.constrained.rate is 0.01, but train.prune is 0.5, which takes of weights that "
            "are drawn to levels those near 0; use 'ternary' weights, or leave one out",
        ),
        (
            ("train.constrained={}", "train.patience=3"),
            "train.constrained.rate is 0.01, but train.patience is 3, which may end phase A before "
            "weights lie at levels; leave one out",
        ),
        (
            ("train.constrained={}", "train.clamp=1"),
            "train.constrained.rate is 0.01, but train.clamp is 1, which may keep weights from "
            "levels; leave one out",
        ),
        (
            ("train.constrained={}", "train.weight_noise.deviation=0.1"),
            "train.constrained.rate is 0.01, but train.weight_noise.deviation is 0.1, and noise is "
            "on quantized weights; leave one out",
        ),
        (
            ("train.constrained.rate=0",),
            "'train.constrained.rate' is 0; give more than 0",
        ),
        (
            ("train.constrained.forward=sign",),
            "'train.constrained.forward' is 'sign'; use 'real' or 'quantized'",
        ),
    ],
)
def test_contradictions_are_named(overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(tiny_toml(), "tiny", overrides)
    assert str(refused.value) == f"recipe tiny: {sentence}"
