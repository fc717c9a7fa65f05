"""Upsample2d on the targets that compute it, and refused by name on the others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from runners import run

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.nodes import Flatten, MaxPool2d, Node, Scale, Upsample2d
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.targets.c.cost import synaptic_operations
from lehr.targets.conformance.building import calibrated, flowing, random_input
from lehr.targets.conformance.forms import Parts
from lehr.targets.conformance.mutations import weights
from lehr.targets.conformance.upsampled import upsampled

USUAL = Arithmetic(decay_numerator=7, decay_shift=3)


@pytest.mark.parametrize("name", ["c", "onnx"])
def test_one_weight_is_noticed(name: str) -> None:
    net, x = upsampled()[0].make(Parts(USUAL), seed=1)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, run(name, net, x)).require_equal(name)
    changed = next(
        other
        for other in weights(net)
        if not compare(expected.trace, simulate(other, x, trace=net.neurons).trace).equal
    )
    got = run(name, changed, x)
    assert not compare(expected.trace, got).equal
    compare(simulate(changed, x, trace=net.neurons).trace, got).require_equal(name)


def test_the_others_refuse_it_by_name() -> None:
    net, _ = upsampled()[2].make(Parts(USUAL))
    others = [target for target in registry.targets() if Upsample2d not in target.nodes]
    assert not any(registry.get(name).check(net) for name in ("c", "onnx", "fpga"))
    assert len(others) > 7
    assert {"xylo", "loihi", "spinnaker2"} <= {target.name for target in others}
    for target in others:
        problem = next(problem for problem in target.check(net) if problem.node == "up")
        assert problem.reason == "Upsample2d is not computed by the machine"


def test_c_adds_a_value_at_each_place_of_its_block() -> None:
    """What the estimate of a step counts: 2 channels of 5 x 4 inputs, 2 x 3 places each."""
    one = np.ones(2, np.int32)
    nodes: dict[str, Node] = {"up": Upsample2d((2, 3)), "out": Neuron(one, 0 * one, USUAL)}
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((2, 5, 4), "spikes"), 3)
    assert synaptic_operations(net, {"out": 0.0}) == 2 * 5 * 4 * 2 * 3


def chained(*last: tuple[str, Node]) -> Network:
    """Build factors by value and larger maps of their products, nodes, and neurons."""
    by_value = np.arange(1, 25, dtype=np.int32).reshape(2, 3, 4) % 5 + 1
    nodes: dict[str, Node] = {"gain": Scale(by_value), "up": Upsample2d((2, 1)), **dict(last)}
    one = np.ones(3, np.int32)
    nodes["out"] = Neuron(one, 0 * one, USUAL)
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((2, 3, 4), "spikes"), 6)


def some(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.random.default_rng(1).choice(np.array((-1, 1), np.int8), shape)


def test_fpga_multiplies_factors_by_value_into_dense_weights_behind_it_alone() -> None:
    fpga = registry.get("fpga")
    (problem,) = fpga.check(chained(("conv", Conv2d(some(3, 2, 2, 2)))))
    assert str(problem) == (
        "gain: its factors differ within a channel, and conv spreads all values of a channel "
        "alike; give its factors by channel, or connect it to a dense layer"
    )
    assert not fpga.check(chained(("flat", Flatten()), ("fc", Linear(some(3, 48)))))


@pytest.mark.slow
def test_fpga_adds_at_each_place_of_a_block_what_maxima_and_factors_make() -> None:
    """Behind dense weights with factors by value, and between maxima that hang over the map."""
    one = np.ones(3, np.int32)
    nodes: dict[str, Node] = {
        "conv": Conv2d(some(3, 2, 2, 2)),
        "inner": MaxPool2d((2, 2), (1, 1), (1, 1)),
        "up": Upsample2d((2, 3)),
        "outer": MaxPool2d((3, 2), (2, 2), (1, 0), ceil_mode=True),
        "lif": Neuron(one, 0 * one, USUAL),
    }
    edges = tuple(pairwise((INPUT, *nodes, OUTPUT)))
    between = Network(nodes, edges, Input((2, 4, 5), "spikes"), 6)
    dense = chained(("flat", Flatten()), ("fc", Linear(some(3, 48))))
    for net in map(calibrated, (between, dense)):
        x = random_input(net, np.random.default_rng(2))
        expected = simulate(net, x, trace=net.neurons)
        assert flowing(net, expected)
        compare(expected.trace, run("fpga", net, x)).require_equal("fpga")
        changed = next(iter(weights(net)))
        got = run("fpga", changed, x)
        compare(simulate(changed, x, trace=net.neurons).trace, got).require_equal("fpga")
        assert not compare(expected.trace, got).equal
