"""Networks that stand on ReckOn, with random weights and thresholds that membranes reach."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    Readout,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.simulate import Result, simulate
from lehr.targets.conformance.building import Images

LEAK: dict[str, Any] = {
    "decay_numerator": 15,
    "decay_shift": 4,
    "rounding": "floor",
    "state_bits": 16,
    "fraction_bits": 3,
}
FIRES = Arithmetic(**LEAK, fires="ge")
INTEGRATES = Arithmetic(
    **{**LEAK, "decay_numerator": 3, "decay_shift": 2}, fires="never", reset="none"
)
LAST: Readout = "membrane_last_argmax_lowest"


def chain(
    *sizes: int,
    arithmetic: Arithmetic = FIRES,
    last: Arithmetic | None = None,
    biases: int = 6,
    spread: int = 3,
    steps: int = 10,
) -> Network:
    """Return dense layers one after another, `layer1` and so on.

    Thresholds are of `spread` kinds, biases random and of both signs.
    """
    rng = np.random.default_rng(sum(sizes))
    nodes: dict[str, Node] = {}
    layers = list(pairwise(sizes))
    for number, (before, after) in enumerate(layers, 1):
        own = last if last is not None and number == len(layers) else arithmetic
        theta = (
            rng.choice(np.array([12, 20, 33, 40, 51])[:spread], after)
            if own.fires != "never"
            else np.zeros(after)
        )
        nodes[f"fc{number}"] = Linear(rng.choice(np.array([-1, 1], np.int8), (after, before)))
        nodes[f"layer{number}"] = Neuron(
            theta.astype(np.int32), rng.integers(-biases, biases + 1, after, np.int32), own
        )
    readout: Readout = "count_argmax_lowest" if last is None else LAST
    return Network(
        nodes,
        tuple(pairwise((INPUT, *nodes, OUTPUT))),
        Input((sizes[0],), "spikes"),
        steps,
        readout,
    )


def convolutional() -> Network:
    """Return a convolution, a pool and neurons, then ten classes."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Node] = {
        "conv": Conv2d(rng.choice(np.array([-1, 1], np.int8), (4, 2, 3, 3)), padding=(1, 1)),
        "pool": SumPool2d((2, 2), (2, 2)),
        "lif": Neuron(
            np.array([30, 41, 52, 63], np.int32), np.array([3, -2, 0, 5], np.int32), FIRES
        ),
        "flat": Flatten(),
        "fc": Linear(rng.choice(np.array([-1, 1], np.int8), (10, 64))),
        "out": Neuron(np.full(10, 60, np.int32), np.zeros(10, np.int32), FIRES),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((2, 8, 8), "spikes"), 8)


def recurrent() -> Network:
    """Return a layer that hears itself, and integrators with biases behind it."""
    net = chain(12, 16, 4, last=INTEGRATES, biases=9)
    back = Linear(np.random.default_rng(8).choice(np.array([-1, 1], np.int8), (16, 16)))
    return Network(
        {**net.nodes, "back": back},
        (*net.edges, ("layer1", "back"), ("back", "layer1")),
        net.input,
        net.steps,
        net.readout,
    )


def samples(net: Network, count: int = 4, rate: float = 0.35) -> Images:
    rng = np.random.default_rng(11)
    return (rng.random((count, net.steps, *net.input.shape)) < rate).astype(np.uint8)


def alive(net: Network, x: Images) -> Result:
    """Return the reference's result; every layer that fires does so, and not always."""
    result = simulate(net, x, trace=net.neurons)
    for name, neuron in net.neurons.items():
        assert neuron.integrates or 0 < result.rates[name] < 1, result.rates
    return result
