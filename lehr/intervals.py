"""Bounds of every sum in a network, by interval arithmetic over its edges.

The width analysis stands on them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lehr.interval import Interval
from lehr.network import INPUT, Network
from lehr.nodes import INT32_MAX


def intervals(net: Network) -> dict[str, Interval]:
    """Bound the output of every node, `input` included; bounds beyond 2**40 are given as 2**40."""
    known = {INPUT: _between(0, net.input.highest, net.input.shape[0])}
    for name, neuron in net.neurons.items():
        known[name] = _between(0, neuron.program.most_spikes, neuron.channels)

    for name in net.flow:
        if name not in known:
            taken = net.shapes[net.sources(name)[0]]
            known[name] = net.nodes[name].bounds(arriving(net, name, known), taken).clipped()
    return known


def accumulators(net: Network) -> dict[str, int]:
    """Return the nodes whose sums can leave int32, and what they reach.

    Neuron layers are among them if several edges are added.
    """
    known = intervals(net)
    reached = {name: known[name] for name in net.order if name not in net.neurons}
    reached |= {
        name: arriving(net, name, known) for name in net.neurons if len(net.sources(name)) > 1
    }
    return {
        name: worst
        for name, sums in reached.items()
        if (worst := int(sums.magnitude.max())) > INT32_MAX
    }


def _between(low: int, high: int, channels: int) -> Interval:
    return Interval(
        np.full(channels, low, np.int64),
        np.full(channels, high, np.int64),
        np.full(channels, high, np.int64),
    )


def arriving(net: Network, name: str, nodes: Mapping[str, Interval]) -> Interval:
    """Bound the sum over the edges into a node, from the bounds of all nodes."""
    first, *rest = (nodes[source] for source in net.sources(name))
    for other in rest:
        first = first + other
    return first
