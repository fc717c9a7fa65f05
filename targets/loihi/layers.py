"""Chain of layers that netx connects, in place of a network, and why another has no such chain.

Each layer has its weights as the chip adds them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.nodes import Conv2d, Pair, Shape, SumPool2d
from lehr.paths import Arrival, arrivals, synapses
from lehr.targets.arithmetics import Problem
from lehr.targets.kernels import pooled, undilated


@dataclass(frozen=True)
class Window:
    """Window of a kernel that moves over maps: rows, then columns."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of neurons and all synapses to it, in the network's own units.

    Attributes:
        name: of the neurons.
        taken: shape of what comes to it; a vector where it is dense.
        shape: of the neurons; a vector where it is dense.
        weight: `[out, in]`, or `[out, in / groups, rows, columns]` of a convolution.
        window: of a convolution; None where the layer is dense.
        own: what its own spikes add a step later, `[out, in]`; None where it does not hear itself.
    """

    name: str
    taken: Shape
    shape: Shape
    weight: Int64
    window: Window | None = None
    own: Int64 | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def synapses(self) -> int:
        """Number of synapses from the layer before.

        They are weights other than 0, at every place that they come to lie on.
        """
        if self.window is None:
            return int(np.count_nonzero(self.weight))
        each = (self.weight != 0).sum((0, 1))
        rows, columns = (_places(self, axis) for axis in (0, 1))
        return int(rows @ each @ columns)

    @property
    def own_synapses(self) -> int:
        """Number of synapses from the layer to itself."""
        return 0 if self.own is None else int(np.count_nonzero(self.own))

    @property
    def sums(self) -> tuple[int, int]:
        """The least and the greatest that spikes of one step can add to a neuron."""
        flat = self.weight.reshape(len(self.weight), -1)
        parts = [flat] if self.own is None else [flat, self.own]
        low = sum(np.minimum(part, 0).sum(1) for part in parts)
        high = sum(np.maximum(part, 0).sum(1) for part in parts)
        return int(np.min(low)), int(np.max(high))


def _places(layer: Layer, axis: int) -> Int64:
    """Return in how many places each row, or column, of a kernel lies on a map, not its padding."""
    assert layer.window is not None
    window, size, here = layer.window, layer.taken[1 + axis], np.arange(layer.shape[1 + axis])
    taps = (
        np.arange(layer.weight.shape[2 + axis])[:, None] * window.dilation[axis]
        - window.padding[axis]
    )
    at = taps + here * window.stride[axis]
    return np.asarray(((at >= 0) & (at < size)).sum(1), np.int64)


def chain(net: Network) -> tuple[Layer, ...] | tuple[Problem, ...]:
    """Return the layers in order; or every layer that does not stand in a chain."""
    layers, problems, before = list[Layer](), list[Problem](), INPUT
    for name in net.neurons:
        problems += _unchained(net, name, before)
        if not problems:
            layers.append(_layer(net, name, layers[-1] if layers else None))
        before = name
    if not problems and net.output != before:
        problems = [
            Problem(
                before,
                f"it stands behind {net.output}, which is read out; netx gives out its last layer",
                "leave it out",
            )
        ]
    return tuple(problems) or tuple(layers)


def _unchained(net: Network, name: str, before: str) -> list[Problem]:
    ways = {(way.source, way.late) for way in arrivals(net, name)}
    if others := sorted({source for source, _ in ways - {(before, False), (name, True)}}):
        reason = (
            f"spikes of {', '.join(others)} come to it, but netx connects a layer to the one "
            f"before it, {before}, and to itself alone"
        )
        return [Problem(name, reason, "leave that edge out")]
    if (before, False) not in ways:
        return [
            Problem(
                name,
                f"no spikes of {before} come to it, which netx connects to it",
                "put the layers one behind the other",
            )
        ]
    return []


def _layer(net: Network, name: str, before: Layer | None) -> Layer:
    (way,) = (way for way in arrivals(net, name) if way.source != name)
    heard = any(other.source == name for other in arrivals(net, name))
    maps = net.shapes[way.source] if before is None else before.shape
    if not heard and len(maps) == 3 and (kernel := _kernel(net, way)):
        return Layer(name, maps, net.shapes[name], *kernel)
    matrices = {source: matrix.T for source, _, matrix in synapses(net, name)}
    weight = matrices[way.source]
    return Layer(name, weight.shape[1:], weight.shape[:1], weight, own=matrices.get(name))


def _kernel(net: Network, way: Arrival) -> tuple[Int64, Window] | None:
    """Return the one convolution that all nodes on the way are together, or None."""
    if len(way.paths) != 1:
        return None
    nodes = [net.nodes[name] for name in way.paths[0]]
    if not nodes or not isinstance(conv := nodes[0], Conv2d) or len(nodes) > 2:
        return None
    if len(nodes) == 1:
        return conv.weight.astype(np.int64), Window(
            conv.stride, conv.padding, conv.dilation, conv.groups
        )
    pool = nodes[1]
    if not isinstance(pool, SumPool2d) or any(pool.padding):
        return None
    stride = (conv.stride[0] * pool.stride[0], conv.stride[1] * pool.stride[1])
    return pooled(undilated(conv), pool.kernel, conv.stride), Window(
        stride, conv.padding, (1, 1), conv.groups
    )
