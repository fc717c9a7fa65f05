"""Surrogate gradients whose distances are counted in thresholds.

By torch's autograd, step by step, and by hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from strategies import arithmetics
from tiny import tiny_toml
from torch import Tensor

from lehr.arithmetic import Arithmetic, Fires, Reset, ResetTiming
from lehr.programs import program_of
from lehr.train.floats import lif, lif_kernels, lif_torch
from lehr.train.floats.model import FloatNet
from lehr.train.floats.neurons import FloatNeurons
from lehr.train.recipe import NetworkRecipe, Recipe
from lehr.train.recipefile import parse
from lehr.train.twin.convert import convert
from lehr.train.twin.update import Surrogate, scan
from lehr.update import MEMBRANE
from lehr.update_text import program_of_lines


class Spike(torch.autograd.Function):
    """Whether V passes theta.

    The gradient for V is unit / (slope |V - theta + offset| / theta + 1)^2, that for theta its
    negative.
    """

    @staticmethod
    def forward(ctx, v, theta, offset, unit, slope):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(v, theta)
        ctx.constants = offset, unit, slope
        return (v - theta + offset > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        v, theta = ctx.saved_tensors
        offset, unit, slope = ctx.constants
        gradient = grad * unit / (slope * ((v - theta + offset) / theta).abs() + 1) ** 2
        return gradient, -gradient, None, None, None


def plain(
    current: Tensor, theta: Tensor, bias: Tensor, arithmetic: Arithmetic, unit: float, slope: float
) -> tuple[Tensor, Tensor]:
    """Neurons without rounding of decays, one torch operation after another."""
    v, s = torch.zeros_like(current[0]), torch.zeros_like(current[0])
    spikes, membranes = [], []
    for now in current:
        v = v * arithmetic.beta
        if arithmetic.reset_timing == "next_step" and arithmetic.reset == "zero":
            v = v * (1 - s.detach())
        v = v + now * 2.0**arithmetic.fraction_bits + bias
        if arithmetic.reset_timing == "next_step" and arithmetic.reset == "subtract":
            v = v - theta * s.detach()
        s = Spike.apply(
            v, theta.expand_as(v), 0.5 if arithmetic.fires == "ge" else 0.0, unit, slope
        )  # type: ignore[no-untyped-call]
        if arithmetic.reset_timing == "same_step":
            v = (
                v * (1 - s.detach())
                if arithmetic.reset == "zero"
                else v - theta * s.detach()
                if arithmetic.reset == "subtract"
                else v
            )
        spikes.append(s)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


@budget(20, 100)
@given(
    st.integers(0, 2**31 - 1),
    arithmetics(overflow="saturate", state_bits=32),
    st.sampled_from([0.3, 2.0, 25.0]),
)
def test_the_loops_and_the_statements_are_autograds(
    seed: int, drawn: Arithmetic, slope: float
) -> None:
    """Without a leak, so that decays round nothing."""
    arithmetic = replace(
        drawn,
        decay_form="multiply",
        decay_numerator=1,
        decay_shift=0,
        fraction_bits=2,
        state_bits=32,
    )
    torch.manual_seed(seed)
    current, theta = (
        torch.randint(-6, 12, (7, 3, 5)).double().requires_grad_(),
        torch.randint(3, 40, (5,)).double().requires_grad_(),
    )
    bias = torch.randint(-2, 3, (5,)).double().requires_grad_()
    inputs = (current, theta, bias)
    unit = 2.0**-4
    rule = lif.integer_rule(arithmetic, unit, slope, torch.float64, in_thresholds=True)
    expected = plain(current, theta, bias, arithmetic, unit, slope)
    given = {"threshold": theta, "bias": bias}
    zero = torch.zeros(3, 5).double()
    got = {
        "loops": lif.scan(current, theta, bias, arithmetic.beta, rule, 7),
        "statements": scan(
            program_of(arithmetic),
            current,
            given,
            7,
            {"v": zero, "fired": zero},
            Surrogate(unit, slope, in_thresholds=True),
        )[:2],
    }
    weights = torch.randn(2, 7, 3, 5).double()
    wanted = torch.autograd.grad((torch.stack(expected) * weights).sum(), inputs)
    for name, outputs in got.items():
        for one, other in zip(outputs, expected, strict=True):
            assert torch.equal(one, other), name
        for one, other in zip(
            torch.autograd.grad((torch.stack(list(outputs)) * weights).sum(), inputs),
            wanted,
            strict=True,
        ):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-12), name
    in_weights = lif.integer_rule(arithmetic, unit, slope, torch.float64)
    usual = torch.autograd.grad(
        (
            torch.stack(lif.scan(current, theta, bias, arithmetic.beta, in_weights, 7)) * weights
        ).sum(),
        inputs,
    )
    assert not torch.allclose(usual[0], wanted[0])


def test_torch_operations_have_the_compiled_loops_bits() -> None:
    rng = np.random.default_rng(0)
    rule = lif.integer_rule(
        Arithmetic(decay_numerator=7, decay_shift=3, fires="ge"),
        0.25,
        2.0,
        torch.float32,
        in_thresholds=True,
    )
    spikes, membranes = (rng.standard_normal((6, 3, 9)).astype(np.float32) for _ in range(2))
    theta, raw = (
        rng.uniform(1, 9, 9).astype(np.float32),
        rng.integers(-9, 20, (6, 3, 9)).astype(np.float32),
    )
    fired = (raw > theta).astype(np.float32)
    results = []
    for in_torch in (False, True):
        sums = tuple(np.zeros((3, 9), np.float32) for _ in range(3))
        current = np.zeros((6, 3, 9), np.float32)
        arrays: list[Any] = [
            (spikes, membranes),
            theta,
            np.full(9, 7 / 8, np.float32),
            (fired, fired[0].copy()),
            raw,
            current,
            sums,
        ]
        if in_torch:
            as_torch: list[Any] = [
                tuple(map(torch.from_numpy, a)) if isinstance(a, tuple) else torch.from_numpy(a)
                for a in arrays
            ]
            lif_torch.backward(*[*as_torch, rule])
        else:
            lif_kernels.backward(*[*arrays, rule])
        results.append((current, *sums))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)
        assert one.any()


def test_several_spikes_a_step_by_hand() -> None:
    """The distance is to the nearest multiple of the threshold, in thresholds.

    The multiples go from 1 to the most spikes.
    """
    values = np.array([-5.0, 3, 8, 9, 15, 21, 33, 90])
    theta, slope, unit = 10.0, 3.0, 0.5
    program = program_of_lines(
        ["put v 0", "add v input 0", "fire fired v ge threshold 4"], MEMBRANE
    )
    current = torch.tensor(values).view(1, 1, -1).requires_grad_()
    level = torch.tensor([theta]).double().expand(8).clone().requires_grad_()
    surrogate = Surrogate(unit, slope, in_thresholds=True)
    spikes, _, _ = scan(program, current, {"threshold": level}, 1, {}, surrogate)
    assert spikes.flatten().tolist() == [min(4, max(0, value // theta)) for value in values]
    grads = torch.autograd.grad(spikes.sum(), [current, level])
    nearest = np.clip(np.rint((values + 0.5) / theta), 1, 4)
    expected = unit / (slope * np.abs(values - nearest * theta + 0.5) / theta + 1) ** 2
    assert np.allclose(grads[0].flatten().numpy(), expected, rtol=1e-12)
    assert np.allclose(grads[1].numpy(), -expected * nearest, rtol=1e-12)


# -------------------------------------------------------------------- phase A
@pytest.mark.parametrize("fires", ["gt", "ge"])
@pytest.mark.parametrize("timing", ["next_step", "same_step"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("in_thresholds", [False, True])
def test_phase_a_computes_the_fields_in_floats(
    reset: Reset, timing: ResetTiming, fires: Fires, in_thresholds: bool
) -> None:
    """By numpy, one step after another, with membranes that meet the threshold exactly."""
    arithmetic = Arithmetic("shift", 7, 3, "floor", reset, timing, fires)
    rng = np.random.default_rng(1)
    current = rng.integers(-2, 4, (30, 2, 5)) / 2.0
    v, s = np.zeros((2, 5)), np.zeros((2, 5))
    spikes, membranes, met = [], [], 0
    for now in current:
        v = v * 0.875
        if timing == "next_step":
            v = np.where(s > 0, 0.0, v) if reset == "zero" else v
        v = v + now - (s if timing == "next_step" and reset == "subtract" else 0)
        met += int((v == 1).sum())
        s = (v >= 1 if fires == "ge" else v > 1).astype(float)
        if timing == "same_step":
            v = np.where(s > 0, 0.0, v) if reset == "zero" else v - s if reset == "subtract" else v
        spikes.append(s)
        membranes.append(v)
    rule = lif.float_rule(2.0, torch.float64, arithmetic, in_thresholds=in_thresholds)
    got = lif.scan(torch.tensor(current), torch.tensor(1.0), torch.tensor(0.0), 0.875, rule, 30)
    assert met > 0
    assert np.array_equal(got[0].numpy(), spikes)
    assert np.array_equal(got[1].numpy(), membranes)


def test_phase_a_computes_a_program_without_rounding_and_bounds() -> None:
    """Xylo's update with exact factors, by numpy."""
    lines = [
        "add i input 2",
        "bound i -8 7 saturate",
        "leak i dash 0 n",
        "leak v multiply 5 3 floor",
        "add v i 0",
        "bound v -8 7 wrap",
    ]
    program = program_of_lines(
        [*lines, "fire fired v gt threshold 3", "subtract v threshold 0 times fired"], MEMBRANE
    )
    rng = np.random.default_rng(2)
    current = rng.integers(-2, 5, (12, 2, 4)) / 4.0
    theta, i, v = 2.5, np.zeros((2, 4)), np.zeros((2, 4))
    spikes, membranes = [], []
    for now in current:
        i = (i + now * 4) * 0.75
        v = v * 0.625 + i
        s = np.clip(np.ceil(v / theta) - 1, 0, 3)
        v = v - theta * s
        spikes.append(s)
        membranes.append(v)
    given = {"threshold": torch.tensor(theta).double(), "n": torch.tensor(2)}
    got = scan(program, torch.tensor(current), given, 12, {}, Surrogate(0.25, 1.0), smooth=True)
    assert {0.0, 1.0, 2.0} <= set(np.unique(spikes))
    assert np.array_equal(got[0].numpy(), spikes)
    assert np.allclose(got[1].numpy(), membranes, rtol=1e-12, atol=1e-12)


