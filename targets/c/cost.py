"""Additions and comparisons of values that the generated code does in a step."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lehr.network import INPUT, Network
from lehr.targets.c.nodes import rules


def synaptic_operations(net: Network, rates: Mapping[str, float]) -> float:
    """Return an upper bound of how many additions a mean step takes.

    A value is added to each output that it reaches, unless it is 0. The input counts as dense, and
    a sum as 0 only where the rates leave nothing to be added. A maximum compares all values.

    Args:
        net: the network.
        rates: spikes per neuron and step of each neuron layer.
    """
    size = {name: math.prod(shape) for name, shape in net.shapes.items()}
    active: dict[str, float] = {
        INPUT: size[INPUT],
        **{name: rates[name] * size[name] for name in net.neurons},
    }
    total = 0.0

    for name in net.flow:
        if name not in active:  # how many of its outputs are not 0
            node = rules(net.nodes[name])
            if node.role == "maxima":
                active[name] = size[name]
                total += node.pairs(net, name)
                continue
            arriving = sum(active[source] for source in net.sources(name))
            reached = arriving * node.pairs(net, name) / size[net.sources(name)[0]]
            active[name] = min(size[name], reached)
            total += reached if node.role == "sums" else 0
    return total
