"""Gradients of the statement-by-statement update: the fused loops', a plain loop's, and those by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_networks import machine_network
from program_networks import BY_STEP, layer_network
from states import SLOW, synapses
from strategies import arithmetics
from torch import Tensor

from lehr.arithmetic import Arithmetic, DecayForm, Overflow, Reset, ResetTiming, Rounding, Synapse
from lehr.machines import MACHINES
from lehr.programs import program_of
from lehr.train import lif
from lehr.train.fused import fields_of
from lehr.train.twin import Twin
from lehr.train.twin_update import scan
from lehr.update import MEMBRANE, Program
from lehr.update_text import program_of_lines

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=12)
ROUND = {"toward_zero": torch.trunc, "floor": torch.floor, "nearest_even": torch.round}
Outputs = tuple[Tensor, Tensor]


# -------------------------------------------------------------------- which programs are fused
def test_every_choice_of_fields_is_recognised() -> None:
    fields: list[tuple[Any, ...]] = [*map(get_args, (DecayForm, Rounding, Reset, ResetTiming)), ("gt", "ge", "never"), get_args(Overflow)]
    for form, rounding, reset, timing, fires, overflow in product(*fields):
        if fires == "never" and reset != "none":
            continue
        how = Arithmetic(form, 7, 3, rounding, reset, timing, fires, 5, 11, overflow)
        program = program_of(how)
        read = fields_of(program)
        assert read is not None
        assert program_of(read) == program
        if reset != "none":  # without a reset there is no timing
            assert read == how


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
def drawn(data: st.DataObject, bits: int, fraction_bits: int) -> tuple[list[Tensor], Tensor, float, float, int]:
    """Current, threshold, bias and membrane that are integers, spikes of the step before, unit, slope and number of steps."""
    torch.manual_seed(data.draw(st.integers(0, 2**31 - 1)))
    scale = 2 ** data.draw(st.integers(0, bits - 1))  # the highest saturate
    per_step, steps = max(2, scale >> fraction_bits), data.draw(st.integers(1, 9))
    shape = data.draw(st.sampled_from([(3,), (2, 3, 2)]))
    parameters = data.draw(st.sampled_from([shape, shape[:1]]))
    current = torch.randint(-per_step // 2, per_step + 1, (data.draw(st.sampled_from([1, steps])), 3, *shape)).double()
    theta = torch.randint(1, scale + 1, parameters).double()
    bias = torch.randint(-scale // 8 - 1, scale // 8 + 2, parameters).double()
    membrane, spikes = torch.randint(-scale, scale, (3, *shape)).double(), torch.randint(0, 2, (3, *shape)).double()
    inputs = [value.requires_grad_() for value in (current, theta, bias, membrane)]
    return inputs, spikes, 2.0 ** -scale.bit_length(), data.draw(st.sampled_from([0.2, 1.0, 25.0])), steps


def require_same(data: st.DataObject, inputs: list[Tensor], found: Outputs, expected: Outputs) -> None:
    """Outputs to the last bit, and gradients of a random weighting of them to nine digits."""
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    wanted = data.draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    weights = [torch.randn_like(out) if want else torch.zeros_like(out) for out, want in zip(expected, wanted, strict=True)]
    losses = [sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True)) for outputs in (found, expected)]
    gradients = [torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True) for loss in losses]  # type: ignore[arg-type]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))


@settings(max_examples=150)
@given(st.data(), arithmetics())
def test_usual_neurons_are_those_of_the_fused_loops(data: st.DataObject, how: Arithmetic) -> None:
    inputs, spikes, unit, slope, steps = drawn(data, how.state_bits, how.fraction_bits)
    current, theta, bias, membrane = inputs
    given = {"threshold": theta, "bias": bias}
    states = {"v": membrane, "fired": spikes}
    found = scan(program_of(how), current, given, steps, states, unit, slope)
    expected = lif.scan(current, theta, bias, lif.integer_rule(how, unit, slope, torch.float64), steps, (membrane, spikes))
    require_same(data, inputs, found[:2], expected)


def through(value: Tensor, exact: Tensor) -> Tensor:
    """`exact`, with the gradient of `value`."""
    return exact.detach() + (value - value.detach())


def leaked(v: Tensor, how: Arithmetic | Synapse) -> Tensor:
    """One decay."""
    part = v * (1 if how.decay_form == "shift" else how.decay_numerator) * 2.0**-how.decay_shift
    part = through(part, ROUND[how.rounding](part))
    return v - part if how.decay_form == "shift" else part


def kept(v: Tensor, how: Arithmetic | Synapse) -> Tensor:
    """One Bound."""
    if how.overflow == "saturate":
        return v.clamp(how.lowest, how.highest)
    return v - torch.floor((v.detach() - how.lowest) * 2.0**-how.state_bits) * 2.0**how.state_bits


@settings(max_examples=150)
@given(st.data(), arithmetics(reset="zero", reset_timing="same_step", fires="ge"), synapses())
def test_two_states_are_those_of_a_plain_loop(data: st.DataObject, how: Arithmetic, synapse: Synapse) -> None:
    inputs, _, unit, slope, steps = drawn(data, min(how.state_bits, synapse.state_bits), how.fraction_bits)
    current, theta, bias, membrane = inputs
    axes = (*theta.shape, *[1] * (current.ndim - 2 - theta.ndim))
    v, i, late = membrane, torch.zeros_like(membrane), synapse.bias_to == "membrane"
    spikes, membranes = [], []
    for t in range(steps):
        i = leaked(i, synapse) + current[t % len(current)] * 2.0**how.fraction_bits
        i = kept(i if late else i + bias.view(axes), synapse)
        v = leaked(v, how) + i
        v = kept(v + bias.view(axes) if late else v, how)
        x = (v - theta.view(axes) + 0.5) * unit
        s = through(x / (1 + slope * x.abs()), (x > 0).double())  # the fast sigmoid, whose gradient is 1 / (1 + slope * |x|)^2
        v = v * (1 - s.detach())
        spikes.append(s)
        membranes.append(v)
    program, states = program_of(how, synapse), {"v": membrane, "i": torch.zeros_like(membrane)}
    found = scan(program, current, {"threshold": theta, "bias": bias}, steps, states, unit, slope)
    require_same(data, inputs, found[:2], (torch.stack(spikes), torch.stack(membranes)))


# -------------------------------------------------------------------- up to where float32 holds every integer
RAIL = 2**24


def after(lines: list[str], membranes: Tensor, given: dict[str, Tensor]) -> tuple[list[int], list[int]]:
    """Spikes and membranes of neurons of one channel each after one step, in float32."""
    program = program_of_lines(lines, MEMBRANE)
    states = {"v": membranes.float().view(1, -1)}
    spikes, left, _ = scan(program, torch.zeros(1, 1, len(membranes)), given, 1, states, 1.0, 1.0)
    return spikes.flatten().long().tolist(), left.flatten().long().tolist()


@settings(max_examples=60)
@given(st.sampled_from([*ROUND]), st.sampled_from(["multiply", "shift"]), st.booleans(), st.integers(0, 2**31 - 1))
def test_any_decay_is_exact_up_to_the_rails(rounding: Rounding, form: DecayForm, by_neuron: bool, seed: int) -> None:
    rng, count = np.random.default_rng(seed), 400 if by_neuron else 1
    shift = rng.integers(0, 17, count)
    numerator = (1 << shift) - 1 if form == "shift" else rng.integers(0, (1 << shift) + 1)
    whole = rng.integers(-RAIL, RAIL + 1, 400)
    decays = [Arithmetic(form, int(k), int(n), rounding) for k, n in zip(numerator, shift, strict=True)]
    expected = [int(decays[at % count].decay(value)) for at, value in enumerate(whole)]
    k, n = ("k", "n") if by_neuron else (str(numerator[0]), str(shift[0]))
    line = f"leak v {form} {'0' if by_neuron and form == 'shift' else k} {n} {rounding}"
    given = {"k": torch.from_numpy(numerator), "n": torch.from_numpy(shift)}
    assert after([line], torch.from_numpy(whole), given)[1] == expected


def test_many_spikes_are_counted_exactly_up_to_the_rails() -> None:
    """Around every multiple of a level: the quotients are as near to the integers as they come."""
    near = [(times * level + more, level) for level in (65_535, 65_001, 3) for times in range(1, 256) for more in (-1, 0, 1)]
    whole, levels = zip(*near, strict=True)
    for test, gap in (("gt", 1), ("ge", 0)):
        expected = [min(255, (value - gap) // level) for value, level in near]
        lines = ["add v 0 0", f"fire fired v {test} threshold 255"]
        given = {"threshold": torch.tensor(levels)}
        assert after(lines, torch.tensor(whole), given)[0] == expected


# -------------------------------------------------------------------- by hand
def gradient(
    lines: str, inputs: list[float], given: dict[str, float], of: str = "v", step: int = -1
) -> tuple[list[float], dict[str, float]]:
    """Of one neuron's membrane (or `fired`) after a step, for its inputs and its parameters; unit 1/8, slope 1."""
    current = torch.tensor(inputs, dtype=torch.float64).view(-1, 1, 1).requires_grad_()
    values = {name: torch.tensor([value], dtype=torch.float64).requires_grad_() for name, value in given.items()}
    program = program_of_lines(lines.split("; "), MEMBRANE)
    states = dict.fromkeys(program.states, torch.zeros(1, 1, dtype=torch.float64))
    spikes, membranes, _ = scan(program, current, values, len(inputs), states, 1 / 8, 1.0)
    made = torch.autograd.grad(
        (spikes if of == "fired" else membranes)[step].sum(), [current, *values.values()], allow_unused=True, materialize_grads=True
    )
    return made[0].flatten().tolist(), {name: float(value) for name, value in zip(values, made[1:], strict=True)}


