"""What every sum in a network can become, by interval arithmetic over its edges: the ground on which the width analysis stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, SumPool2d
from lehr.nodes import INT32_MAX

BEYOND = 2**40
EVENT_COUNT_MAX = 255


@dataclass(frozen=True)
class Interval:
    """Bounds of a node's values, per channel, int64 `[channels]`.

    Attributes:
        low, high: of the value itself; 0 is always between them.
        magnitude: of any partial sum on the way to it, in whatever order it is summed.
    """

    low: Int64
    high: Int64
    magnitude: Int64

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high, self.magnitude + other.magnitude)

    def clipped(self) -> Interval:
        """The same with all bounds brought within 2**40, so that sums of sums stay far inside int64."""
        return Interval(np.maximum(self.low, -BEYOND), np.minimum(self.high, BEYOND), np.minimum(self.magnitude, BEYOND))

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest over all channels."""
        return int(self.low.min()), int(self.high.max())


def intervals(net: Network) -> dict[str, Interval]:
    """Bounds of what every node puts out, `input` included; those beyond 2**40 are given as 2**40."""
    known = {INPUT: _between(0, net.input.highest, net.input.shape[0])}
    for name, neuron in net.neurons.items():
        count = EVENT_COUNT_MAX if neuron.arithmetic.update == "event" else 1
        known[name] = _between(0, count, neuron.threshold.size)

    for name in net.flow:
        if name not in known:
            known[name] = _through(net, name, arriving(net, name, known)).clipped()
    return known


def accumulators(net: Network) -> dict[str, int]:
    """The nodes whose sums can leave int32, and what they reach; neuron layers where several edges are added."""
    known = intervals(net)
    reached = {name: known[name] for name in net.order if name not in net.neurons}
    reached |= {name: arriving(net, name, known) for name in net.neurons if len(net.sources(name)) > 1}
    return {name: worst for name, sums in reached.items() if (worst := int(sums.magnitude.max())) > INT32_MAX}


def _between(low: int, high: int, channels: int) -> Interval:
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64), np.full(channels, high, np.int64))


def arriving(net: Network, name: str, nodes: Mapping[str, Interval]) -> Interval:
    """Bounds of the sum over the edges into a node, from those of all nodes."""
    first, *rest = (nodes[source] for source in net.sources(name))
    for other in rest:
        first = first + other
    return first


def _through(net: Network, name: str, x: Interval) -> Interval:
    node = net.nodes[name]
    if isinstance(node, SumPool2d):
        area = node.kernel[0] * node.kernel[1]
        return Interval(x.low * area, x.high * area, x.magnitude * area)
    if isinstance(node, Flatten):
        shape = net.shapes[net.sources(name)[0]]
        each = int(np.prod(shape[1:]))
        return Interval(np.repeat(x.low, each), np.repeat(x.high, each), np.repeat(x.magnitude, each))
    if isinstance(node, Delay):
        return x
    assert isinstance(node, (Conv2d, Linear)), node
    groups = node.groups if isinstance(node, Conv2d) else 1
    weight = node.weight.astype(np.int64).reshape(*node.weight.shape[:2], -1)
    plus, minus = np.maximum(weight, 0).sum(axis=2), np.maximum(-weight, 0).sum(axis=2)
    out, fan_in = weight.shape[0] // groups, weight.shape[1]
    low, high, magnitude = [], [], []
    for group in range(groups):
        rows, columns = slice(group * out, (group + 1) * out), slice(group * fan_in, (group + 1) * fan_in)
        p, m = plus[rows], minus[rows]
        low.append(p @ x.low[columns] - m @ x.high[columns])
        high.append(p @ x.high[columns] - m @ x.low[columns])
        magnitude.append((p + m) @ x.magnitude[columns])
    return Interval(np.concatenate(low), np.concatenate(high), np.concatenate(magnitude))
