"""Neurons that test their threshold after every input event (`update = "event"`), as event-driven chips do.

Within one step the membrane decays and takes its bias, then the events of the step arrive one after another: first those that
travelled along feedback edges, then the others; sources in order of evaluation; within a source by ascending flat index; a count
of c is c events in a row. After each event the membrane is brought into its width, tested, and reset at once where it fires. The
output of a step is the number of times the neuron fired, at most 255.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.network import INPUT, Delay, Network, Neuron

Apply = Callable[[str, Int64], Int64]
Synapses = list[tuple[str, bool, Int64]]
MAX_COUNT = 255


@dataclass(frozen=True)
class Arrival:
    """Events that come to a layer from one source.

    Attributes:
        source: the neuron layer, delay or input that they leave.
        late: whether they left it in the step before, along a feedback edge.
        paths: the weight, pooling and flatten nodes that they pass, for each way there is from `source` to the layer.
    """

    source: str
    late: bool
    paths: tuple[tuple[str, ...], ...]


def arrivals(net: Network, name: str) -> tuple[Arrival, ...]:
    """The events of neuron layer `name`, source by source, in the order in which they arrive."""
    found: dict[tuple[str, bool], list[tuple[str, ...]]] = {}

    def walk(node: str, delayed: bool, path: tuple[str, ...]) -> None:
        for source in net.sources(node):
            late = delayed or (source, node) in net.feedback
            if source == INPUT or isinstance(net.nodes[source], (Neuron, Delay)):
                found.setdefault((source, late), []).append(path)
            else:
                walk(source, late, (source, *path))

    walk(name, False, ())
    rank = {INPUT: -1, **{n: i for i, n in enumerate(net.order)}}
    ordered = sorted(found, key=lambda key: (not key[1], rank[key[0]]))
    return tuple(Arrival(source, late, tuple(found[source, late])) for source, late in ordered)


def synapses(net: Network, name: str, apply: Apply) -> Synapses:
    """What one event of each source does to the neurons of layer `name`.

    Args:
        net: the network.
        name: a neuron layer.
        apply: evaluates one weight, pooling or flatten node on a batch.

    Returns:
        Triples (source, delayed by feedback, matrix `[source size, layer size]`) in the order in which events arrive.
    """
    wiring = []
    for arrival in arrivals(net, name):
        shape = net.shapes[arrival.source]
        matrix = np.zeros((math.prod(shape), math.prod(net.shapes[name])), np.int64)
        for path in arrival.paths:
            pulse: Int64 = np.eye(len(matrix), dtype=np.int64).reshape(-1, *shape)
            for step in path:
                pulse = apply(step, pulse)
            matrix += pulse.reshape(matrix.shape)
        wiring.append((arrival.source, arrival.late, matrix))
    return wiring


def event_step(
    name: str,
    neuron: Neuron,
    membrane: Int64,
    arrivals: Mapping[tuple[str, bool], Int64],
    wiring: Synapses,
    bound: Callable[[Int64], Int64],
) -> tuple[Int64, Int64]:
    """One step of an event-driven layer.

    Args:
        name: of the layer, for messages.
        neuron: the layer.
        membrane: `[N, *shape]`, after the step before.
        arrivals: spikes or counts `[N, *source shape]` of each source named in `wiring`.
        wiring: from `synapses`.
        bound: brings membranes into their width.

    Returns:
        The new membrane, and how often each neuron fired.
    """
    how = neuron.arithmetic
    batch, shape = len(membrane), membrane.shape[1:]
    per_channel = (1, -1, *[1] * (len(shape) - 1))
    spread = np.broadcast_to(neuron.threshold.astype(np.int64).reshape(per_channel), (1, *shape)).reshape(-1)
    free = how.decay(membrane) + neuron.bias.astype(np.int64).reshape(per_channel)
    v = bound(free).reshape(batch, -1)
    fired = np.zeros_like(v)
    for sample in range(batch):
        for source, late, matrix in wiring:
            counts = arrivals[source, late][sample].reshape(-1)
            for index in np.flatnonzero(counts):
                for _ in range(int(counts[index])):
                    v[sample] = bound(v[sample] + (matrix[index] << how.fraction_bits))
                    spike = how.fire(v[sample], spread) * (matrix[index] != 0)
                    fired[sample] += spike
                    if how.reset == "subtract":
                        v[sample] -= spread * spike
                    elif how.reset == "zero":
                        v[sample] *= 1 - spike
    if fired.max(initial=0) > MAX_COUNT:
        raise NotMappable(f"{name}: a neuron fired {int(fired.max())} times in one step, more than {MAX_COUNT}; raise its threshold")
    return v.reshape(membrane.shape), fired.reshape(membrane.shape)
