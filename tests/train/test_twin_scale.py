"""Scale in the training twin: exact, and gradients come through it times the factor."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from scale_networks import one_factor_more, scaled_networks, with_scales
from strategies import inputs, recurrent_network

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nodes import Scale
from lehr.simulate import compare, simulate
from lehr.targets.conformance.building import flowing
from lehr.train.twin.network import Twin, trace


@budget(10, 66)
@given(st.data())
def test_twin_is_exact(data: st.DataObject) -> None:
    net = data.draw(scaled_networks())
    x = data.draw(inputs(net))
    compare(simulate(net, x, trace=net.neurons).trace, trace(Twin(net).double(), x)).require_equal(
        "twin"
    )


def test_one_unit_of_a_factor_is_noticed() -> None:
    plain, x = recurrent_network()
    net = with_scales(plain, 3, share=0.5, rare=0)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, trace(Twin(net), x)).require_equal("twin")
    assert not all(
        compare(expected.trace, trace(Twin(other), x)).equal for other in one_factor_more(net)
    )


def test_gradients_of_the_weights_before_are_as_many_times_as_large() -> None:
    def gradient(factor: int) -> torch.Tensor:
        arithmetic = Arithmetic(decay_numerator=0, reset="none", fires="never", state_bits=16)
        never = Neuron(np.zeros(2, np.int32), np.zeros(2, np.int32), arithmetic)
        nodes = {
            "fc": Linear(np.ones((2, 3), np.int8)),
            "gain": Scale(np.array([factor, 1])),
            "out": never,
        }
        edges = tuple(pairwise((INPUT, *nodes, OUTPUT)))
        twin = Twin(Network(nodes, edges, Input((3,), "spikes"), 1, "membrane_last_argmax_lowest"))
        _, membranes = twin.layers(torch.ones(1, 1, 3))
        membranes["out"][..., 0].sum().backward()
        weight = twin.weights["fc"].grad
        assert weight is not None
        return weight

    assert gradient(1)[0].abs().sum() > 0
    assert torch.equal(gradient(-7)[0], -7 * gradient(1)[0])


def test_the_network_comes_back_with_its_factors() -> None:
    net = with_scales(recurrent_network()[0], 3, share=0.5, rare=0)
    assert Twin(net).network() == net
