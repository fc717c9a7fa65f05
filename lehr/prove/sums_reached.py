"""Bounds of what comes to each neuron in a step, by running extreme inputs through the nodes.

Every node but a weighted one makes more of more, or less of more, value by value, and a weighted
one does so with its positive and with its negative weights: the definition itself, on the lowest
and on the highest values, says what the sums can be. The analysis of widths is not asked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.nodes import Conv2d, Delay, Linear, Node
from lehr.paths import arrivals, synapses
from lehr.tables import Table


class Reached(NamedTuple):
    """Lowest and highest of each value of a node in a step, int64 `[*shape]`."""

    low: Int64
    high: Int64


EXTREMES: Table[Callable[..., Reached]] = Table("the proof", "its widths are not proven")


def sums_reached(net: Network) -> dict[str, Reached]:
    """Return the extremes of the sum that comes to each layer of neurons, in any step.

    Raises:
        NotMappable: for a type of node that has no rule here.
    """
    comes = arriving_reached(net)
    return {name: comes[name] for name in net.neurons}


def arriving_reached(net: Network) -> dict[str, Reached]:
    """Return the extremes of what comes to each node, in any step.

    Raises:
        NotMappable: for a type of node that has no rule here.
    """
    shape = net.input.shape
    known = {INPUT: Reached(np.zeros(shape, np.int64), np.full(shape, net.input.highest, np.int64))}
    for name, neuron in net.neurons.items():
        zero = np.zeros(net.shapes[name], np.int64)
        known[name] = Reached(zero, zero + neuron.program.most_spikes)

    def arriving(name: str) -> Reached:
        ends = [known[source] for source in net.sources(name)]
        return Reached(
            np.sum([each.low for each in ends], axis=0),
            np.sum([each.high for each in ends], axis=0),
        )

    for name in net.flow:
        if name not in known:
            node = net.nodes[name]
            known[name] = _of(node, arriving(name))
    return {name: arriving(name) for name in net.nodes}


def magnitude(node: Node, most: Int64) -> Int64:
    """Return how large each value of a node can be, and any part of its sum.

    Args:
        node: that adds up, with weights or without.
        most: how large each value is that comes to it.
    """
    sums: Int64 = np.zeros((), np.int64)
    if not isinstance(node, Conv2d | Linear):
        sums = np.abs(node.sums(most[None])[0])
    else:
        plus, minus = _signed(node)
        sums = plus.sums(most[None])[0] - minus.sums(most[None])[0]
    return sums


def pulses_reached(net: Network, name: str) -> list[Int64]:
    """Return how large what single events make of a node can be, and of what it is added to."""
    sizes = []
    for layer, neuron in net.neurons.items():
        for arrival in arrivals(net, layer) if neuron.by_event else ():
            total = np.zeros(net.shapes[layer], np.int64)
            for path in arrival.paths:
                most = np.ones(net.shapes[arrival.source], np.int64)
                for step in path:
                    most = magnitude(net.nodes[step], most)
                    if step == name:
                        sizes.append(most)
                total += most
            if any(name in path for path in arrival.paths):
                sizes.append(total)
    return sizes


def _of(node: Node, x: Reached) -> Reached:
    """Return the extremes of what a node makes of what comes to it."""
    if not node.monotonic:
        return EXTREMES[type(node)](node, x)
    one, other = node.sums(x.low[None])[0], node.sums(x.high[None])[0]
    return Reached(np.minimum(one, other), np.maximum(one, other))


def events_reached(net: Network, name: str) -> Reached:
    """Return the extremes of what one event brings to each neuron of a layer."""
    shape = net.shapes[name]
    low, high = (np.zeros(math.prod(shape), np.int64) for _ in range(2))
    for _, _, matrix in synapses(net, name):
        low, high = np.minimum(low, matrix.min(0)), np.maximum(high, matrix.max(0))
    return Reached(low.reshape(shape), high.reshape(shape))


def events_of(net: Network, name: str, neuron: int) -> Counter[int]:
    """Return how many events of a step can bring each weight to a neuron, by its flat index."""
    weights: Counter[int] = Counter()
    for source, _, matrix in synapses(net, name):
        most = net.input.highest if source == INPUT else _most(net, source)
        weights += Counter(
            {
                int(w): int(n) * most
                for w, n in zip(*np.unique(matrix[:, neuron], return_counts=True), strict=True)
                if w
            }
        )
    return weights


def _most(net: Network, source: str) -> int:
    """Return how many events a value of a node can be: a delay passes on what came to it."""
    if source in net.neurons:
        return net.neurons[source].program.most_spikes
    return sum(
        net.input.highest if each == INPUT else _most(net, each) for each in net.sources(source)
    )


@EXTREMES.rule(Conv2d, Linear)
def _weighted(node: Conv2d | Linear, x: Reached) -> Reached:
    plus, minus = _signed(node)
    low = plus.sums(x.low[None])[0] + minus.sums(x.high[None])[0]
    return Reached(low, plus.sums(x.high[None])[0] + minus.sums(x.low[None])[0])


def _signed(node: Conv2d | Linear) -> tuple[Conv2d | Linear, Conv2d | Linear]:
    """Return a node with its positive weights alone, and one with its negative ones."""
    weight = node.weight.astype(np.int8)
    return (
        replace(node, weight=np.maximum(weight, np.int8(0)), kind="int8"),
        replace(node, weight=np.minimum(weight, np.int8(0)), kind="int8"),
    )


@EXTREMES.rule(Delay)
def _delay(node: Delay, x: Reached) -> Reached:
    del node  # it is 0 before the first value comes through
    return Reached(np.minimum(x.low, 0), np.maximum(x.high, 0))
