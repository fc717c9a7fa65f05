"""The torch engine against the definition, on the CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import given
from hypothesis import strategies as st
from results import require_same
from states import grown_networks
from strategies import Images, inputs, networks, small_network

from lehr.errors import NotMappable
from lehr.network import Network
from lehr.simulate import compare
from lehr.simulate import simulate as reference
from lehr.simulate.torch_engine import simulate

BY_STEP = [name for name in HARD if "by event" not in name]


def require_equal(net: Network, x: Images) -> None:
    """Compare both engines in everything they return."""
    expected, got = reference(net, x, trace=net.neurons), simulate(net, x, trace=net.neurons)
    require_same(expected, got)


@pytest.mark.parametrize("name", BY_STEP)
def test_hard_networks_are_exact(name: str) -> None:
    net, x = HARD[name]()
    assert flows(net, reference(net, x, trace=net.neurons))
    require_equal(net, x)


@budget(10, 200)
@given(data=st.data(), net=networks() | grown_networks())
def test_random_networks_are_exact(data: st.DataObject, net: Network) -> None:
    require_equal(net, data.draw(inputs(net)))


def test_one_unit_is_caught() -> None:
    net, x = small_network()
    changed = replace(net.neurons["lif2"], threshold=net.neurons["lif2"].threshold + 1)
    expected = reference(net, x, trace=net.neurons)
    got = simulate(replace(net, nodes={**net.nodes, "lif2": changed}), x, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is not None


def test_neurons_that_update_by_event_are_refused() -> None:
    net, x = HARD["small by event"]()
    with pytest.raises(NotMappable, match="^lif1: update is 'event', which the torch engine does not compute; use the engine 'fast'$"):
        simulate(net, x)
