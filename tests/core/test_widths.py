"""Width analysis: its bounds hold for whatever really happens, and are reached where they can be."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from states import grown_networks
from strategies import inputs, networks, small_network

from lehr.arithmetic import Arithmetic, BiasTo, Synapse
from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import compare, simulate
from lehr.widths import analyse, fit_state_bits


def _line(weight: list[int], neuron: Neuron, steps: int = 4, kind: str = "u8") -> Network:
    nodes = {
        "fc": Linear(np.array([weight]), "binary" if set(weight) <= {-1, 1} else "int8"),
        "lif": neuron,
    }
    shape = Input((len(weight),), "u8" if kind == "u8" else "spikes")
    return Network(nodes, ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT)), shape, steps)


def _neuron(threshold: int, bias: int = 0, **how: object) -> Neuron:
    return Neuron(
        np.array([threshold], np.int32),
        np.array([bias], np.int32),
        replace(Arithmetic(), **how),  # type: ignore[arg-type]
    )


@budget(10, 66)
@given(st.data())
def test_no_membrane_leaves_its_bounds(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    x = data.draw(inputs(net))
    found = analyse(net).layers
    for name, membrane in simulate(net, x, trace=net.neurons).trace.membranes.items():
        how = net.neurons[name].fields
        low, high = found[name].membrane
        inside = low >= how.lowest and high <= how.highest
        if inside or how.overflow == "saturate":
            # a membrane traced after a reset in the same step lies between the bounds, too
            assert min(low, 0) <= int(membrane.min())
            assert int(membrane.max()) <= high


@budget(7, 66)
@given(st.data())
def test_fitted_networks_never_saturate_and_compute_the_same(data: st.DataObject) -> None:
    net = data.draw(networks(state_bits=32))
    x = data.draw(inputs(net))
    fitted = fit_state_bits(net)
    expected, got = simulate(net, x, trace=net.neurons), simulate(fitted, x, trace=net.neurons)
    assert not any(got.saturations.values())
    compare(expected.trace, got.trace).require_equal("fitted")


@budget(6, 40)
@given(st.data())
def test_fitted_synapse_states_never_saturate_either(data: st.DataObject) -> None:
    net = data.draw(grown_networks(state_bits=32))
    wide = {
        n: replace(v, synapse=replace(v.synapse, state_bits=32))
        for n, v in net.neurons.items()
        if v.synapse is not None
    }
    net = replace(net, nodes={**net.nodes, **wide})
    x = data.draw(inputs(net))
    fitted = fit_state_bits(net)
    expected, got = simulate(net, x, trace=net.neurons), simulate(fitted, x, trace=net.neurons)
    assert not any(got.saturations.values())
    compare(expected.trace, got.trace).require_equal("fitted")


@pytest.mark.parametrize("bias_to", get_args(BiasTo))
def test_bounds_of_a_synapse_state_are_reached(bias_to: BiasTo) -> None:
    synapse = Synapse(decay_numerator=3, decay_shift=2, bias_to=bias_to)
    neuron = replace(
        _neuron(10**6, 5, decay_numerator=1, decay_shift=1, fraction_bits=2), synapse=synapse
    )
    net = _line([1, 1, -1], neuron, steps=4)
    found = analyse(net).layers["lif"]
    up, down = (
        simulate(net, np.array([x], np.uint8), trace=["lif"]).trace.membranes["lif"]
        for x in ([255, 255, 0], [0, 0, 255])
    )
    assert found.membrane == (int(down.min()), int(up.max()))
    # With a membrane that forgets and takes no bias of its own, the trace is the synapse state.
    bare = replace(
        net,
        nodes={
            **net.nodes,
            "lif": replace(neuron, arithmetic=replace(neuron.fields, decay_numerator=0)),
        },
    )
    own = 0 if bias_to == "synapse" else 5
    up, down = (
        simulate(bare, np.array([x], np.uint8), trace=["lif"]).trace.membranes["lif"]
        for x in ([255, 255, 0], [0, 0, 255])
    )
    assert found.synapse == (int(down.min()) - own, int(up.max()) - own)
    fitted = fit_state_bits(net).neurons["lif"].synapse
    assert fitted is not None
    assert fitted.state_bits == found.synapse_bits == int(up.max()).bit_length() + 1


def test_a_synapse_state_beyond_32_bits_is_refused_by_name() -> None:
    synapse = Synapse(decay_numerator=(1 << 16) - 1, decay_shift=16)
    net = _line(
        [1] * 100,
        replace(_neuron(9, decay_numerator=0, fraction_bits=16), synapse=synapse),
        steps=9,
    )
    with pytest.raises(
        NotMappable,
        match=r"^lif: its synapse state needs more than 32 bits; use fewer fraction bits or a smaller fan-in$",
    ):
        fit_state_bits(net)
    assert (analyse(net).layers["lif"].synapse_bits or 0) > 32


def test_float32_is_refused_for_a_synapse_state_that_it_cannot_hold() -> None:
    held = replace(
        _neuron(9, decay_numerator=0, state_bits=8),
        synapse=Synapse(decay_numerator=1, decay_shift=1, state_bits=16),
    )
    exact = analyse(_line([1], held)).layers["lif"].float32
    wide = replace(
        held,
        synapse=replace(held.synapse, state_bits=32),  # type: ignore[type-var]
        arithmetic=replace(held.fields, fraction_bits=16),
    )
    assert exact == ""
    assert "up to which float32 is exact" in analyse(_line([1] * 3, wide)).layers["lif"].float32


@budget(3, 26)
@given(st.data())
def test_event_driven_layers_stay_inside_too(data: st.DataObject) -> None:
    net = data.draw(networks(update="event", state_bits=24, overflow="saturate"))
    x = data.draw(inputs(net))
    found = analyse(net).layers
    for name, membrane in simulate(net, x, trace=net.neurons).trace.membranes.items():
        assert found[name].membrane[0] <= int(membrane.min())
        assert int(membrane.max()) <= found[name].membrane[1]


def test_bounds_are_reached_by_the_worst_input() -> None:
    net = _line(
        [1, 1, -1], _neuron(10**6, 5, decay_numerator=1, decay_shift=1, fraction_bits=2), steps=3
    )
    found = analyse(net).layers["lif"]
    assert found.current == (-255, 510)
    up = simulate(net, np.array([[255, 255, 0]], np.uint8), trace=["lif"]).trace.membranes["lif"]
    down = simulate(net, np.array([[0, 0, 255]], np.uint8), trace=["lif"]).trace.membranes["lif"]
    assert found.membrane == (int(down.min()), int(up.max()))


def test_bounds_of_weights_of_several_bits_are_reached() -> None:
    net = _line([127, 0, -3, 40], _neuron(10**6, decay_numerator=0), steps=2)
    assert analyse(net).layers["lif"].current == (-3 * 255, 167 * 255)
    assert int(analyse(net).nodes["fc"].magnitude[0]) == 170 * 255
    for x, reached in (([255, 255, 0, 255], 167 * 255), ([0, 255, 255, 0], -3 * 255)):
        assert (
            simulate(net, np.array([x], np.uint8), trace=["lif"])
            .trace.membranes["lif"]
            .ravel()
            .tolist()
            == [reached] * 2
        )


@pytest.mark.parametrize(("high", "bits"), [(127, 8), (128, 9), (32767, 16), (32768, 17)])
def test_bits_are_the_least_that_hold_the_membrane(high: int, bits: int) -> None:
    net = _line([1], _neuron(10**6, high - 1, decay_numerator=0), kind="spikes")
    assert analyse(net).layers["lif"].membrane == (0, high)
    assert analyse(net).layers["lif"].bits == bits
    assert fit_state_bits(net).neurons["lif"].fields.state_bits == bits


def test_a_leak_settles_and_an_integrator_grows() -> None:
    leaky, perfect = (
        _line([1], _neuron(9, reset="none", decay_numerator=n, decay_shift=s), steps=50)
        for n, s in ((1, 1), (1, 0))
    )
    assert analyse(leaky).layers["lif"].settled
    assert analyse(leaky).layers["lif"].membrane == (0, 509)  # 255 * 2, less what truncation takes
    assert not analyse(perfect).layers["lif"].settled
    assert analyse(perfect).layers["lif"].membrane == (0, 50 * 255)


def test_float32_is_exact_up_to_two_to_the_24() -> None:
    def reason(bias: int, **how: object) -> str:
        return (
            analyse(_line([1], _neuron(1, bias, reset="none", **how), steps=1, kind="spikes"))
            .layers["lif"]
            .float32
        )

    assert reason(2**24 - 2**23 - 4) == ""
    assert (
        reason(2**24)
        == "its sums reach 33,554,435, more than the 16,777,216 up to which float32 is exact"
    )
    assert reason(2**21, decay_numerator=7, decay_shift=3) == ""
    assert reason(2**22, decay_numerator=65535, decay_shift=16) == ""
    assert (
        reason(1, update="event", reset_timing="same_step") == "update 'event' has no float32 twin"
    )
    assert reason(1, overflow="wrap", state_bits=26).startswith(
        "wrapping 26 bits passes 16,777,216"
    )
    with pytest.raises(
        NotMappable, match="^lif: its sums reach .*; use fewer fraction bits, a faster decay"
    ):
        analyse(_line([1], _neuron(1, 2**24), kind="spikes")).require_float32()


def test_too_wide_a_membrane_is_refused_by_name() -> None:
    net = _line([1], _neuron(1, 2**30, reset="none"), steps=8)
    with pytest.raises(
        NotMappable,
        match="^lif: its membrane needs more than 32 bits; use fewer fraction bits or a smaller fan-in$",
    ):
        fit_state_bits(net)


@pytest.mark.slow
def test_too_large_an_accumulator_is_refused_by_name() -> None:
    nodes: dict[str, Linear | Neuron] = {"fc0": Linear(np.ones((3000, 3000), np.int8))}
    nodes |= {f"fc{i}": Linear(np.ones((3000, 3000), np.int8)) for i in (1,)}
    nodes |= {"lif": Neuron(np.ones(3000, np.int32), np.zeros(3000, np.int32), Arithmetic())}
    edges = ((INPUT, "fc0"), ("fc0", "fc1"), ("fc1", "lif"), ("lif", OUTPUT))
    with pytest.raises(
        NotMappable,
        match="^fc1: its sums reach 2,295,000,000, more than a 32-bit accumulator holds; use a smaller fan-in$",
    ):
        analyse(Network(nodes, edges, Input((3000,), "u8"), 2))


def test_small_network_is_exact_in_float32() -> None:
    analyse(small_network()[0]).require_float32()
