"""The training twin is the reference, in every spike and membrane.

Its gradients reach every parameter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import assume, given
from hypothesis import strategies as st
from states import grown_networks
from strategies import alive, delayed_network, inputs, networks, recurrent_network, small_network

from lehr.errors import NotMappable
from lehr.network import Network, Neuron
from lehr.simulate import compare, simulate
from lehr.train.twin.network import Twin, trace
from lehr.widths import analyse


@budget(8, 100)
@given(st.data())
def test_float64_twin_equals_the_reference_on_any_network(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, trace(Twin(net).double(), x)).require_equal("twin")


@budget(2, 100)
@given(st.data())
def test_float32_twin_equals_the_reference_where_it_is_proven(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    assume(not any(layer.float32 for layer in analyse(net).layers.values()))
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, trace(Twin(net), x)).require_equal("twin")


@pytest.mark.parametrize("factory", [small_network, recurrent_network, delayed_network])
def test_one_unit_of_any_threshold_is_seen(factory: object) -> None:
    net, x = factory()  # type: ignore[operator]
    expected = simulate(net, x, trace=net.neurons)
    assert alive(expected)
    for name, neuron in net.neurons.items():
        raised = neuron.threshold.copy()
        spikes = expected.trace.spikes[name]
        raised[int(spikes.sum(axis=tuple(a for a in range(spikes.ndim) if a != 2)).argmax())] += (
            1  # of the channel that fires most
        )
        changed = replace(
            net, nodes={**net.nodes, name: Neuron(raised, neuron.bias, neuron.fields)}
        )
        assert not compare(expected.trace, trace(Twin(changed), x)).equal, name


def test_network_comes_back_unchanged() -> None:
    net, _ = small_network()
    units = dict.fromkeys(net.neurons, 2.0 ** (-7))
    assert Twin(net, units=units).network() == net


def test_gradients_reach_weights_thresholds_and_biases() -> None:
    net, x = small_network()
    twin = Twin(net, units={"lif1": 2.0**-12, "lif2": 2.0**-6, "out": 2.0**-6}, slope=1.0)
    twin(torch.from_numpy(x).float()).sum().backward()
    for name, parameter in {
        **twin.weights,
        **{f"{n}.threshold": m.threshold for n, m in twin.neurons.items()},
    }.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
        assert bool(parameter.grad.isfinite().all()), name


def test_frozen_thresholds_are_integers_and_stay() -> None:
    net, x = small_network()
    twin = Twin(net, units=dict.fromkeys(net.neurons, 0.5))
    with torch.no_grad():
        twin.neurons["lif1"].threshold.add_(0.2)
    twin.freeze_thresholds()
    for neuron in twin.neurons.values():
        integers = neuron.threshold / neuron.unit
        assert torch.equal(integers, integers.round())
        assert not neuron.threshold.requires_grad
        assert not neuron.bias.requires_grad
    compare(simulate(twin.network(), x, trace=net.neurons).trace, trace(twin, x)).require_equal(
        "frozen twin"
    )


def test_thresholds_stay_at_least_one() -> None:
    net, _ = small_network()
    twin = Twin(net)
    with torch.no_grad():
        twin.neurons["out"].threshold.fill_(-3.0)
    twin.clamp_thresholds()
    neuron = twin.network().nodes["out"]
    assert isinstance(neuron, Neuron)
    assert np.array_equal(neuron.threshold, np.ones_like(neuron.threshold))


def test_event_driven_neurons_are_refused_by_name() -> None:
    net, _ = small_network()
    arithmetic = replace(net.neurons["lif2"].fields, update="event", reset_timing="same_step")
    neuron = net.neurons["lif2"]
    changed: Network = replace(
        net, nodes={**net.nodes, "lif2": Neuron(neuron.threshold, neuron.bias, arithmetic)}
    )
    with pytest.raises(
        NotMappable,
        match="^lif2: the training twin computes no ForEachEvent; train neurons that update once a step$",
    ):
        Twin(changed)