# -------------------------------------------------------------------- in all phases
@pytest.mark.parametrize("theta", [0.5, 3.0, 20.0])
def test_the_gradient_of_phase_a_has_no_threshold_in_front(theta: float) -> None:
    """dS/dV = 1 / (slope |V - theta| / theta + 1)^2: at V = theta it is 1, whatever theta is."""
    recipe = NetworkRecipe.model_validate(
        {
            "steps": 1,
            "beta": "7/8",
            "slope": 3.0,
            "slope_in": "thresholds",
            "layers": [{"type": "linear", "features": 1, "threshold": {"start": 1.0}}],
        }
    )
    neurons = FloatNeurons(recipe, 0, (1,), 4)
    neurons.threshold.fill_(theta)  # where annealing has brought it in this batch
    values = theta * torch.tensor([-1.0, 0.25, 0.9, 1.0, 1.2, 2.0, 5.0])
    current = values.view(1, -1, 1).requires_grad_()
    spikes, _ = neurons(current, 1)
    assert 0 < float(spikes.detach().mean()) < 1
    (gradient,) = torch.autograd.grad(spikes.sum(), [current])
    expected = 1 / (3.0 * (values - theta).abs() / theta + 1) ** 2
    assert torch.allclose(gradient.flatten(), expected, rtol=1e-5)
    assert float(gradient.flatten()[3]) == 1


