"""What neurons hear: axons of four types, of which each neuron takes a weight, and a bit for each axon and neuron."""

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
LONGEST = 14
"""The greatest `destination_tick` of 16 words of a scheduler: one is being read, and a spike comes in the tick after at the soonest."""

Line = tuple[str, int, int, int]
"""Its source, a layer or the input; which neuron of it; how many ticks a spike waits; the type of axon that it takes."""


@dataclass(frozen=True)
class Heard:
    """What a layer hears.

    Attributes:
        weights: by type of axon, at most four, the same for all its neurons.
        lines: of each spike that can come, one for each weight that it has with some neuron.
        connected: bool `[lines, neurons]`.
    """

    weights: tuple[int, ...]
    lines: tuple[Line, ...]
    connected: npt.NDArray[np.bool_]


def ways(net: Network) -> tuple[tuple[Connection, int], ...]:
    """All connections, and for how many ticks their spikes wait."""
    late, hops = late_by(net), dict.fromkeys(net.neurons, 1)
    return tuple((each, wait(each, late, hops)) for each in connections(net))


def lags(net: Network) -> Mapping[str, int] | tuple[Problem, ...]:
    """By how many ticks each layer runs late: a spike takes one to the next core."""
    return least_lags(net, dict.fromkeys(net.neurons, 1))


def late_by(net: Network) -> Mapping[str, int]:
    """The lags of a network that has them."""
    found = lags(net)
    assert not isinstance(found, tuple), found
    return found


def heard(net: Network) -> dict[str, Heard]:
    """What each layer hears, in order of evaluation."""
    found, incoming = dict[str, Heard](), ways(net)
    for name in net.neurons:
        own = [(each, steps) for each, steps in incoming if each.target == name]
        weights = _weights([each for each, _ in own])
        parts = [_lines(each, steps, weights) for each, steps in own]
        lines = tuple(line for part, _ in parts for line in part)
        connected = np.concatenate([bits for _, bits in parts]) if parts else np.zeros((0, sizes(net)[name]), np.bool_)
        found[name] = Heard(weights, lines, connected)
    return found


def _weights(own: list[Connection]) -> tuple[int, ...]:
    """The weights that are not 0, the positive ones first."""
    every = np.unique(np.concatenate([np.zeros(1, np.int64), *(each.weights.reshape(-1) for each in own)]))
    return tuple(sorted((int(w) for w in every if w), key=lambda w: (w < 0, abs(w))))


def _lines(each: Connection, steps: int, weights: tuple[int, ...]) -> tuple[list[Line], npt.NDArray[np.bool_]]:
    bits = np.stack([each.weights == w for w in weights], axis=1) if weights else np.zeros((each.weights.shape[0], 0, 1), np.bool_)
    used: Int64 = np.argwhere(bits.any(axis=2))
    lines = [(each.source, int(index), steps, int(kind)) for index, kind in used]
    return lines, bits[used[:, 0], used[:, 1]].reshape(len(lines), each.weights.shape[1])


def beyond(net: Network) -> Iterator[Problem]:
    """What a layer hears that no core can let it hear."""
    for each, steps in ways(net):
        if each.source != INPUT and steps > LONGEST:
            reason = f"spikes of {each.source} wait {steps} ticks for it, a scheduler holds them for {LONGEST} at most"
            yield Problem(each.target, reason, "use shorter delays")
    yield from _early(net)
    for name, own in heard(net).items():
        if len(own.weights) > TYPES:
            reason = f"its synapses have {len(own.weights)} weights, {own.weights[0]}..{own.weights[-1]}, a neuron has {TYPES}"
            yield Problem(name, reason, "use binary or ternary weights, and pools that do not add up")


def _early(net: Network) -> Iterator[Problem]:
    """Layers that run late, whose neurons would fire while their bias brings them to 0 before their first step."""
    for name, late in late_by(net).items():
        neuron, size = net.neurons[name], sizes(net)[name]
        threshold, bias = by_neuron(neuron, "threshold", size), by_neuron(neuron, "bias", size)
        early = np.flatnonzero(np.maximum(0, (1 - late) * bias) >= threshold)
        if late and not neuron.integrates and early.size:
            j = int(early[0])
            reason = f"it runs {late} ticks late, in which neuron {j} would fire, of bias {bias[j]:,} and threshold {threshold[j]:,}"
            yield Problem(name, reason, "use a smaller bias, or fewer layers before it")