TAKE = "add v input 0"


@pytest.mark.parametrize(
    ("lines", "inputs", "expected"),
    [
        (f"leak v multiply 3 2 floor; {TAKE}", [5, 1, 0], [9 / 16, 3 / 4, 1]),
        (f"leak v shift 7 3 toward_zero; {TAKE}", [5, 1, 0], [49 / 64, 7 / 8, 1]),
        (f"leak v dash 0 2; {TAKE}", [5, 1, 0], [9 / 16, 3 / 4, 1]),
        ("add v input 3", [5, 1], [8, 8]),
        (f"leak v linear 2 0; {TAKE}", [5, 1, 1], [1, 1, 1]),
        (f"leak v linear 2 0; {TAKE}", [1, 1, 1], [0, 0, 1]),  # there is nothing left of 1 after a leak of 2
        (f"{TAKE}; bound v -8 7 saturate", [7, 0, -15], [1, 1, 1]),  # at the rails, not beyond
        (f"{TAKE}; bound v -8 7 saturate", [8, 0, -15], [0, 1, 1]),
        (f"{TAKE}; bound v -8 7 saturate", [8, 0, -16], [0, 0, 0]),
        (f"{TAKE}; bound v -8 7 wrap", [8, 0, -16], [1, 1, 1]),
        ("put w 0; add w input 0; add v w 0 times w", [3, 2], [6, 4]),  # a square
    ],
)
def test_membranes_by_hand(lines: str, inputs: list[float], expected: list[float]) -> None:
    assert gradient(lines, inputs, {})[0] == expected


