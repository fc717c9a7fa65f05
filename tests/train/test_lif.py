"""The fused loop over time against plain ones, step by step in torch.

The same bits forward, the same gradients backward.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import snntorch
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from old_reference import decay
from snntorch import surrogate
from strategies import arithmetics
from torch import Tensor

from lehr.arithmetic import Arithmetic, Rounding
from lehr.train.floats import lif, lif_kernels
from lehr.train.twin.neuron import rounded

SHAPES = [(3,), (1030,), (2, 3, 2), (5, 1, 1)]
ROUND = {"toward_zero": torch.trunc, "floor": torch.floor, "nearest_even": torch.round}


def through(value: Tensor, exact: Tensor) -> Tensor:
    """`exact`, with the gradient of `value`."""
    return exact.detach() + (value - value.detach())


def plain(
    current: Tensor,
    theta: Tensor,
    bias: Tensor,
    arithmetic: Arithmetic,
    unit: float,
    slope: float,
    steps: int,
    state: lif.State,
) -> tuple[Tensor, Tensor]:
    """An integer neuron as docs/arithmetic.md has it, one torch operation after another."""
    per_channel = (-1, *[1] * (current.ndim - 3))
    theta, bias = theta.view(per_channel), bias.view(per_channel)
    (v, s), spikes, membranes = state, [], []
    for t in range(steps):
        part = (
            v
            * (1 if arithmetic.decay_form == "shift" else arithmetic.decay_numerator)
            * 2.0**-arithmetic.decay_shift
        )
        part = through(part, ROUND[arithmetic.rounding](part))
        v = v - part if arithmetic.decay_form == "shift" else part
        if arithmetic.reset_timing == "next_step" and arithmetic.reset == "zero":
            v = v * (1 - s.detach())
        v = v + (current[t if len(current) > 1 else 0] * 2.0**arithmetic.fraction_bits + bias)
        if arithmetic.reset_timing == "next_step" and arithmetic.reset == "subtract":
            v = v - theta * s.detach()
        if arithmetic.overflow == "saturate":
            v = v.clamp(arithmetic.lowest, arithmetic.highest)
        else:
            v = (
                v
                - torch.floor((v.detach() - arithmetic.lowest) * 2.0**-arithmetic.state_bits)
                * 2.0**arithmetic.state_bits
            )
        x = (v - theta + (0.5 if arithmetic.fires == "ge" else 0.0)) * unit
        s = through(
            x / (1 + slope * x.abs()), (x > 0).to(x.dtype)
        )  # the fast sigmoid, whose gradient is 1 / (1 + slope * |x|)^2
        if arithmetic.reset_timing == "same_step" and arithmetic.reset == "subtract":
            v = v - theta * s.detach()
        if arithmetic.reset_timing == "same_step" and arithmetic.reset == "zero":
            v = v * (1 - s.detach())
        spikes.append(s)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


def gradients(
    outputs: tuple[Tensor, Tensor], inputs: list[Tensor], weights: list[Tensor | None]
) -> list[Tensor]:
    """Of a weighted sum of the outputs."""
    loss = sum(
        (out * weight).sum()
        for out, weight in zip(outputs, weights, strict=True)
        if weight is not None
    )
    assert isinstance(loss, Tensor)
    return list(torch.autograd.grad(loss, inputs, materialize_grads=True))


def error(got: Tensor, expected: Tensor) -> float:
    """Relative, of a whole tensor."""
    return float((got - expected).norm() / expected.norm().clamp(min=1e-30))


@pytest.mark.slow
@budget(40, 333)
@given(st.data(), arithmetics(), st.sampled_from(SHAPES), st.integers(1, 9), st.booleans())
def test_integer_neurons(
    data: st.DataObject, arithmetic: Arithmetic, shape: tuple[int, ...], steps: int, held: bool
) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**31 - 1)))
    scale = 2 ** data.draw(
        st.integers(0, arithmetic.state_bits - 1)
    )  # of thresholds and all that goes with them; the highest saturate
    per_step = max(2, scale >> arithmetic.fraction_bits)
    current = torch.randint(
        -per_step // 2, per_step + 1, (1 if held else steps, 3, *shape)
    ).double()
    theta = torch.randint(1, scale + 1, shape[:1]).double()
    bias = torch.randint(-scale // 8 - 1, scale // 8 + 2, shape[:1]).double()
    state = (
        torch.randint(-scale, scale, (3, *shape)).double(),
        torch.randint(0, 2, (3, *shape)).double(),
    )
    unit, slope = 2.0 ** -(scale.bit_length()), data.draw(st.sampled_from([0.2, 1.0, 25.0]))
    inputs = [value.requires_grad_() for value in (current, theta, bias, state[0])]
    expected = plain(current, theta, bias, arithmetic, unit, slope, steps, state)
    got = lif.scan(
        current,
        theta,
        bias,
        arithmetic.beta,
        lif.integer_rule(arithmetic, unit, slope, torch.float64),
        steps,
        state,
    )
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])
    wanted = data.draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    weights = [
        torch.randn_like(out) if want else None for out, want in zip(expected, wanted, strict=True)
    ]
    for one, other in zip(
        gradients(got, inputs, weights), gradients(expected, inputs, weights), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))


RAIL = 2**24
"""Up to which float32 holds every integer."""


def decayed(arithmetic: Arithmetic, membranes: Tensor) -> Tensor:
    """One step of a float32 neuron without input or reset."""
    state = (membranes.view(1, -1), torch.zeros(1, len(membranes)))
    rule = lif.integer_rule(arithmetic, 1.0, 1.0, torch.float32)
    return lif.scan(
        torch.zeros(1, 1, len(membranes)),
        torch.tensor(1),
        torch.tensor(0),
        arithmetic.beta,
        rule,
        1,
        state,
    )[1].flatten()


@pytest.mark.parametrize("rounding", ROUND)
def test_every_decay_by_256ths_is_exact_at_the_rails(rounding: Rounding) -> None:
    near = torch.cat(
        [
            torch.arange(RAIL - 300, RAIL + 1),
            torch.arange(-300, 301),
            torch.arange(-RAIL, -RAIL + 301),
        ]
    )
    for numerator in range(257):
        arithmetic = Arithmetic(
            decay_numerator=numerator, decay_shift=8, rounding=rounding, reset="none", state_bits=32
        )
        assert (
            decayed(arithmetic, near.float()).long().tolist()
            == decay(arithmetic, near.numpy()).tolist()
        ), numerator


@budget(40, 333)
@given(st.data(), st.sampled_from([*ROUND]), st.integers(0, 2**31 - 1))
def test_any_decay_is_exact_up_to_the_rails(
    data: st.DataObject, rounding: Rounding, seed: int
) -> None:
    shift = data.draw(st.integers(0, 16))
    numerator = data.draw(st.integers(0, 1 << shift))
    whole = torch.randint(-RAIL, RAIL + 1, (2000,), generator=torch.Generator().manual_seed(seed))
    shapes: list[dict[str, Any]] = [
        {"decay_numerator": numerator},
        {"decay_numerator": (1 << shift) - 1, "decay_form": "shift"},
    ]
    for shape in shapes:
        arithmetic = Arithmetic(
            decay_shift=shift, rounding=rounding, reset="none", state_bits=32, **shape
        )
        assert (
            decayed(arithmetic, whole.float()).long().tolist()
            == decay(arithmetic, whole.numpy()).tolist()
        )


@budget(20, 133)
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from(SHAPES),
    st.integers(1, 30),
    st.booleans(),
    st.sampled_from([0.15, 7 / 8, 0.99, 1.0]),
)
def test_phase_a_is_snntorchs_leaky(
    seed: int, shape: tuple[int, ...], steps: int, held: bool, beta: float
) -> None:
    torch.manual_seed(seed)
    current = torch.randn(1 if held else steps, 3, *shape).requires_grad_()
    neuron = snntorch.Leaky(beta=beta, threshold=0.7, spike_grad=surrogate.fast_sigmoid(3))
    membrane, steps_of_it = neuron.reset_mem(), []
    for t in range(steps):
        spike, membrane = neuron(current[0 if held else t], membrane)
        steps_of_it.append((spike, membrane))
    spikes, membranes = (torch.stack(list(quantity)) for quantity in zip(*steps_of_it, strict=True))
    rule = lif.float_rule(3, torch.float32)
    got = lif.scan(current, torch.tensor(0.7), torch.tensor(0.0), beta, rule, steps)
    assert torch.equal(got[0], spikes)
    assert torch.equal(got[1], membranes)
    weights: list[Tensor | None] = [torch.randn_like(spikes), torch.randn_like(membranes)]
    assert (
        error(
            *gradients(got, [current], weights),
            *gradients((spikes, membranes), [current], weights),
        )
        < 1e-5
    )


def test_float32_gradients_stay_close_over_many_steps() -> None:
    torch.manual_seed(0)
    arithmetic = Arithmetic(decay_numerator=15, decay_shift=4, fraction_bits=4)
    current = torch.randint(-20, 30, (200, 8, 6, 5, 5)).float()
    theta, bias = torch.randint(400, 900, (6,)).float(), torch.randint(-50, 50, (6,)).float()
    state = (torch.zeros(8, 6, 5, 5), torch.zeros(8, 6, 5, 5))
    inputs = [value.requires_grad_() for value in (current, theta, bias)]
    expected = plain(current, theta, bias, arithmetic, 2.0**-9, 1.0, 200, state)
    rule = lif.integer_rule(arithmetic, 2.0**-9, 1.0, torch.float32)
    got = lif.scan(current, theta, bias, arithmetic.beta, rule, 200)
    assert torch.equal(got[0], expected[0])
    assert 0.01 < float(got[0].detach().mean()) < 0.5
    weights: list[Tensor | None] = [torch.randn_like(expected[0]), None]
    for one, other in zip(
        gradients(got, inputs, weights), gradients(expected, inputs, weights), strict=True
    ):
        assert error(one, other) < 1e-5


@pytest.mark.parametrize("changed", ["theta", "bias", "beta"])
def test_a_change_of_one_unit_is_seen(changed: str) -> None:
    torch.manual_seed(0)
    current = torch.randint(-3, 6, (40, 4, 6)).double()
    values = {"theta": 9, "bias": 0, "beta": 14}

    def spikes() -> Tensor:
        rule = lif.integer_rule(
            Arithmetic(decay_numerator=values["beta"], decay_shift=4), 1.0, 1.0, torch.float64
        )
        theta, bias = torch.tensor(values["theta"]), torch.tensor(values["bias"])
        return lif.scan(current, theta, bias, values["beta"] / 16, rule, 40)[0]

    before = spikes()
    assert 0 < float(before.mean()) < 1
    values[changed] += 1
    assert not torch.equal(spikes(), before)


def test_rounding_passes_gradients() -> None:
    value = torch.tensor([-2.5, 0.4, 0.5, 1.5], requires_grad=True)
    rounded(value).sum().backward()
    assert rounded(value).tolist() == [-2, 0, 0, 2]
    assert value.grad is not None
    assert value.grad.tolist() == [1, 1, 1, 1]


@pytest.mark.slow
def test_kernels_work_where_no_cache_can_be_written(tmp_path: Path) -> None:
    """An installation that cannot be written to, in a container without a home.

    They are compiled anew.
    """
    module = tmp_path / "kernels.py"
    module.write_bytes(Path(lif_kernels.__file__).read_bytes())
    (tmp_path / "__pycache__").touch()  # a file where numba would make a folder
    home = tmp_path / "home"
    home.touch()
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    script = "import kernels; print(kernels._rounded(2.5, kernels.NEAREST_EVEN))"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("2.0\n", "")


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_a_gradient_that_nothing_wants_changes_no_other(
    held: bool, wanted: tuple[bool, bool]
) -> None:
    torch.manual_seed(0)
    rule = lif.float_rule(2.0, torch.float32)
    current = torch.randn(1 if held else 9, 3, 1030)
    gradients = []
    for wants in ((True, True), wanted):
        given = (
            current.clone().requires_grad_(),
            torch.tensor(0.7).requires_grad_(wants[0]),
            torch.zeros(1030).requires_grad_(wants[1]),
        )
        spikes, membranes = lif.scan(*given, 0.9, rule, 9)
        assert 0 < float(spikes.detach().mean()) < 1
        (spikes.sum() + (membranes**2).sum()).backward()
        gradients.append([each.grad for each in given])
    all_of_them, some = gradients
    for want, one, other in zip((True, *wanted), all_of_them, some, strict=True):
        assert one is not None
        assert bool(one.any())
        assert other is None if not want else other is not None and torch.equal(one, other)
