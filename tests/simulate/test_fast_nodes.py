"""Nodes in the fast engine: results, delays by channel and by neuron, refusals by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import given
from hypothesis import strategies as st
from machine_networks import machine_network
from results import require_same
from strategies import Images, delayed_network

from lehr.arithmetic import Arithmetic, Int64
from lehr.errors import NotMappable
from lehr.interval import Interval
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Node, Shape
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.plans import passages, rows
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.update import Fire

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=16)


# -------------------------------------------------------------------- delays
def slow_network(steps: Any, currents: bool, machine: str = "") -> tuple[Network, Images]:
    """Build a hidden layer `[4, 3, 3]` whose spikes, or what they bring, come after `steps`."""
    rng = np.random.default_rng(3)
    hidden: Node = Neuron(np.full(4, 9), np.arange(-1, 3, dtype=np.int32), ARITHMETIC)
    if machine:
        hidden = machine_network(machine, spatial=True)[0].neurons["hidden"]
    nodes = {
        "conv": Conv2d(rng.choice(np.array((-1, 1), np.int8), (4, 2, 3, 3))),
        "hidden": hidden,
        **(
            {"weights": Conv2d(rng.choice(np.array((-1, 1), np.int8), (4, 4, 1, 1)))}
            if currents
            else {}
        ),
        "slow": Delay(steps),
        **(
            {"second": Neuron(np.full(4, 7), np.zeros(4, np.int32), ARITHMETIC)} if currents else {}
        ),
        "flat": Flatten(),
        "fc": Linear(rng.choice(np.array((-1, 1), np.int8), (5, 36))),
        "out": Neuron(np.full(5, 14), np.ones(5, np.int32), ARITHMETIC),
    }
    order = (INPUT, *nodes, OUTPUT)
    net = Network(nodes, tuple(pairwise(order)), Input((2, 5, 5), "spikes"), 14)
    return net, (rng.random((3, 14, 2, 5, 5)) < 0.4).astype(np.uint8)


def require_equal(net: Network, x: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare both engines, in one piece, in blocks shorter than the delays, and as a stream."""
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    monkeypatch.setattr(engine, "LEAST_STEPS", 1)
    monkeypatch.setattr(engine, "MOST_STEPS", 2)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    running = Stream(net, len(x), net.neurons)
    require_same(
        expected, continued(net, [running.feed(part) for part in np.split(x, (3, 4), axis=1)])
    )
    held = simulate(net, x[:, 0], trace=net.neurons)
    require_same(held, engine.simulate(net, x[:, 0], trace=net.neurons))


STEPS = {
    "one": 3,
    "by channel": np.array((1, 4, 2, 1), np.int32),
    "by neuron": np.random.default_rng(1).integers(1, 6, (4, 3, 3), dtype=np.int32),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("machine", ["", "dynapcnn", "dynapcnn_by_event", "adaptive"])
@pytest.mark.parametrize("currents", [False, True])
@pytest.mark.parametrize("steps", STEPS)
def test_delays_are_exact(
    steps: str, currents: bool, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_equal(*slow_network(STEPS[steps], currents, machine), monkeypatch)


@pytest.mark.parametrize("currents", [False, True])
def test_one_step_more_of_one_neuron_is_caught(currents: bool) -> None:
    net, x = slow_network(STEPS["by neuron"], currents)
    expected, later = simulate(net, x, trace=net.neurons), np.array(STEPS["by neuron"])
    assert flows(net, expected)
    later.flat[expected.layers["hidden"].spikes.argmax()] += 1
    changed = replace(net, nodes={**net.nodes, "slow": Delay(later)})
    got = engine.simulate(changed, x, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is not None


@budget(2, 50)
@given(st.data())
def test_delays_of_inputs_and_in_loops_are_exact(data: st.DataObject) -> None:
    """Each Delay of a network with feedback gets steps by channel or by neuron."""
    net, x = data.draw(st.sampled_from((delayed_network, HARD["knot"], HARD["knot by event"])))()
    seed = np.random.default_rng(data.draw(st.integers(0, 99)))
    nodes = dict(net.nodes)
    for name, node in net.nodes.items():
        if isinstance(node, Delay):
            shape = net.shapes[name]
            nodes[name] = Delay(
                seed.integers(
                    1, 5, shape if data.draw(st.booleans()) else shape[:1], dtype=np.int32
                )
            )
    changed = replace(net, nodes=nodes)
    require_same(
        simulate(changed, x, trace=net.neurons), engine.simulate(changed, x, trace=net.neurons)
    )


# -------------------------------------------------------------------- a closed world
@dataclass(frozen=True, eq=False)
class MaxPool2d(Node):
    """A node that the definition computes, and the width analysis bounds."""

    def output_shape(self, shape: Shape) -> Shape:
        """Half as high, half as wide."""
        return shape[0], shape[1] // 2, shape[2] // 2

    def sums(self, x: Int64) -> Int64:
        """Return the greatest of two by two."""
        samples, channels, height, width = x.shape
        return np.asarray(
            x.reshape(samples, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5)), np.int64
        )

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of the input."""
        del taken
        return x


class OtherConv2d(Conv2d):
    """A convolution that computes something else."""


@pytest.mark.parametrize("kind", ["MaxPool2d", "OtherConv2d"])
def test_a_node_without_a_rule_is_refused_by_name(kind: str) -> None:
    neuron = Neuron(np.full(2, 3, np.int32), np.zeros(2, np.int32), Arithmetic())
    weight = np.ones((2, 1, 3, 3), np.int8)
    conv, pool = (
        (OtherConv2d(weight), Flatten()) if kind == "OtherConv2d" else (Conv2d(weight), MaxPool2d())
    )
    if kind == "OtherConv2d":
        neuron = Neuron(np.full(32, 3, np.int32), np.zeros(32, np.int32), Arithmetic())
    edges = ((INPUT, "conv"), ("conv", "pool"), ("pool", "lif"), ("lif", OUTPUT))
    net = Network({"conv": conv, "pool": pool, "lif": neuron}, edges, Input((1, 6, 6), "spikes"), 4)
    x = np.ones((1, 4, 1, 6, 6), np.uint8)
    assert simulate(net, x).layers["lif"].spikes.any()
    with pytest.raises(
        NotMappable, match=rf"^the fast engine computes no {kind}; use the engine 'reference'$"
    ):
        engine.simulate(net, x)


def test_a_statement_without_a_rule_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = machine_network("adaptive")
    monkeypatch.delitem(rows.RULES._rules, Fire)
    with pytest.raises(
        NotMappable, match="^hidden: the fast engine computes no Fire; use the engine 'reference'$"
    ):
        engine.simulate(net, x)


def test_a_second_rule_is_an_error() -> None:
    with pytest.raises(TypeError, match="^the fast engine has two rules for Linear; remove one$"):
        passages.EDGES.rule(Linear)(lambda node, passage: None)  # type: ignore[arg-type,return-value]