def surrogate(distance: float) -> float:
    """1/8 / (1 + |distance| / 8)^2."""
    return 1 / 8 / (1 + abs(distance) / 8) ** 2


@pytest.mark.parametrize(
    ("test", "up_to", "x", "distance", "level"),
    [
        ("gt", 1, 9, 5, 1),
        ("gt", 1, 4, 0, 1),
        ("ge", 1, 4, 0.5, 1),
        ("gt", 1, -4, -8, 1),
        ("gt", 5, 9, 1, 2),  # nearest to twice the level of 4
        ("gt", 5, 11, -1, 3),
        ("ge", 5, 11, -0.5, 3),
        ("gt", 5, 90, 70, 5),
        ("gt", 5, -3, -7, 1),
    ],
)
def test_spikes_by_hand(test: str, up_to: int, x: float, distance: float, level: int) -> None:
    of_input, of_parameters = gradient(f"{TAKE}; fire fired v {test} threshold {up_to}", [x], {"threshold": 4}, "fired")
    assert of_input == pytest.approx([surrogate(distance)], rel=1e-12)
    assert of_parameters["threshold"] == pytest.approx(-level * surrogate(distance), rel=1e-12)


@pytest.mark.parametrize(
    ("after", "of_input", "of_parameters"),
    [
        ("subtract v threshold 1 times fired", [1, 1], {"threshold": -2}),  # the spike is a constant, what it subtracts is none
        ("add v fired 1", [1, 1], {"threshold": 0}),
        ("put v 0 when fired", [0, 1], {"threshold": 0}),
        ("put v rest when fired", [0, 1], {"threshold": 0, "rest": 1}),
    ],
)
def test_what_a_spike_does_to_its_own_neuron_is_a_constant(after: str, of_input: list[float], of_parameters: dict[str, float]) -> None:
    """The neuron fires in the first of two steps and not in the second."""
    given = dict.fromkeys(of_parameters, 4.0) | {"threshold": 6.0}
    assert gradient(f"{TAKE}; fire fired v gt threshold 1; {after}", [7, -4], given) == (of_input, of_parameters)


