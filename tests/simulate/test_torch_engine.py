"""The torch engine against the definition, on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from budgets import budget
from golden_networks import GOLDEN, Golden, changed_weight, one_higher_threshold
from hard_networks import HARD, flows, unproven
from hypothesis import given
from hypothesis import strategies as st
from machine_networks import machine_network
from program_networks import BY_EVENT, BY_STEP, layer_network
from results import require_same
from states import grown_networks
from strategies import Images, delayed_network, inputs, networks, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.interval import Interval
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Input, Linear, Network, Neuron
from lehr.nodes import Flatten, Shape
from lehr.simulate import compare, torch_update
from lehr.simulate import simulate as reference
from lehr.simulate.torch_engine import simulate, stream
from lehr.tables import Table

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)


def require_equal(net: Network, x: Images) -> None:
    """Compare both engines in everything they return, saturations included."""
    expected, got = reference(net, x, trace=net.neurons), simulate(net, x, trace=net.neurons)
    require_same(expected, got)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", HARD)
def test_hard_networks_are_exact(name: str) -> None:
    net, x = HARD[name]()
    assert flows(net, reference(net, x, trace=net.neurons))
    require_equal(net, x)


@pytest.mark.few(20)
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_golden_networks_are_exact(golden: Golden) -> None:
    require_equal(*golden.make(replace(USUAL, **golden.fields)))


@pytest.mark.few(4)
@pytest.mark.parametrize("per_neuron", [False, True], ids=["by channel", "by neuron"])
@pytest.mark.parametrize("spatial", [False, True], ids=["dense", "spatial"])
@pytest.mark.parametrize("name", MACHINES)
def test_machines_are_exact(name: str, spatial: bool, per_neuron: bool) -> None:
    net, x = machine_network(name, spatial=spatial, per_neuron=per_neuron)
    expected = reference(net, x, trace=net.neurons)
    assert flows(net, expected)
    require_equal(net, x)
    changed = simulate(changed_weight(net), x, trace=net.neurons)
    assert compare(expected.trace, changed.trace).first is not None


@pytest.mark.parametrize("name", [*BY_STEP, *BY_EVENT])
def test_any_program_is_exact(name: str) -> None:
    net, x = layer_network(name)
    expected = reference(net, x, trace=net.neurons)
    assert flows(net, expected)
    assert bool(expected.saturations["v"]) == ("bound" in repr(net.neurons["v"].program))
    require_equal(net, x)


@budget(2, 66)
@given(data=st.data(), net=networks() | grown_networks() | networks(update="event"))
def test_random_networks_are_exact(data: st.DataObject, net: Network) -> None:
    require_equal(net, data.draw(inputs(net)))


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["small", "small by event", "two states", "adaptive", "tinyodin"])
def test_a_run_in_pieces_is_the_whole(name: str) -> None:
    """States, delay lines and feedback edges lose nothing between two pieces."""
    net, x = machine_network(name) if name in MACHINES else HARD[name]()
    x = x if x.ndim > len(net.input.shape) + 1 else np.repeat(x[:, None], net.steps, axis=1)
    feed = stream(net, len(x), net.neurons)
    pieces = [feed(x[:, :3]), feed(x[:, 3:])]
    expected = reference(net, x, trace=net.neurons)
    for layer in net.neurons:
        for trace, whole in (
            ("spikes", expected.trace.spikes),
            ("membranes", expected.trace.membranes),
        ):
            joined = np.concatenate(
                [getattr(piece.trace, trace)[layer] for piece in pieces], axis=1
            )
            assert np.array_equal(joined, whole[layer])


def later(net: Network, first: int = 1) -> Network:
    """`delayed_network` with delays that differ, the first of its currents by `first` steps."""
    steps = np.array([first, 2, 3, 4, 1, 9, 7, 2], np.int32)
    return replace(
        net,
        nodes={**net.nodes, "slow_current": Delay(steps), "slow_spikes": Delay(steps[::-1].copy())},
    )


def test_delays_differ_from_value_to_value() -> None:
    net, x = delayed_network()
    expected = reference(later(net), x, trace=net.neurons)
    assert flows(net, expected)
    require_equal(later(net), x)
    assert (
        compare(expected.trace, simulate(later(net, 2), x, trace=net.neurons).trace).first
        is not None
    )


def test_delays_differ_from_place_to_place() -> None:
    """Spikes of a map, each held back for its own time."""
    net, x = machine_network("reckon", spatial=True)
    late = Delay(np.random.default_rng(3).integers(1, 8, net.shapes["hidden"], np.int32))
    edges = [edge for edge in net.edges if edge != ("hidden", "flat")]
    net = replace(
        net, nodes={**net.nodes, "late": late}, edges=(*edges, ("hidden", "late"), ("late", "flat"))
    )
    assert flows(net, reference(net, x, trace=net.neurons))
    require_equal(net, x)


def test_one_unit_is_caught() -> None:
    net, x = small_network()
    expected = reference(net, x, trace=net.neurons)
    got = simulate(one_higher_threshold(net), x, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is not None


# -------------------------------------------------------------------- refusals
def test_a_node_without_a_rule_is_refused_by_name() -> None:
    class Mirror(Flatten):
        def output_shape(self, shape: Shape) -> Shape:
            return shape

        def bounds(self, x: Interval, taken: Shape) -> Interval:
            return x

    nodes = {"m": Mirror(), "v": Neuron(np.ones(3, np.int32), np.zeros(3, np.int32), USUAL)}
    net = Network(nodes, ((INPUT, "m"), ("m", "v"), ("v", OUTPUT)), Input((3,), "spikes"), 2)
    with pytest.raises(
        NotMappable, match=r"^m: the torch engine computes no Mirror; use another target or engine$"
    ):
        simulate(net, np.ones((1, 3), np.uint8))


def test_a_statement_without_a_rule_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_update, "RULES", Table("the torch engine"))
    net, x = machine_network("akida")
    with pytest.raises(
        NotMappable,
        match=r"^hidden: the torch engine computes no Put; use another target or engine$",
    ):
        simulate(net, x)


def test_more_than_255_spikes_in_a_step_are_refused() -> None:
    arithmetic = Arithmetic(update="event", reset_timing="same_step", reset="none")
    nodes = {
        "w": Linear(np.ones((1, 2), np.int8)),
        "v": Neuron(np.ones(1, np.int32), np.zeros(1, np.int32), arithmetic),
    }
    net = Network(nodes, ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)), Input((2,), "u8"), 1)
    with pytest.raises(
        NotMappable,
        match=r"^v: a neuron fired 256 times in one step, more than 255; raise its threshold$",
    ):
        simulate(net, np.array([[[255, 2]]], np.uint8))
    require_equal(net, np.array([[[255, 1]], [[0, 0]], [[3, 9]]], np.uint8))


def test_sums_beyond_what_is_proven_are_refused() -> None:
    net, x = unproven()
    with pytest.raises(
        NotMappable,
        match=r"^w3: its sums may pass 2\*\*40, beyond what the torch engine proves exact; use the engine 'fast'$",
    ):
        simulate(net, x)
