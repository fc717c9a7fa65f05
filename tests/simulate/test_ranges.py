"""Ranges of states on samples: they are exact, and promise something of other samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from machine_networks import machine_network
from states import flowing, two_state_network
from strategies import Images, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.machines import MACHINES
from lehr.network import Network
from lehr.programs import widths_of
from lehr.simulate import compare, simulate
from lehr.simulate.ranges import Observed, narrowed, observe
from lehr.update import Bound
from lehr.widths import analyse, bits_for, fit_state_bits

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
EVENT = replace(ARITHMETIC, update="event", reset_timing="same_step")
MAKES = {
    "next step": partial(small_network, ARITHMETIC),
    "same step, to zero": partial(
        small_network, replace(ARITHMETIC, reset="zero", reset_timing="same_step")
    ),
    "event": partial(small_network, EVENT),
    "two states": partial(two_state_network, ARITHMETIC),
    "integrators": partial(two_state_network, ARITHMETIC, readout="membrane_last_argmax_lowest"),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("case", MAKES)
def test_one_bit_less_than_observed_saturates_and_no_less_does_not(case: str) -> None:
    net, x = MAKES[case]()
    observed = observe(net, x)
    assert (observed.samples, observed.steps) == (6, net.steps)
    ranges = {
        (n, x): r for n, registers in observed.registers.items() for x, r in registers.items()
    }
    assert (
        len(ranges)
        == observed.states
        == len(net.neurons) + sum(neuron.synapse is not None for neuron in net.neurons.values())
    )
    widths = analyse(fit_state_bits(net)).layers
    seen = 0
    for (name, register), (low, high) in ranges.items():
        assert (
            widths[name].registers[register][0] <= low < high <= widths[name].registers[register][1]
        )
        bits = bits_for(low, high)
        assert not simulate(_with(net, name, register, bits), x).saturations[name]
        if bits > 8:
            assert simulate(_with(net, name, register, bits - 1), x).saturations[name]
            seen += 1
    assert seen


def _with(net: Network, name: str, register: str, bits: int) -> Network:
    wide = dict.fromkeys(widths_of(net.neurons[name].program), 32)
    changed = net.neurons[name].with_bits({**wide, register: bits})
    return replace(net, nodes={**fit_state_bits(net).nodes, name: changed})


@pytest.mark.parametrize("name", MACHINES)
def test_registers_of_a_machine_stay_within_what_is_proven(name: str) -> None:
    net, x = machine_network(name)
    observed = observe(net, x)
    layers = analyse(fit_state_bits(net)).layers
    bounded = {s.x for s in MACHINES[name].all if isinstance(s, Bound)}
    for layer, registers in observed.registers.items():
        assert set(registers) == bounded
        for register, (low, high) in registers.items():
            proven = layers[layer].registers[register]
            assert proven[0] <= low < high <= proven[1]


def many(make: Any) -> tuple[Network, Images]:
    net, x = make()
    return net, np.concatenate([x] * 60)


def test_a_narrowed_network_is_another_that_computes_the_same_on_the_samples() -> None:
    net, x = many(MAKES["two states"])
    fitted, narrow = fit_state_bits(net), narrowed(net, observe(net, x), 0.05)
    assert narrow.digest != fitted.digest
    assert all(
        narrow.neurons[n].fields.state_bits <= fitted.neurons[n].fields.state_bits
        for n in net.neurons
    )
    assert any(narrow.neurons[n] != fitted.neurons[n] for n in net.neurons)
    one, other = (simulate(each, x[:6], trace=net.neurons) for each in (fitted, narrow))
    assert flowing(net, one)
    assert compare(one.trace, other.trace).equal
    assert not any(other.saturations.values())


def test_the_risk_is_what_it_says() -> None:
    """The share of a continuous source above the greatest of n samples keeps to the bound.

    It is above the bound in at most 5 of 100 cases.
    """
    one = Observed({"a": {"v": (0, 1)}}, 59, 1)
    assert one.risk == pytest.approx(
        0.0495, abs=1e-4
    )  # 1 - 0.05**(1/59); the rule of three gives 3/59
    beyond = 1 - np.random.default_rng(0).random((20_000, 59)).max(axis=1)
    assert 0.045 < (beyond > one.risk).mean() < 0.055
    four = Observed({"a": {"v": (0, 1), "i": (0, 1)}, "b": {"v": (0, 1), "i": (0, 1)}}, 1000, 1)
    assert one.risk < 0.05
    assert four.risk == pytest.approx(4 * (1 - 0.0125 ** (1 / 1000)))


def test_a_risk_that_the_samples_do_not_show_is_refused() -> None:
    net, x = MAKES["next step"]()
    observed = observe(net, x)
    for wrong in (0.0, 1.0, float("nan")):
        with pytest.raises(
            UsageError,
            match=r"^risk: .+; give the share of samples in which a state may be cut, between 0 and 1$",
        ):
            narrowed(net, observed, wrong)
    message = r"^risk: 0\.05 of the samples, which 6 samples do not show; give (\d+), or accept 1$"
    with pytest.raises(UsageError, match=message) as caught:
        narrowed(net, observed, 0.05)
    enough = int(str(caught.value).split("give ")[1].split(",")[0])
    assert (
        replace(observed, samples=enough).risk <= 0.05 < replace(observed, samples=enough - 1).risk
    )
