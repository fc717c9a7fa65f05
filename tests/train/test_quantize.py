"""Quantizers: levels and gradients by their formulas, and what freezing keeps.

Layers see nothing but quantized weights.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lehr.train.floats.layers import Quantized, QuantizedConv2d, QuantizedLinear
from lehr.train.floats.quantize import (
    LEAST_STEP,
    Frozen,
    Quantizer,
    Signs,
    Ternary,
    Uniform,
    quantizer,
    sign,
)
from lehr.weights import KINDS, LARGEST, WeightKind


def test_zero_is_plus_one() -> None:
    values = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    assert sign(values).tolist() == [-1, -1, 1, 1, 1, 1]


def test_gradient_passes_straight_through() -> None:
    values = torch.tensor([-5.0, 0.0, 0.3], requires_grad=True)
    (sign(values) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "layer", [QuantizedConv2d(Signs(), 2, 3, 3, 2, 1), QuantizedLinear(Signs(), 8, 3)]
)
def test_layers_compute_with_signs_and_train_real_weights(layer: Quantized) -> None:
    x = torch.randint(
        0, 256, (4, 2, 5, 5) if isinstance(layer, QuantizedConv2d) else (4, 8)
    ).float()
    binary = torch.where(layer.weight >= 0, 1.0, -1.0)
    expected = (
        functional.conv2d(x, binary, None, 2, 1)
        if isinstance(layer, QuantizedConv2d)
        else x @ binary.T
    )
    assert torch.equal(layer(x), expected)
    assert layer.bias is None
    before = layer.weight.detach().clone()
    layer(x).sum().backward()
    torch.optim.SGD(layer.parameters(), 1e-3).step()
    assert not torch.equal(layer.weight, before)
    assert len(layer.weight.unique()) > 2


LATENT = torch.tensor([[0.05, -0.6, 0.7, -0.71], [1.5, 0.0, 0.1, -1.0]])


def test_ternary_weights_are_zero_up_to_seven_tenths_of_the_mean_magnitude() -> None:
    latent = LATENT.clone()
    assert float(0.7 * latent.abs().mean()) == pytest.approx(0.4078, abs=1e-4)
    latent.requires_grad_()
    levels = Ternary().levels(latent)
    assert levels.tolist() == [[0, -1, 1, -1], [1, 0, 0, -1]]
    toward = torch.arange(8.0).view(2, 4)
    (levels * toward).sum().backward()
    assert latent.grad is not None
    assert torch.equal(latent.grad, toward)
    on_the_threshold = torch.tensor([0.7, -0.7, 1.6, 1.0])  # of mean 1
    assert Ternary().levels(on_the_threshold).tolist() == [0, 0, 1, 1]


def test_levels_of_a_learned_step_and_its_gradient() -> None:
    """Esser et al. 2020, Eq. 3: round(v/s) - v/s inside, the greatest level outside.

    Times 1 / sqrt(weights * greatest level).
    """
    quantize, latent = Uniform("int3", learned=True), LATENT.clone().requires_grad_()
    assert quantize.learned is not None
    with torch.no_grad():
        quantize.learned.fill_(1.25)
    measured = (
        LATENT * 4 / 1.25
    )  # latents of 4 inputs are drawn from +-1/2: their mean magnitude is 1/4
    levels, inside = measured.clamp(-3, 3).round(), measured.abs() <= 3
    assert set(levels.flatten().tolist()) == {-3, -2, 0, 2, 3}
    assert torch.equal(quantize.levels(latent), levels)
    assert float(quantize.step(latent).detach()) == 1.25
    toward = torch.arange(8.0).view(2, 4) - 3
    (quantize.levels(latent) * quantize.step(latent) * toward).sum().backward()
    assert latent.grad is not None
    assert torch.allclose(latent.grad, toward * inside)
    expected = (toward * torch.where(inside, levels - measured, levels)).sum() / (8 * 3) ** 0.5
    assert quantize.learned.grad is not None
    assert float(quantize.learned.grad) == pytest.approx(float(expected), rel=1e-6)


def test_a_learned_step_starts_where_its_source_says_and_stays_positive() -> None:
    quantize, latent = Uniform("int5", learned=True), torch.nn.Linear(64, 400).weight
    measured = latent.detach() * 16
    assert float(measured.abs().mean()) == pytest.approx(1, rel=0.02)
    assert float(quantize.step(latent).detach()) == pytest.approx(
        2 * float(measured.abs().mean()) / 15**0.5, rel=0.02
    )
    assert quantize.learned is not None
    for value, step in ((-0.5, 0.5), (0.0, LEAST_STEP)):
        with torch.no_grad():
            quantize.learned.fill_(value)
        assert float(quantize.step(latent).detach()) == pytest.approx(step)
        assert bool(quantize.levels(latent).isfinite().all())


@pytest.mark.parametrize("kind", KINDS[2:])
def test_a_fixed_step_brings_the_greatest_weight_to_the_greatest_level(kind: WeightKind) -> None:
    quantize, latent = Uniform(kind, learned=False), LATENT.clone().requires_grad_()
    levels = quantize.levels(latent)
    assert float(levels.detach().abs().max()) == LARGEST[kind]
    assert list(quantize.parameters()) == []
    quantized = levels * quantize.step(latent)
    assert (
        float((quantized - LATENT * 4).detach().abs().max())
        <= float(quantize.step(latent).detach()) / 2 * 1.0001
    )
    quantized.sum().backward()
    assert latent.grad is not None
    assert torch.allclose(latent.grad, torch.ones(2, 4))


def test_pruned_weights_are_zero_and_get_no_gradient() -> None:
    quantize, latent = Signs(), LATENT.clone().requires_grad_()
    before = quantize.kind
    quantize.kept = torch.tensor([[1.0, 1, 0, 1], [0, 1, 1, 1]])
    assert (before, quantize.kind) == ("binary", "ternary")
    levels = quantize.levels(latent)
    assert levels.tolist() == [[1, -1, 0, -1], [0, 1, 1, -1]]
    levels.sum().backward()
    assert latent.grad is not None
    assert torch.equal(latent.grad, quantize.kept)


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_freezing_keeps_every_level_in_torch_and_in_numpy(
    kind: WeightKind, learned: bool, pruned: bool
) -> None:
    torch.manual_seed(0)
    quantize, latent = quantizer(kind, learned), torch.nn.Conv2d(3, 40, 5, bias=False).weight
    if pruned:
        quantize.kept = (torch.rand(latent.shape) < 0.5).float()
    frozen = quantize.frozen(latent)
    again: Quantizer = Frozen(quantize.kind, frozen)
    levels = quantize.levels(latent).detach()
    assert torch.equal(again.levels(latent), levels)
    assert frozen.levels(quantize.kind).tolist() == levels.int().tolist()
    assert len(levels.unique()) > 1
    moved = latent.detach() * 1.5  # the other latents of a layer have no say any more
    moved[0] = latent[0].detach()
    assert torch.equal(again.levels(moved)[0], levels[0])


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_levels_let_gradients_through(kind: WeightKind) -> None:
    quantize = quantizer(kind, True)
    latent = LATENT.clone().requires_grad_()
    again = Frozen(kind, quantize.frozen(latent))
    again.levels(latent).sum().backward()
    assert latent.grad is not None
    grid = None if kind == "ternary" else again.grid(latent)
    inside = torch.ones(2, 4) > 0 if grid is None else (LATENT / grid).abs() <= LARGEST[kind]
    assert torch.equal(latent.grad != 0, inside)


@pytest.mark.parametrize("quantize", [Ternary(), Uniform("int4", True), Uniform("int2", False)])
def test_layers_compute_with_levels_times_the_step(quantize: Quantizer) -> None:
    layer, x = QuantizedLinear(quantize, 8, 3), torch.randint(0, 256, (4, 8)).float()
    step = quantize.step(layer.weight)
    weight = quantize.levels(layer.weight) * (1 if step is None else step)
    assert torch.allclose(layer(x), x @ weight.T, rtol=1e-5)
