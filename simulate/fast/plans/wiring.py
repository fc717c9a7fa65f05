"""Synapses one by one, for layers that update by event."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.paths import arrivals
from lehr.simulate.fast.plans.buffers import order_of

Array = npt.NDArray[Any]
PULSES = 64
"""Source neurons whose synapses are found at once, so that no matrix of all by all is made."""


def synapses_of(
    net: Network, name: str
) -> tuple[list[tuple[str, bool]], tuple[Array, Array, Array]]:
    """Return the synapses of a layer, by source neuron, in the order in which events arrive.

    Returns:
        The sources, each with whether it is late; and int64 arrays: where the synapses of each
        source neuron begin, and one more; of each synapse its target, with the channels last, and
        its weight.
    """
    place = np.empty(math.prod(net.shapes[name]), np.int64)
    place[order_of(net.shapes[name])] = np.arange(place.size)
    sources, counts, targets, weights = [], [np.zeros(1, np.int64)], [], []
    for arrival in arrivals(net, name):
        sources.append((arrival.source, arrival.late))
        shape = net.shapes[arrival.source]
        size = math.prod(shape)
        for start in range(0, size, PULSES):
            pulses = _pulses(start, size)
            matrix: Int64 = np.zeros((len(pulses), place.size), np.int64)
            for path in arrival.paths:
                pulse = pulses.reshape(-1, *shape)
                for step in path:
                    pulse = net.nodes[step].sums(pulse)
                matrix += pulse.reshape(matrix.shape)
            row, column = np.nonzero(matrix)
            counts.append(np.bincount(row, minlength=len(pulses)))
            targets.append(place[column])
            weights.append(matrix[row, column])
    return sources, (
        np.cumsum(np.concatenate(counts)),
        np.concatenate(targets),
        np.concatenate(weights),
    )


def _pulses(start: int, size: int) -> Int64:
    pulses = np.zeros((min(PULSES, size - start), size), np.int64)
    pulses[np.arange(len(pulses)), start + np.arange(len(pulses))] = 1
    return pulses
