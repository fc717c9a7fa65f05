"""From edges to projections: what an event of one source does to one neuron layer, axis by axis.

A path from spikes to neurons passes pools, flattens, delays and at most one node of weights, or Linears, which are multiplied to one.
Rows and columns are independent along all of them: an event at row y reaches pairs (row of the kernel, row of the layer), and the
same of columns. Both lists are made here, so that stride, padding, dilation and pools, overlapping ones too, are tables to the
hardware and not circuits. Delays commute with weights and pools, since all of these are linear and keep no bias: a path holds back
spikes by the sum of its delays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Shape

Taps = tuple[tuple[int, int], ...]
Path = tuple[str, ...]
Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Projection:
    """Weights between a source of events and a neuron layer.

    Attributes:
        source: `input` or a neuron layer.
        target: a neuron layer.
        lag: how many steps ago the events left the source.
        path: the nodes between them, delays left out.
        weight: int8 `[out channels, in channels / groups, kernel rows, kernel columns]`.
        groups: as those of a convolution.
        rows, columns: for each row (column) of the source the pairs of a kernel row and a row of the layer that it reaches.
    """

    source: str
    target: str
    lag: int
    path: Path
    weight: Int8
    groups: int
    rows: tuple[Taps, ...]
    columns: tuple[Taps, ...]


def volume(shape: Shape) -> tuple[int, int, int]:
    """A shape as channels, rows and columns; features are channels of one pixel."""
    return shape[0], math.prod(shape[1:-1]), shape[-1] if len(shape) > 1 else 1


def paths(net: Network, name: str) -> Iterator[tuple[str, int, Path]]:
    """(source, lag, nodes between) of every way on which spikes come to layer `name`."""

    def walk(node: str, lag: int, path: Path) -> Iterator[tuple[str, int, Path]]:
        for source in net.sources(node):
            late = lag + ((source, node) in net.feedback)
            here = None if source == INPUT else net.nodes[source]
            if here is None or isinstance(here, Neuron):
                yield source, late, path
            elif isinstance(here, Delay):
                yield from walk(source, late + here.alike, path)
            else:
                yield from walk(source, late, (source, *path))

    yield from walk(name, 0, ())


def weighted(net: Network, path: Path) -> list[str]:
    """The nodes with weights on a path."""
    return [name for name in path if isinstance(net.nodes[name], (Conv2d, Linear))]


def product(net: Network, names: list[str]) -> npt.NDArray[np.int64]:
    """The matrix `[last's out features, first's in features]` of Linears one behind the other."""
    first, *others = (net.weighted[name].weight.astype(np.int64) for name in names)
    whole: npt.NDArray[np.int64] = first
    for weight in others:
        whole = weight @ whole
    return whole


def projections(net: Network, name: str) -> list[Projection]:
    """All projections into layer `name`, each with a convolution, Linears, or no weights on its path."""
    return [_projection(net, source, name, lag, path) for source, lag, path in paths(net, name)]


def _projection(net: Network, source: str, target: str, lag: int, path: Path) -> Projection:
    shape = volume(net.shapes[source])
    axes: list[list[list[tuple[int, int]]]] = [[[(0, at)] for at in range(size)] for size in shape[1:]]
    weight: Int8 = np.ones((shape[0], 1, 1, 1), np.int8)
    groups, flattened = shape[0], False
    for name in path:
        node = net.nodes[name]
        if isinstance(node, Flatten):
            flattened = True
            continue
        after = volume(net.shapes[name])
        if isinstance(node, Linear):
            through, flattened = weighted(net, path), False
            if name == through[0]:  # the product of all that follow, too
                weight, groups = product(net, through).astype(np.int8).reshape(-1, *shape), 1
                axes = [[[(at, 0) for _, at in taps] for taps in axis] for axis in axes]
        elif isinstance(node, Conv2d):
            weight, groups = node.weight, node.groups
            how = zip(node.weight.shape[2:], node.stride, node.padding, node.dilation, after[1:], strict=True)
            axes = [_windows(axis, *one, inside=True) for axis, one in zip(axes, how, strict=True)]
        else:
            assert isinstance(node, SumPool2d), node
            how = zip(node.kernel, node.stride, node.padding, (1, 1), after[1:], strict=True)
            axes = [_windows(axis, *one, inside=False) for axis, one in zip(axes, how, strict=True)]
        shape = after
    if flattened and volume(net.shapes[target]) != shape:  # feature maps become features, each value a neuron of its own
        features = int(np.prod(shape))
        weight, groups = _spread(weight, groups, shape), 1
        axes = [[[(at, 0) for _, at in taps] for taps in axis] for axis in axes]
        assert weight.shape[0] == features
    rows, columns = (tuple(tuple(taps) for taps in axis) for axis in axes)
    return Projection(source, target, lag, path, weight, groups, rows, columns)


def _windows(
    axis: list[list[tuple[int, int]]], kernel: int, stride: int, padding: int, dilation: int, size: int, *, inside: bool
) -> list[list[tuple[int, int]]]:
    """Taps after a convolution (`inside`: it names the kernel element) or a pooling along one axis."""
    found: list[list[tuple[int, int]]] = []
    for taps in axis:
        here: list[tuple[int, int]] = []
        for element, at in taps:
            for k in range(kernel):
                place, rest = divmod(at + padding - k * dilation, stride)
                if rest == 0 and 0 <= place < size:
                    here.append((k if inside else element, place))
        found.append(here)
    return found


def _spread(weight: Int8, groups: int, shape: tuple[int, int, int]) -> Int8:
    """Weights of a path that ends in a Flatten: those from a value of the last feature map to the neuron of that value."""
    assert weight.shape[1:] == (1, 1, 1), "a convolution may not be followed by a Flatten"
    assert groups == shape[0]
    return np.eye(int(np.prod(shape)), dtype=np.int8).reshape(-1, *shape)
