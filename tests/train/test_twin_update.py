"""The statement-by-statement update against the fused loops and a plain loop.

It is exact up to where float32 holds every integer.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from old_reference import decay
from states import SLOW, synapses
from strategies import arithmetics
from torch import Tensor

from lehr.arithmetic import Arithmetic, DecayForm, Overflow, Reset, ResetTiming, Rounding, Synapse
from lehr.machines import MACHINES
from lehr.programs import program_of
from lehr.train.floats import lif
from lehr.train.keys.fused import fields_of
from lehr.train.twin.update import Surrogate, scan
from lehr.update import MEMBRANE, Program
from lehr.update_text import program_of_lines

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=12)
ROUND = {"toward_zero": torch.trunc, "floor": torch.floor, "nearest_even": torch.round}
Outputs = tuple[Tensor, Tensor]


# -------------------------------------------------------------------- which programs are fused
def test_every_choice_of_fields_is_recognised() -> None:
    fields: list[tuple[Any, ...]] = [
        *map(get_args, (DecayForm, Rounding, Reset, ResetTiming)),
        ("gt", "ge", "never"),
        get_args(Overflow),
    ]
    for form, rounding, reset, timing, fires, overflow in product(*fields):
        if fires == "never" and reset != "none":
            continue
        arithmetic = Arithmetic(form, 7, 3, rounding, reset, timing, fires, 5, 11, overflow)
        program = program_of(arithmetic)
        read = fields_of(program)
        assert read is not None
        assert program_of(read) == program
        if reset != "none":  # without a reset there is no timing
            assert read == arithmetic


@pytest.mark.parametrize("name", [*MACHINES, "two states", "by event", "a bias first"])
def test_other_programs_are_not(name: str) -> None:
    if name in MACHINES:
        assert fields_of(MACHINES[name]) is None
        return
    usual = program_of(USUAL)
    leak, take, bias, *rest = usual.statements
    others = {
        "two states": program_of(USUAL, SLOW),
        "by event": program_of(replace(USUAL, update="event", reset_timing="same_step")),
        "a bias first": Program((leak, bias, take, *rest)),
    }
    assert fields_of(others[name]) is None
    assert fields_of(usual) == USUAL


# -------------------------------------------------------------------- against other loops
def drawn(
    data: st.DataObject, bits: int, fraction_bits: int
) -> tuple[list[Tensor], Tensor, float, float, int]:
    """Integer values of an update, and its unit, slope and number of steps.

    The values are current, threshold, bias and membrane, and spikes of the step before.
    """
    torch.manual_seed(data.draw(st.integers(0, 2**31 - 1)))
    scale = 2 ** data.draw(st.integers(0, bits - 1))  # the highest saturate
    per_step, steps = max(2, scale >> fraction_bits), data.draw(st.integers(1, 9))
    shape = data.draw(st.sampled_from([(3,), (2, 3, 2)]))
    parameters = data.draw(st.sampled_from([shape, shape[:1]]))
    current = torch.randint(
        -per_step // 2, per_step + 1, (data.draw(st.sampled_from([1, steps])), 3, *shape)
    ).double()
    theta = torch.randint(1, scale + 1, parameters).double()
    bias = torch.randint(-scale // 8 - 1, scale // 8 + 2, parameters).double()
    membrane, spikes = (
        torch.randint(-scale, scale, (3, *shape)).double(),
        torch.randint(0, 2, (3, *shape)).double(),
    )
    inputs = [value.requires_grad_() for value in (current, theta, bias, membrane)]
    return (
        inputs,
        spikes,
        2.0 ** -scale.bit_length(),
        data.draw(st.sampled_from([0.2, 1.0, 25.0])),
        steps,
    )


def require_same(
    data: st.DataObject, inputs: list[Tensor], got: Outputs, expected: Outputs
) -> None:
    """Outputs to the last bit, and gradients of a random weighting of them to nine digits."""
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)
    wanted = data.draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    weights = [
        torch.randn_like(out) if want else torch.zeros_like(out)
        for out, want in zip(expected, wanted, strict=True)
    ]
    losses = [
        sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
        for outputs in (got, expected)
    ]
    gradients = [
        torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True)  # type: ignore[arg-type]
        for loss in losses
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))


@budget(50, 200)
@given(st.data(), arithmetics())
def test_usual_neurons_are_those_of_the_fused_loops(
    data: st.DataObject, arithmetic: Arithmetic
) -> None:
    inputs, spikes, unit, slope, steps = drawn(
        data, arithmetic.state_bits, arithmetic.fraction_bits
    )
    current, theta, bias, membrane = inputs
    given = {"threshold": theta, "bias": bias}
    states = {"v": membrane, "fired": spikes}
    got = scan(program_of(arithmetic), current, given, steps, states, Surrogate(unit, slope))
    expected = lif.scan(
        current,
        theta,
        bias,
        arithmetic.beta,
        lif.integer_rule(arithmetic, unit, slope, torch.float64),
        steps,
        (membrane, spikes),
    )
    require_same(data, inputs, got[:2], expected)


def through(value: Tensor, exact: Tensor) -> Tensor:
    """`exact`, with the gradient of `value`."""
    return exact.detach() + (value - value.detach())


def leaked(v: Tensor, arithmetic: Arithmetic | Synapse) -> Tensor:
    """One decay."""
    part = (
        v
        * (1 if arithmetic.decay_form == "shift" else arithmetic.decay_numerator)
        * 2.0**-arithmetic.decay_shift
    )
    part = through(part, ROUND[arithmetic.rounding](part))
    return v - part if arithmetic.decay_form == "shift" else part


def kept(v: Tensor, arithmetic: Arithmetic | Synapse) -> Tensor:
    """One Bound."""
    if arithmetic.overflow == "saturate":
        return v.clamp(arithmetic.lowest, arithmetic.highest)
    return (
        v
        - torch.floor((v.detach() - arithmetic.lowest) * 2.0**-arithmetic.state_bits)
        * 2.0**arithmetic.state_bits
    )


@budget(25, 200)
@given(st.data(), arithmetics(reset="zero", reset_timing="same_step", fires="ge"), synapses())
def test_two_states_are_those_of_a_plain_loop(
    data: st.DataObject, arithmetic: Arithmetic, synapse: Synapse
) -> None:
    inputs, _, unit, slope, steps = drawn(
        data, min(arithmetic.state_bits, synapse.state_bits), arithmetic.fraction_bits
    )
    current, theta, bias, membrane = inputs
    axes = (*theta.shape, *[1] * (current.ndim - 2 - theta.ndim))
    v, i, late = membrane, torch.zeros_like(membrane), synapse.bias_to == "membrane"
    spikes, membranes = [], []
    for t in range(steps):
        i = leaked(i, synapse) + current[t % len(current)] * 2.0**arithmetic.fraction_bits
        i = kept(i if late else i + bias.view(axes), synapse)
        v = leaked(v, arithmetic) + i
        v = kept(v + bias.view(axes) if late else v, arithmetic)
        x = (v - theta.view(axes) + 0.5) * unit
        s = through(
            x / (1 + slope * x.abs()), (x > 0).double()
        )  # the fast sigmoid, whose gradient is 1 / (1 + slope * |x|)^2
        v = v * (1 - s.detach())
        spikes.append(s)
        membranes.append(v)
    program, states = (
        program_of(arithmetic, synapse),
        {"v": membrane, "i": torch.zeros_like(membrane)},
    )
    got = scan(
        program, current, {"threshold": theta, "bias": bias}, steps, states, Surrogate(unit, slope)
    )
    require_same(data, inputs, got[:2], (torch.stack(spikes), torch.stack(membranes)))


# -------------------------------------------------------------------- up to where float32 holds
# every integer
RAIL = 2**24


def after(
    lines: list[str], membranes: Tensor, given: dict[str, Tensor]
) -> tuple[list[int], list[int]]:
    """Spikes and membranes of neurons of one channel each after one step, in float32."""
    program = program_of_lines(lines, MEMBRANE)
    states = {"v": membranes.float().view(1, -1)}
    spikes, left, _ = scan(
        program, torch.zeros(1, 1, len(membranes)), given, 1, states, Surrogate(1.0, 1.0)
    )
    return spikes.flatten().long().tolist(), left.flatten().long().tolist()


@budget(10, 80)
@given(
    st.sampled_from([*ROUND]),
    st.sampled_from(["multiply", "shift"]),
    st.booleans(),
    st.integers(0, 2**31 - 1),
)
def test_any_decay_is_exact_up_to_the_rails(
    rounding: Rounding, form: DecayForm, by_neuron: bool, seed: int
) -> None:
    rng, count = np.random.default_rng(seed), 400 if by_neuron else 1
    shift = rng.integers(0, 17, count)
    numerator = (1 << shift) - 1 if form == "shift" else rng.integers(0, (1 << shift) + 1)
    whole = rng.integers(-RAIL, RAIL + 1, 400)
    decays = [
        Arithmetic(form, int(k), int(n), rounding) for k, n in zip(numerator, shift, strict=True)
    ]
    expected = [int(decay(decays[at % count], value)) for at, value in enumerate(whole)]
    k, n = ("k", "n") if by_neuron else (str(numerator[0]), str(shift[0]))
    line = f"leak v {form} {'0' if by_neuron and form == 'shift' else k} {n} {rounding}"
    given = {"k": torch.from_numpy(numerator), "n": torch.from_numpy(shift)}
    assert after([line], torch.from_numpy(whole), given)[1] == expected


@pytest.mark.parametrize("bits", [8, 24, 25, 32])
@pytest.mark.parametrize("overflow", get_args(Overflow))
def test_bounds_are_exact_up_to_the_rails(overflow: Overflow, bits: int) -> None:
    whole = [
        end + more
        for end in (-RAIL, -(1 << bits - 1), 0, 1 << bits - 1, RAIL)
        for more in (-2, -1, 0, 1, 2)
    ]
    whole = [value for value in whole if abs(value) <= RAIL]
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    wrapped = [(value - low) % (1 << bits) + low for value in whole]
    expected = wrapped if overflow == "wrap" else [min(max(value, low), high) for value in whole]
    assert (expected != whole) == (bits < 32)
    assert after([f"bound v {low} {high} {overflow}"], torch.tensor(whole), {})[1] == expected


def test_many_spikes_are_counted_exactly_up_to_the_rails() -> None:
    """Around every multiple of a level: the quotients are as near to the integers as they come."""
    near = [
        (times * level + more, level)
        for level in (65_535, 65_001, 3)
        for times in range(1, 256)
        for more in (-1, 0, 1)
    ]
    whole, levels = zip(*near, strict=True)
    for test, gap in (("gt", 1), ("ge", 0)):
        expected = [min(255, (value - gap) // level) for value, level in near]
        lines = ["add v 0 0", f"fire fired v {test} threshold 255"]
        given = {"threshold": torch.tensor(levels)}
        assert after(lines, torch.tensor(whole), given)[0] == expected
