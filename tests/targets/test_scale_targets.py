"""Scale in every target: exact in each tool, or refused with a way out where fpga cannot do it.

It cannot multiply some of them into weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import assume, given
from hypothesis import strategies as st
from runners import run
from scale_networks import one_factor_more, scaled_networks, with_scales
from strategies import calibrated, delayed_network, inputs, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node, Scale
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.targets.conformance.building import flowing
from lehr.targets.fpga import Fpga

TARGETS = ("c", "onnx", "fpga")
NETWORKS = {"small": small_network, "recurrent": recurrent_network, "delayed": delayed_network}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", TARGETS)
@budget(2, 20)
@given(data=st.data())
def test_random_networks_are_exact(name: str, data: st.DataObject) -> None:
    step = scaled_networks(by_value=name != "fpga", rare=0.1 if name == "c" else 0)
    net = data.draw(step | scaled_networks(update="event") if name == "c" else step)
    assume(not registry.get(name).check(net))
    x = data.draw(inputs(net))
    compare(simulate(net, x, trace=net.neurons).trace, run(name, net, x)).require_equal(name)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", TARGETS)
def test_one_unit_of_a_factor_is_noticed(name: str, network: str) -> None:
    plain, x = NETWORKS[network]()
    net = with_scales(plain, 3, by_value=name != "fpga", share=0.5, rare=0)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, run(name, net, x)).require_equal(name)
    mutants = [
        other
        for other in one_factor_more(net)
        if not compare(expected.trace, simulate(other, x, trace=net.neurons).trace).equal
    ]
    got = run(name, mutants[-1], x)
    assert not compare(expected.trace, got).equal
    compare(simulate(mutants[-1], x, trace=net.neurons).trace, got).require_equal(name)


# -------------------------------------------------------------------- what the fpga multiplies into
# weights
def chained(shape: tuple[int, ...], **nodes: Node) -> Network:
    """Return some nodes one behind another, and neurons behind them."""
    channels = shape[0]
    for node in nodes.values():
        channels = len(node.weight) if isinstance(node, (Conv2d, Linear)) else channels
    lif = Neuron(
        np.full(channels, 9),
        np.zeros(channels, np.int32),
        Arithmetic(decay_numerator=7, decay_shift=3, state_bits=20),
    )
    return Network(
        {**nodes, "out": lif},
        tuple(pairwise((INPUT, *nodes, "out", OUTPUT))),
        Input(shape, "spikes"),
        6,
    )


MAP = (2, 4, 4)
BY_VALUE = Scale(np.arange(32, dtype=np.int32).reshape(MAP))
CONV = Conv2d(np.ones((2, 2, 3, 3), np.int8))
WIDE = Linear(np.full((2, 4), 127, np.int8), "int8")
WAY_OUT = "give its factors by channel, or connect it to a dense layer"
SMALLER = "use smaller factors, or put neurons between them"


@pytest.mark.parametrize(
    ("net", "text"),
    [
        (
            chained(MAP, gain=BY_VALUE, conv=CONV),
            "gain: its factors differ within a channel, and conv spreads all values of a channel "
            f"alike; {WAY_OUT}",
        ),
        (
            chained(MAP, gain=BY_VALUE, pool=SumPool2d((2, 2), (2, 2))),
            "gain: its factors differ within a channel, and pool spreads all values of a channel "
            f"alike; {WAY_OUT}",
        ),
        (
            chained(MAP, gain=BY_VALUE),
            "gain: its factors differ within a channel, and out spreads all values of a channel "
            f"alike; {WAY_OUT}",
        ),
        (
            chained((4,), gain=Scale(np.array([1, 1, -2, 1])), fc=WIDE),
            f"fc: multiplied with gain, its weights reach 254, the engine's 127; {SMALLER}",
        ),
        (
            chained((4,), fc=WIDE, gain=Scale(np.array([1, -2]))),
            f"fc: multiplied with gain, its weights reach 254, the engine's 127; {SMALLER}",
        ),
        (
            chained((4,), one=Scale(np.full(4, 16)), two=Scale(np.full(4, -16))),
            f"two: multiplied with one, its factors reach 256, the engine's 127; {SMALLER}",
        ),
    ],
)
def test_what_cannot_be_multiplied_into_weights_is_refused(net: Network, text: str) -> None:
    (problem,) = Fpga().check(net)
    assert str(problem) == text
    assert not registry.get("c").check(net)
    assert not registry.get("onnx").check(net)


@pytest.mark.slow
@pytest.mark.parametrize(
    "nodes",
    [
        {"gain": Scale(np.array([127, -3]))},
        {"gain": Scale(np.array([127, -3])), "conv": CONV},
        {"conv": CONV, "gain": Scale(np.array([-127, 2]))},
        {"pool": SumPool2d((2, 2), (1, 1)), "gain": Scale(np.array([5, -3]))},
        {
            "one": Scale(np.array([5, -3])),
            "conv": CONV,
            "pool": SumPool2d((2, 2), (2, 2)),
            "two": Scale(np.array([25, -3])),
        },
        {"gain": BY_VALUE, "flat": Flatten(), "fc": Linear(np.ones((3, 32), np.int8))},
        {
            "flat": Flatten(),
            "gain": Scale(np.arange(-16, 16, dtype=np.int32)),
            "fc": Linear(np.ones((3, 32), np.int8)),
            "more": Scale(np.array([1, -7, 3])),
        },
    ],
    ids=" ".join,
)
def test_factors_beside_any_weights_are_exact(nodes: Any) -> None:
    net = calibrated(chained(MAP, **nodes))
    x = np.random.default_rng(1).integers(0, 2, (3, 6, *MAP), np.uint8)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    for name in TARGETS:
        compare(expected.trace, run(name, net, x)).require_equal(name)