def test_the_gradient_of_phases_b_and_c_is_by_channel() -> None:
    """Of the twin: integer membranes, and in the distance each channel's own threshold."""
    layer = {"type": "linear", "features": 3, "threshold": {"start": 6.0}}
    keys = ("train.epochs=1", "network.slope_in=thresholds", "network.slope=3.0")
    recipe = parse(tiny_toml(), "tiny", keys)
    tables = recipe.model_dump(exclude_unset=True)
    tables["network"] |= {"layers": [{**layer, "fraction_bits": 2}], "steps": 1}
    recipe = Recipe.model_validate(tables)
    model = FloatNet(recipe.network, (8,), 1).eval()
    twin = convert(model, recipe, (8,), "spikes").twin
    (neuron,) = twin.neurons.values()
    with torch.no_grad():
        neuron.threshold.copy_(torch.tensor([12.0, 24.0, 48.0]) * neuron.unit)
    thetas = neuron.integers()["threshold"].detach()
    assert thetas.tolist() == [12, 24, 48]
    for frozen in (False, True):
        if frozen:
            twin.freeze_thresholds()
        sums = torch.tensor([[-2.0, 5.0, 12.0], [3.0, 6.0, 13.0], [9.0, 8.0, 2.0]])
        current = sums[None].clone().requires_grad_()
        given = neuron.integers()
        spikes, _, _ = neuron(current, given, 1, neuron.begin(torch.zeros(3, 3)))
        assert 0 < float(spikes.detach().mean()) < 1
        (gradient,) = torch.autograd.grad(spikes.sum(), [current])
        membranes = sums * 4  # two fraction bits
        distance = (membranes - thetas).abs() / thetas
        expected = 1 / (3.0 * distance + 1) ** 2
        assert torch.allclose(gradient[0], expected, rtol=1e-5)
        assert neuron.unit == 0.25
