"""Networks of which floats can say everything: whole biases, and leaks that have nothing to round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from strategies import Builder, Images, alive, random_input

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import simulate

COUNTING = Arithmetic(reset="zero", reset_timing="same_step")
HALVING = Arithmetic(
    decay_numerator=1,
    decay_shift=1,
    fraction_bits=8,
    reset="zero",
    reset_timing="next_step",
    fires="ge",
)
"""Eight steps take no more than the eight bits below the point, so that no leak has anything to round."""
AT_ONCE = Arithmetic(reset_timing="same_step", fires="ge")
SYNAPSE = Synapse(decay_numerator=1, decay_shift=1, bias_to="synapse")


def flat(how: Arithmetic, synapse: Synapse | None = None, seed: int = 0) -> tuple[Network, Images]:
    """Two layers of whole biases in which spikes flow, and samples step by step."""
    net = Builder(Input((12,), "spikes"), np.random.default_rng(seed), ("int4",))
    for name, size in (("hidden", 9), ("out", 5)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, how, synapse)
    return whole_biases(net.network(steps=8))


def spatial(how: Arithmetic) -> tuple[Network, Images]:
    """Convolutions, one of them in groups, and poolings of currents and of spikes."""
    net = Builder(Input((2, 9, 8), "u8"), np.random.default_rng(1), ("ternary",))
    net.conv("conv1", 4, padding=(1, 0), groups=2)
    net.neuron("lif1", how)
    net.add("pool1", SumPool2d((2, 2), (2, 2)))
    net.conv("conv2", 3, (2, 2))
    net.add("pool2", SumPool2d((2, 2), (1, 1), (1, 1)))
    net.neuron("lif2", how)
    net.linear("fc", 5)
    net.neuron("out", how)
    return whole_biases(net.network(steps=8))


def whole_biases(net: Network) -> tuple[Network, Images]:
    """The network with biases that have nothing below the point."""
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = replace(
            neuron, bias=neuron.bias >> neuron.fields.fraction_bits << neuron.fields.fraction_bits
        )
    made = replace(net, nodes=nodes)
    x = random_input(made, np.random.default_rng(2))
    assert alive(simulate(made, x))
    return made, x


def once_a_step(how: Arithmetic) -> tuple[Network, Images]:
    """A chain whose thresholds are what can come in a step at most."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Any] = {}
    path = [INPUT]
    for name, inputs, outputs in (("hidden", 20, 12), ("out", 12, 4)):
        weight = rng.choice(np.array([-1, 1], np.int8), (outputs, inputs), p=[0.3, 0.7])
        theta = np.full(outputs, (weight > 0).sum(axis=1).max(), np.int32)
        nodes |= {f"fc_{name}": Linear(weight), name: Neuron(theta, np.zeros_like(theta), how)}
        path += [f"fc_{name}", name]
    net = Network(
        nodes, tuple(zip(path, [*path[1:], OUTPUT], strict=True)), Input((20,), "spikes"), 30
    )
    x = random_input(net, rng)
    assert alive(simulate(net, x))
    return net, x
