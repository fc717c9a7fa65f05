"""Flows along edges, by the type of the node that an edge leads to.

The types are those that this engine computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lehr.network import Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d
from lehr.nodes import MaxPool2d, Node, Scale, Upsample2d
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.plans.buffers import Buffer, order_of
from lehr.simulate.fast.plans.edges import convolution, linear
from lehr.simulate.fast.plans.flows import Copy, Edge, Maxima, Repeat, Scatter
from lehr.simulate.fast.plans.windows import pooling, window_of
from lehr.tables import Table


@dataclass(frozen=True)
class Passage:
    """An edge of the network, as it is computed.

    Attributes:
        source: what flows.
        into: where it is added.
        lag: how many steps late it is.
        flat: whether elements count in the order of a Flatten.
        conv: the convolution that a pooling is computed with.
    """

    source: Buffer
    into: Buffer
    lag: int
    flat: bool
    conv: Conv2d | None = None


EDGES: Table[Callable[..., Edge]] = Table("the fast engine", "use the engine 'reference'")


def edge(node: Node, passage: Passage) -> Edge:
    """Return the operation for an edge that leads to `node`.

    Raises:
        NotMappable: when it is of a type that has no rule.
    """
    return EDGES[type(node)](node, passage)


@EDGES.rule(Linear)
def _linear(node: Linear, p: Passage) -> Edge:
    return linear(node, p.source, p.into, p.lag)


@EDGES.rule(Conv2d)
def _conv2d(node: Conv2d, p: Passage) -> Edge:
    return convolution(window_of(node), p.source, p.into, p.lag)


@EDGES.rule(SumPool2d)
def _sum_pool2d(node: SumPool2d, p: Passage) -> Edge:
    window = pooling(node, p.source.shape[0]) if p.conv is None else window_of(p.conv, node)
    return convolution(window, p.source, p.into, p.lag)


@EDGES.rule(MaxPool2d)
def _max_pool2d(node: MaxPool2d, p: Passage) -> Edge:
    height, width = p.source.shape[1:]
    rows, columns = (
        list(node.taps(axis, size, p.into.shape[1 + axis]))
        for axis, size in enumerate((height, width))
    )
    windows = [[y * width + x for y in high for x in across] for high in rows for across in columns]
    ends = np.cumsum([len(window) for window in windows], dtype=np.int32)
    return Maxima(p.source, p.into, p.lag, ends, np.concatenate(windows).astype(np.int32))


@EDGES.rule(Upsample2d)
def _upsample2d(node: Upsample2d, p: Passage) -> Edge:
    """Return bits in several places, or a convolution of one pixel that reaches a block of them."""
    (high, wide), (channels, height, width) = node.scale, p.source.shape
    if p.into.bits:
        blocks = np.arange(p.into.size, dtype=np.int32).reshape(height, high, width, wide, channels)
        return Repeat(p.source, p.into, p.lag, blocks.transpose(0, 2, 4, 1, 3).reshape(-1))
    places = np.zeros((height, width, channels, 8), np.int32)
    places[..., 2] = np.arange(channels)
    for axis, (at, size) in enumerate(zip(np.indices((height, width)), node.scale, strict=True)):
        first = at[..., None] * size
        places[..., 4 + 2 * axis], places[..., 5 + 2 * axis] = first, first + size
    shape = layout.Reached(channels, width * wide, 1, 1, 0, 0, 1, 1, each=1, per=1)
    ones = np.ones(channels, np.int8)
    return Scatter(p.source, p.into, p.lag, ones, places.reshape(-1), shape)


@EDGES.rule(Scale)
def _scale(node: Scale, p: Passage) -> Edge:
    """Return a convolution of one pixel, in which each value is a group of its own."""
    size, order = p.into.size, order_of(p.into.shape)
    places = np.tile(np.array((0, 0, 0, 0, 0, 1, 0, 1), np.int32), (size, 1))
    places[:, 2] = order_of(p.source.shape) if p.flat else np.arange(size)
    factors = node.spread(p.into.shape).reshape(-1)[order].astype(np.int8)
    shape = layout.Reached(size, 1, 1, 1, 1, 1, 1, 1, each=1, per=1)
    return Scatter(p.source, p.into, p.lag, factors, places.reshape(-1), shape)


@EDGES.rule(Flatten)
def _flatten(node: Flatten, p: Passage) -> Edge:
    del node
    return _copy(p, flat=True)


@EDGES.rule(Delay, Neuron)
def _unchanged(node: Delay | Neuron, p: Passage) -> Edge:
    del node
    return as_it_is(p)


def as_it_is(passage: Passage) -> Edge:
    """Return the operation for values that are added to others, and nothing more."""
    return _copy(passage, passage.flat)


def _copy(p: Passage, flat: bool) -> Edge:
    if p.into.bits:
        return Repeat(p.source, p.into, p.lag, order_of(p.source.shape))
    ordered = flat and len(p.source.shape) > 1
    return Copy(
        p.source, p.into, p.lag, order_of(p.source.shape) if ordered else np.zeros(0, np.int32)
    )
