"""Wiring of a network: its neurons and the synapses between them.

Machines hold that which know no convolution, no pooling and no delay line. Spikes of most machines
arrive one step after they left. `lags` finds by how many steps each layer runs late then, so that
the machine computes what the network says; where there is no such number, the network does not map.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Delay, Network
from lehr.nodes import Neuron
from lehr.paths import synapses
from lehr.targets.arithmetics import Problem


@dataclass(frozen=True)
class Connection:
    """Synapses from one layer, or the input, to a layer of neurons, all equally late.

    Attributes:
        source: a neuron layer or `input`.
        target: a neuron layer.
        delay: how many steps after it left a spike is taken in: 0 within the step, as along a plain
            edge, 1 along a feedback edge.
        weights: what a spike adds, int64 `[source size, target size]`; 0 where there is no synapse.
    """

    source: str
    target: str
    delay: int
    weights: Int64

    @property
    def synapses(self) -> int:
        """Number of weights that are not 0."""
        return int(np.count_nonzero(self.weights))


def connections(net: Network) -> tuple[Connection, ...]:
    """Return all connections of a network, by target in order of evaluation.

    Delays are of one number a node.
    """
    weights_by_way: dict[tuple[str, str, int], Int64] = {}
    for name in net.neurons:
        for source, delay, weights in _resolved(net, name):
            key = source, name, delay
            weights_by_way[key] = (
                weights_by_way[key] + weights if key in weights_by_way else weights
            )
    return tuple(Connection(*key, weights) for key, weights in weights_by_way.items())


def _resolved(net: Network, name: str) -> list[tuple[str, int, Int64]]:
    """Return what arrives at a node from neurons and the input, through the delays between."""
    ways: list[tuple[str, int, Int64]] = []
    for source, late, matrix in synapses(net, name):
        node = None if source == INPUT else net.nodes[source]
        if isinstance(node, Delay):
            assert isinstance(node.steps, int)
            ways += [
                (first, delay + node.steps + late, before @ matrix)
                for first, delay, before in _resolved(net, source)
            ]
        else:
            ways.append((source, int(late), matrix))
    return ways


def lags(net: Network, input_hop: int) -> dict[str, int] | tuple[Problem, ...]:
    """Return by how many steps each layer, and the input, runs late.

    That is on a machine whose spikes take one step from layer to layer.

    An edge from u to v with a delay of d steps asks for lag(v) = lag(u) + 1 - d; none is negative,
    and the least is 0.

    Args:
        net: the network.
        input_hop: steps from the input to the first layer, 0 or 1.

    Returns:
        The lags, by layer and `input`; or every layer for which two ways ask for different ones.
    """
    known = {INPUT: 0}
    links: dict[str, list[Connection]] = {}
    for each in connections(net):
        links.setdefault(each.source, []).append(each)
    queue, problems = deque([INPUT]), list[Problem]()
    while queue:
        here = queue.popleft()
        for each in links.get(here, []):
            lag = known[here] + (input_hop if here == INPUT else 1) - each.delay
            if each.target not in known:
                known[each.target] = lag
                queue.append(each.target)
            elif known[each.target] != lag:
                longer, by = (
                    (here, lag - known[each.target])
                    if lag > known[each.target]
                    else ("the others", known[each.target] - lag)
                )
                apart = f"{by} step{'s' if by > 1 else ''}"
                reason = (
                    f"spikes of {here} reach it {apart} apart from the others, as each hop "
                    "takes a step"
                )
                problems.append(
                    Problem(
                        each.target,
                        reason,
                        f"put a Delay of {apart} on the way from {longer}, or leave that edge out",
                    )
                )
    if problems:
        return tuple(problems)
    least = min(known.values())
    return {name: lag - least for name, lag in known.items()}


def late(
    values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], steps: int, total: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Values `[N, T, ...]`, `steps` steps later within `total` steps; 0 before and after."""
    moved = np.zeros((values.shape[0], total, *values.shape[2:]), values.dtype)
    moved[:, steps : steps + values.shape[1]] = values
    return moved


def sizes(net: Network) -> Mapping[str, int]:
    """Return how many neurons each layer has, in order of evaluation."""
    return {name: math.prod(net.shapes[name]) for name in net.neurons}


def operations(net: Network, rates: Mapping[str, float]) -> float:
    """Synaptic operations of a mean step: spikes times the synapses that they reach.

    Args:
        net: the network.
        rates: spikes per neuron and step of each layer, and events per value and step of the input
            under `input`.
    """
    return sum(rates.get(each.source, 0.0) * each.synapses for each in connections(net))


def by_neuron(neuron: Neuron, name: str, size: int) -> Int64:
    """Return a parameter of a layer by neuron, `[size]`.

    Args:
        neuron: the layer.
        name: of the parameter: `threshold`, `bias`, or another of its program.
        size: how many neurons.
    """
    value = neuron.values[name].astype(np.int64)
    return np.repeat(value, size // value.size) if value.ndim == 1 else value.reshape(-1)


def shared(values: Sequence[int] | Int64) -> int | None:
    """Return the one number that all of them are; None where they differ."""
    distinct = np.unique(np.asarray(values))
    return int(distinct[0]) if distinct.size == 1 else None
