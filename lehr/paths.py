"""The ways on which spikes come to a layer of neurons.

They have where spikes left, how late they are, and the nodes that they pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Delay, Network, Neuron

Synapses = list[tuple[str, bool, Int64]]


@dataclass(frozen=True)
class Arrival:
    """Events that come to a layer from one source.

    Attributes:
        source: the neuron layer, delay or input that they leave.
        late: whether they left it in the step before, along a feedback edge.
        paths: the weight, pooling and flatten nodes that they pass, for each way there is from
            `source` to the layer.
    """

    source: str
    late: bool
    paths: tuple[tuple[str, ...], ...]


def arrivals(net: Network, name: str) -> tuple[Arrival, ...]:
    """Return the events of neuron layer `name`, source by source, in the order of arrival."""
    ways: dict[tuple[str, bool], list[tuple[str, ...]]] = {}

    def walk(node: str, delayed: bool, path: tuple[str, ...]) -> None:
        for source in net.sources(node):
            late = delayed or (source, node) in net.feedback
            if source == INPUT or isinstance(net.nodes[source], (Neuron, Delay)):
                ways.setdefault((source, late), []).append(path)
            else:
                walk(source, late, (source, *path))

    walk(name, False, ())
    rank = {INPUT: -1, **{n: i for i, n in enumerate(net.order)}}
    ordered = sorted(ways, key=lambda key: (not key[1], rank[key[0]]))
    return tuple(Arrival(source, late, tuple(ways[source, late])) for source, late in ordered)


def synapses(net: Network, name: str) -> Synapses:
    """Return what one event of each source does to the neurons of layer `name`.

    Args:
        net: the network.
        name: a neuron layer.

    Returns:
        Triples (source, delayed by feedback, matrix `[source size, layer size]`) in the order in
        which events arrive.
    """
    wiring = []
    for arrival in arrivals(net, name):
        shape = net.shapes[arrival.source]
        matrix = np.zeros((math.prod(shape), math.prod(net.shapes[name])), np.int64)
        for path in arrival.paths:
            pulse: Int64 = np.eye(len(matrix), dtype=np.int64).reshape(-1, *shape)
            for step in path:
                pulse = net.nodes[step].sums(pulse)
            matrix += pulse.reshape(matrix.shape)
        wiring.append((arrival.source, arrival.late, matrix))
    return wiring
