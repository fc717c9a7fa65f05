"""Connections and lags of networks, against the definition stepped by hand.

Spikes take a step a hop there.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from lehr.arithmetic import Arithmetic
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Edge,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.simulate import simulate
from lehr.targets.arithmetics import Problem
from lehr.targets.wiring import by_neuron, connections, lags, late, operations, shared, sizes

RNG = np.random.default_rng(5)
ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)


def signs(*shape: int) -> npt.NDArray[np.int8]:
    return RNG.choice(np.array((-1, 1), np.int8), shape)


def neurons(size: int, threshold: int = 6) -> Neuron:
    return Neuron(np.full(size, threshold, np.int32), np.zeros(size, np.int32), ARITHMETIC)


def network(
    nodes: dict[str, Node], edges: tuple[Edge, ...], shape: tuple[int, ...] = (9,)
) -> Network:
    return Network(nodes, edges, Input(shape, "spikes"), 30)


def chain(*layers: int) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for number, (before, size) in enumerate(pairwise(layers), 1):
        nodes |= {f"fc{number}": Linear(signs(size, before)), f"lif{number}": neurons(size)}
    return nodes


def path(*names: str) -> tuple[Edge, ...]:
    return tuple(pairwise((INPUT, *names, OUTPUT)))


def feedback() -> Network:
    nodes = {**chain(9, 7, 5), "back": Linear(signs(7, 7)), "late": Delay(2)}
    edges = (*path("fc1", "lif1", "fc2", "lif2"), ("lif1", "back"), ("back", "lif1"))
    return network({n: v for n, v in nodes.items() if n != "late"}, edges)


def delayed() -> Network:
    nodes = {**chain(9, 7, 5), "late": Delay(2)}
    return network(nodes, path("fc1", "lif1", "late", "fc2", "lif2"))


def skipping(steps: int) -> Network:
    """Return a way past the first layer, whose own spikes go on `steps` steps later."""
    nodes: dict[str, Node] = {**chain(9, 7, 5), "past": Linear(signs(5, 9))}
    past = ((INPUT, "past"), ("past", "lif2"))
    if not steps:
        return network(nodes, (*path("fc1", "lif1", "fc2", "lif2"), *past))
    return network(
        {**nodes, "late": Delay(steps)}, (*path("fc1", "lif1", "late", "fc2", "lif2"), *past)
    )


def convolutional() -> Network:
    nodes = {
        "conv": Conv2d(signs(3, 2, 3, 3), padding=(1, 1)),
        "lif1": neurons(3, 9),
        "pool": SumPool2d((2, 2), (2, 2)),
        "flatten": Flatten(),
        "fc": Linear(signs(4, 27)),
        "lif2": neurons(4),
    }
    return network(nodes, path("conv", "lif1", "pool", "flatten", "fc", "lif2"), (2, 6, 6))


def stepped(
    net: Network, x: npt.NDArray[np.uint8], lag: dict[str, int], input_hop: int
) -> dict[str, npt.NDArray[np.int64]]:
    """Step a machine whose spikes take a step from layer to layer.

    Membranes leak and add dense sums, whatever step it is.
    """
    wires = connections(net)
    steps = x.shape[0] + max(lag.values()) + 1
    given = late(x[None], lag[INPUT], steps)[0].reshape(steps, -1)
    fired = {name: np.zeros((steps, size), np.int64) for name, size in sizes(net).items()}
    membrane = {name: np.zeros(size, np.int64) for name, size in sizes(net).items()}
    for t in range(steps):
        for name, neuron in net.neurons.items():
            arriving = np.zeros_like(membrane[name])
            for each in wires:
                before = t - (input_hop if each.source == INPUT else 1)
                if each.target == name and before >= 0:
                    arriving += (given if each.source == INPUT else fired[each.source])[
                        before
                    ] @ each.weights
            v = np.trunc(membrane[name] * 7 / 8).astype(np.int64) + (arriving << 2)
            theta = by_neuron(neuron, "threshold", v.size)
            membrane[name] = v - theta * (fired[name][t - 1] if t else 0)
            fired[name][t] = membrane[name] > theta
    return fired


@pytest.mark.parametrize("input_hop", [0, 1])
@pytest.mark.parametrize(
    "net",
    [
        network(chain(9, 7, 5), path("fc1", "lif1", "fc2", "lif2")),
        feedback(),
        delayed(),
        skipping(1),
        convolutional(),
    ],
)
def test_a_machine_with_a_step_a_hop_is_the_network_so_much_later(
    net: Network, input_hop: int
) -> None:
    lag = lags(net, input_hop)
    assert isinstance(lag, dict), lag
    assert min(lag.values()) == 0
    x = (RNG.random((1, 30, *net.input.shape)) < 0.4).astype(np.uint8)
    ran = simulate(net, x, trace=net.neurons)
    got = stepped(net, x[0], lag, input_hop)
    for name in net.neurons:
        assert 0 < ran.rates[name] < 1
        expected = ran.trace.spikes[name][0].reshape(30, -1)
        assert np.array_equal(got[name][lag[name] : lag[name] + 30], expected), name
        assert not np.array_equal(got[name][lag[name] + 1 : lag[name] + 31], expected)


def test_a_way_that_no_lag_fits_is_named_with_the_delay_that_mends_it() -> None:
    problems = lags(skipping(0), 0)
    reason = "spikes of lif1 reach it 1 step apart from the others, as each hop takes a step"
    assert problems == (
        Problem(
            "lif2", reason, "put a Delay of 1 step on the way from lif1, or leave that edge out"
        ),
    )
    assert isinstance(lags(skipping(2), 0), tuple)


def test_weights_are_what_a_pulse_does() -> None:
    net = convolutional()
    first, second = connections(net)
    assert (first.source, first.target, first.delay) == (INPUT, "lif1", 0)
    assert first.weights.shape == (72, 108)
    assert second.weights.shape == (108, 4)
    node = net.nodes["fc"]
    assert isinstance(node, Linear)
    assert np.array_equal(second.weights[0], node.weight[:, 0])
    # row 1, column 1: in the first window
    assert np.array_equal(second.weights[7], node.weight[:, 0])
    assert first.synapses == np.count_nonzero(first.weights) < first.weights.size


def test_operations_count_synapses_that_spikes_reach() -> None:
    net = network(chain(9, 7, 5), path("fc1", "lif1", "fc2", "lif2"))
    assert operations(net, {INPUT: 0.5, "lif1": 0.25, "lif2": 1}) == 0.5 * 63 + 0.25 * 35


def test_shared_tells_the_one_number() -> None:
    assert shared(np.array([3, 3])) == 3
    assert shared([3, 4]) is None
