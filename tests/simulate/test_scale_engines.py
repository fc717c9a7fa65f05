"""Scale in the definition and in every engine.

It is judged by weights of one to one, by hand, and by the engines' equal spikes and membranes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import old_reference
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from machine_networks import machine_network
from results import require_same
from scale_networks import in_weights, one_factor_more, scaled_networks, with_scales
from strategies import delayed_network, inputs, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Scale
from lehr.simulate import compare, simulate, torch_engine
from lehr.simulate.fast import engine
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.simulate.statistics import Operations, operations
from lehr.targets.conformance.building import flowing

PLAIN = Arithmetic(decay_numerator=0, reset="none", state_bits=32)


# -------------------------------------------------------------------- the definition
@budget(2, 100)
@given(st.data())
def test_a_scale_is_weights_of_one_to_one(data: st.DataObject) -> None:
    """A scale computes such weights as the reference of before, on feedback edges too.

    It does by step and by event.
    """
    net = data.draw(
        scaled_networks(by_value=False, maxima=False)
        | scaled_networks(by_value=False, update="event")
    )
    x = data.draw(inputs(net))
    try:
        expected = old_reference.simulate(in_weights(net), x, trace=net.neurons)
    except NotMappable:  # more than 255 spikes in a step, which the definition refuses as well
        with pytest.raises(NotMappable):
            simulate(net, x)
        return
    compare(expected.trace, simulate(net, x, trace=net.neurons).trace).require_equal(
        "the definition"
    )


def summed(nodes: dict[str, Scale], x: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return the membranes of neurons that hold only the sum of what comes through a node.

    They are `[T, *shape]`, for each of some nodes.
    """
    shape = x.shape[1:]
    lif = Neuron(np.full(shape[0], 2**31 - 1), np.zeros(shape[0], np.int32), PLAIN)
    edges = [edge for name in nodes for edge in ((INPUT, name), (name, "lif"))]
    net = Network({**nodes, "lif": lif}, (*edges, ("lif", OUTPUT)), Input(shape, "u8"), len(x))
    result = simulate(net, x[None], trace=["lif"])
    require_same(result, engine.simulate(net, x[None], trace=["lif"]))
    membranes: npt.NDArray[np.int32] = result.trace.membranes["lif"][0]
    return membranes


@pytest.mark.parametrize("shape", [(5,), (3, 2, 4), (1, 1, 1)])
@pytest.mark.parametrize("by_value", [False, True])
def test_each_value_is_multiplied_and_branches_are_added(
    shape: tuple[int, ...], by_value: bool
) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (4, *shape), np.uint8)
    first, second = (
        rng.integers(-127, 128, shape if by_value else shape[:1], np.int32) for _ in range(2)
    )
    first.flat[0], second.flat[0] = 127, -127
    got = summed({"a": Scale(first), "b": Scale(second)}, x)
    for index in np.ndindex(*x.shape):
        at = index[1:] if by_value else index[1:2]
        assert got[index] == int(x[index]) * (int(first[at]) + int(second[at]))


# -------------------------------------------------------------------- engines
@budget(2, 100)
@given(st.data())
def test_engines_are_exact(data: st.DataObject) -> None:
    net = data.draw(scaled_networks() | scaled_networks(update="event"))
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    require_same(expected, torch_engine.simulate(net, x, trace=net.neurons))


NETWORKS = {"small": small_network, "recurrent": recurrent_network, "delayed": delayed_network}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_one_unit_of_a_factor_is_noticed(name: str) -> None:
    plain, x = NETWORKS[name]()
    net = with_scales(plain, 3, share=0.5, rare=0)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    for run in (simulate, engine.simulate, torch_engine.simulate):
        changed = [run(other, x, trace=net.neurons).trace for other in one_factor_more(net)]
        assert (
            sum(not compare(expected.trace, trace).equal for trace in changed) > len(changed) // 2
        )


@pytest.mark.few(2)
@pytest.mark.parametrize("machine", ["loihi", "xylo", "dynapcnn_by_event", "tinyodin", "adaptive"])
def test_programs_behind_a_scale_are_exact(machine: str) -> None:
    net, x = machine_network(machine, spatial=True)
    first = next(name for name in net.neurons if INPUT not in net.sources(name))
    source = net.sources(first)[0]
    gain = Scale(
        np.where(np.arange(int(np.prod(net.shapes[source]))) % 3, 1, -1).reshape(net.shapes[source])
    )
    edges = tuple(edge for edge in net.edges if edge != (source, first))
    other = Network(
        {**net.nodes, "gain": gain},
        (*edges, (source, "gain"), ("gain", first)),
        net.input,
        net.steps,
        net.readout,
    )
    expected = simulate(other, x, trace=net.neurons)
    assert expected.layers[first].rate > 0
    assert not compare(expected.trace, simulate(net, x, trace=net.neurons).trace).equal
    require_same(expected, engine.simulate(other, x, trace=net.neurons))
    require_same(expected, torch_engine.simulate(other, x, trace=net.neurons))


def test_a_run_in_pieces_is_the_whole() -> None:
    plain, x = delayed_network()
    net = with_scales(plain, 5, share=0.5, rare=0)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    running = Stream(net, len(x), net.neurons)
    require_same(
        expected, continued(net, [running.feed(part) for part in np.split(x, (3, 4), axis=1)])
    )


# -------------------------------------------------------------------- what it costs
def test_an_event_is_multiplied_once_and_passed_on_unless_its_factor_is_0() -> None:
    ones = Neuron(np.ones(2, np.int32), np.zeros(2, np.int32), PLAIN)
    nodes = {
        "gain": Scale(np.array([[[-3, 0], [5, 127]]])),
        "pool": SumPool2d((1, 2), (1, 2)),
        "flat": Flatten(),
        "fc": Linear(np.ones((2, 2), np.int8)),
        "sums": Scale(np.array([2, 0])),
        "out": ones,
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1, 2, 2), "spikes"), 3)
    x = np.zeros((1, 3, 1, 2, 2), np.uint8)
    x[0, 0] = 1  # four events, one of them at the factor 0
    x[0, 2, 0, 1] = 1  # two
    assert operations(net, simulate(net, x)) == {
        "gain": Operations(dense=3 * 3, events=3 + 2),
        "fc": Operations(dense=3 * 4, events=2 * (3 + 2)),
        "sums": Operations(dense=3, events=3),  # sums are numbers in every step
    }
