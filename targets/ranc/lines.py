"""Lines that neurons hear: axons of four types, of which each neuron takes a weight.

There is a bit for each axon and neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.waiting import least_lags, wait
from lehr.targets.wiring import Connection, by_neuron, connections, sizes

TYPES = 4
"""Types of axons, and so weights of a neuron."""
SUMMED = (1, 2, -1, -2)
"""Weights of a layer that has more than four.

Others are sums of them, and take an axon for each.
"""
LONGEST = 14
"""The greatest `destination_tick` of a scheduler of 16 words.

One word is being read, and a spike comes in the tick after at the soonest.
"""

Line = tuple[str, int, int, int]
"""Source (a layer or the input), neuron of it, ticks that a spike waits, type of its axon."""


@dataclass(frozen=True)
class Heard:
    """Weights and lines that a layer hears.

    Attributes:
        weights: by type of axon, at most four, the same for all its neurons.
        lines: of each spike that can come, one for each weight, or part of one, that it has with
            some neuron.
        connected: bool `[lines, neurons]`.
    """

    weights: tuple[int, ...]
    lines: tuple[Line, ...]
    connected: npt.NDArray[np.bool_]


def ways(net: Network) -> tuple[tuple[Connection, int], ...]:
    """Return all connections, and for how many ticks their spikes wait."""
    late, hops = late_by(net), dict.fromkeys(net.neurons, 1)
    return tuple((each, wait(each, late, hops)) for each in connections(net))


def lags(net: Network) -> Mapping[str, int] | tuple[Problem, ...]:
    """Return by how many ticks each layer runs late: a spike takes one to the next core."""
    return least_lags(net, dict.fromkeys(net.neurons, 1))


def late_by(net: Network) -> Mapping[str, int]:
    """Return the lags of a network that has them."""
    result = lags(net)
    assert not isinstance(result, tuple), result
    return result


def heard(net: Network) -> dict[str, Heard]:
    """Return what each layer hears, in order of evaluation."""
    by_layer, incoming = dict[str, Heard](), ways(net)
    for name in net.neurons:
        own = [(each, steps) for each, steps in incoming if each.target == name]
        weights = _weights([each for each, _ in own])
        parts = [_lines(each, steps, weights) for each, steps in own]
        lines = tuple(line for part, _ in parts for line in part)
        connected = (
            np.concatenate([bits for _, bits in parts])
            if parts
            else np.zeros((0, sizes(net)[name]), np.bool_)
        )
        by_layer[name] = Heard(weights, lines, connected)
    return by_layer


def _weights(own: list[Connection]) -> tuple[int, ...]:
    """Return the weights that are not 0, the positive ones first.

    Where there are more than four, they are +-1 and +-2, of which all others are sums.
    """
    every = np.unique(
        np.concatenate([np.zeros(1, np.int64), *(each.weights.reshape(-1) for each in own)])
    )
    weights = tuple(sorted((int(w) for w in every if w), key=lambda w: (w < 0, abs(w))))
    return weights if len(weights) <= TYPES else SUMMED


def _lines(
    each: Connection, steps: int, weights: tuple[int, ...]
) -> tuple[list[Line], npt.NDArray[np.bool_]]:
    """Lines of a connection, and which neurons they reach; a weight that is a sum takes several."""
    lines, rows = list[Line](), [np.zeros((0, each.weights.shape[1]), np.bool_)]
    for kind, bits in _levels(each.weights, weights):
        used = np.flatnonzero(bits.any(axis=1))
        lines += [(each.source, int(index), steps, kind) for index in used]
        rows.append(bits[used])
    return lines, np.concatenate(rows)


def _levels(values: Int64, weights: tuple[int, ...]) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Types of axons, and where they are set, so that all of them add up to the values."""
    if weights != SUMMED or np.isin(values, (0, *SUMMED)).all():
        yield from ((kind, values == w) for kind, w in enumerate(weights))
        return
    for one, two, size in ((0, 1, np.maximum(values, 0)), (2, 3, np.maximum(-values, 0))):
        yield one, size % 2 == 1
        yield from ((two, size // 2 > n) for n in range(int(size.max()) // 2))


def beyond(net: Network) -> Iterator[Problem]:
    """Yield what a layer hears that no core can let it hear."""
    for each, steps in ways(net):
        if each.source != INPUT and steps > LONGEST:
            reason = (
                f"spikes of {each.source} wait {steps} ticks for it, a scheduler holds them for "
                f"{LONGEST} at most"
            )
            yield Problem(each.target, reason, "use shorter delays")
    # layers that run late, whose neurons would fire while their bias brings them to 0 before their
    # first step
    for name, late in late_by(net).items():
        neuron, size = net.neurons[name], sizes(net)[name]
        threshold, bias = by_neuron(neuron, "threshold", size), by_neuron(neuron, "bias", size)
        early = np.flatnonzero(np.maximum(0, (1 - late) * bias) >= threshold)
        if late and not neuron.integrates and early.size:
            j = int(early[0])
            reason = (
                f"it runs {late} ticks late, in which neuron {j} would fire, of bias "
                f"{bias[j]:,} and threshold {threshold[j]:,}"
            )
            yield Problem(name, reason, "use a smaller bias, or fewer layers before it")
