"""Fraction bits for a wanted error: they are the least within it, and integrators keep theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from old_reference import decay
from states import SLOW, two_state_network
from strategies import arithmetics, networks
from torch import nn
from torch_models import dyadic, events

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.export import from_torch
from lehr.export.coarsen import coarsened, leak_error
from lehr.network import Network
from lehr.simulate import simulate

FINE = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=12, state_bits=32)
ERROR = 0.2


@budget(12, 83)
@given(
    networks(branches=False, kinds=("spikes",), fraction_bits=6, state_bits=32),
    st.sampled_from([0.001, 0.02, 0.2]),
)
def test_nothing_moves_by_more_than_the_error(net: Network, error: float) -> None:
    coarse = coarsened(net, error)
    for name, old in net.neurons.items():
        new = coarse.neurons[name]
        dropped = old.fields.fraction_bits - new.fields.fraction_bits
        assert dropped >= 0
        if dropped:
            for before, after in ((old.threshold, new.threshold), (old.bias, new.bias)):
                assert np.all(
                    np.abs((after.astype(np.int64) << dropped) - before) <= error * old.threshold
                )
            assert np.all(
                leak_error(new.fields, None) <= error * (old.threshold / 2.0**dropped) + 1e-9
            )


@budget(40, 333)
@given(arithmetics(reset="none", fraction_bits=8, state_bits=32), st.integers(0, 2**32 - 1))
def test_leaks_round_by_no_more_than_is_said(arithmetic: Arithmetic, seed: int) -> None:
    """Rounded leaks stay within the bound of the same recursion in double precision.

    Its fractions hold shifts of 8 over 5 steps.
    """
    rng = np.random.default_rng(seed)
    v, exact = np.zeros(64, np.int64), np.zeros(64)
    for _ in range(5):
        drive = rng.integers(-2000, 2000, 64)
        v, exact = decay(arithmetic, v) + drive, arithmetic.beta * exact + drive
        assert np.abs(v - exact).max() <= leak_error(arithmetic, None) + 1e-6


def test_leaks_of_two_states_add_up() -> None:
    arithmetic, synapse = replace(FINE, reset="none"), replace(SLOW, state_bits=32)
    assert leak_error(arithmetic, synapse) == (1 + 1 / (1 - 3 / 4)) / (1 - 7 / 8)
    assert leak_error(replace(arithmetic, rounding="nearest_even"), None) == 0.5 * 8
    assert leak_error(replace(arithmetic, decay_numerator=8), None) == 0
    v, current, exact_v, exact_current, worst = (
        np.zeros(64, np.int64),
        np.zeros(64, np.int64),
        np.zeros(64),
        np.zeros(64),
        0.0,
    )
    rng = np.random.default_rng(0)
    for _ in range(12):
        drive = rng.integers(-50, 2000, 64)
        current, exact_current = (
            decay(synapse, current) + drive,
            synapse.beta * exact_current + drive,
        )
        v, exact_v = decay(arithmetic, v) + current, arithmetic.beta * exact_v + exact_current
        worst = max(worst, float(np.abs(v - exact_v).max()))
    assert 4 < worst <= leak_error(arithmetic, synapse)


def test_the_bits_are_the_least_and_the_states_narrower() -> None:
    net, x = two_state_network(
        FINE, replace(SLOW, state_bits=32), readout="membrane_last_argmax_lowest"
    )
    coarse = coarsened(net, ERROR)
    old, new = net.neurons["hidden"], coarse.neurons["hidden"]
    assert 0 < new.fields.fraction_bits < 12
    assert new.fields.state_bits < old.fields.state_bits
    less = new.fields.fraction_bits - 1
    worst = leak_error(new.fields, new.synapse) / (old.threshold.min() / 2.0 ** (12 - less))
    assert worst > ERROR
    assert coarse.neurons["out"].fields.fraction_bits == 12  # integrators, without a threshold
    before, after = (
        simulate(each, x, trace=["hidden"]).trace.spikes["hidden"] for each in (net, coarse)
    )
    assert 0.05 < before.mean() < 0.95
    assert (before != after).mean() < 0.1
    assert coarsened(net, 1e-9).neurons["hidden"].fields.fraction_bits == 12


@pytest.mark.parametrize("error", [0.0, 1.0, -1.0, float("nan")])
def test_an_error_out_of_range_is_refused(error: float) -> None:
    with pytest.raises(
        UsageError, match=r"^--error is .+; give a share of the threshold, above 0 and below 1$"
    ):
        coarsened(two_state_network(FINE)[0], error)


def test_models_take_the_bits_that_the_error_needs() -> None:
    torch.manual_seed(1)
    lif: Any = snn.Leaky(beta=0.75, threshold=0.7, init_hidden=True)
    model, sample = nn.Sequential(dyadic(nn.Linear(12, 8)), lif), events(6, 9, 12)
    bits = []
    for error in (0.5, 0.05, 0.005):
        converted = from_torch(model, sample, error=error)
        neuron = converted.network.neurons["layer1"]
        bits.append(neuron.fields.fraction_bits)
        unit = 2.0 ** bits[-1]
        assert leak_error(neuron.fields, None) <= error * neuron.threshold.min()
        assert abs(neuron.threshold[0] - unit * 0.7 / 0.25) <= error * unit * 0.7 / 0.25
    assert bits == sorted(set(bits))
    with pytest.raises(
        UsageError, match=r"^--error is 0\.5, but --fraction-bits is 3, too; give one of them$"
    ):
        from_torch(model, sample, error=0.5, fraction_bits=3)
    with pytest.raises(UsageError, match=r"^--error is 2; give a share of the threshold"):
        from_torch(model, sample, error=2.0)