def test_spikes_that_are_counted_pass_their_gradients_on() -> None:
    lines = "add v input 0; fire a v gt 4 1; fire b v gt 8 1; put fired 0; add fired a 0; add fired b 0"
    assert gradient(lines, [7], {}, "fired")[0] == pytest.approx([surrogate(3) + surrogate(-1)], rel=1e-12)


def test_a_reset_by_spikes_that_are_counted_is_a_constant() -> None:
    lines = "add v input 0; fire a v gt threshold 1; put fired 0; add fired a 0; subtract v threshold 0 times fired"
    assert gradient(lines, [7, -4], {"threshold": 6.0}) == ([1, 1], {"threshold": -1})


def test_a_level_that_moves_passes_its_gradient_to_what_made_it() -> None:
    lines = "add v input 0; add a input 0; put level threshold; add level a 1; fire fired v gt level 1"
    of_input, of_parameters = gradient(lines, [3], {"threshold": 2}, "fired")  # 3 against 2 + 2 * 3
    assert of_input == pytest.approx([-surrogate(-5)], rel=1e-12)
    assert of_parameters["threshold"] == pytest.approx(-surrogate(-5), rel=1e-12)


# -------------------------------------------------------------------- whole networks
@pytest.mark.parametrize("name", [*(name for name, program in MACHINES.items() if program.loop is None), *BY_STEP])
def test_gradients_reach_weights_and_all_parameters_that_are_read(name: str) -> None:
    net, x = machine_network(name) if name in MACHINES else layer_network(name)
    units = {layer: 2.0 ** -round(np.log2(max(1, neuron.threshold.mean()))) for layer, neuron in net.neurons.items()}
    twin = Twin(net, units=units, slope=1.0)
    spikes, membranes = twin.layers(torch.from_numpy(x).float())
    (membranes if twin.neurons[net.output].integrates else spikes)[net.output].sum().backward()
    for layer, neuron in twin.neurons.items():
        for which, value in neuron.trained.items():
            assert (value.grad is not None) == (which in net.neurons[layer].program.parameters), (layer, which)
    for which, value in twin.named_parameters():
        if value.grad is not None:
            assert bool(value.grad.isfinite().all()), which
            assert float(value.grad.abs().sum()) > 0, which
