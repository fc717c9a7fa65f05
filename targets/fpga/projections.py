"""Projections in place of edges: what an event of a source does to a neuron layer, axis by axis.

A path from spikes to neurons passes pools, flattens, delays and at most one node of weights, or
Linears, which are multiplied to one. Rows and columns are independent along all of them: an event
at row y reaches pairs (row of the kernel, row of the layer), and the same of columns. Both lists
are made here, so that stride, padding, dilation and pools, overlapping ones too, are tables to the
hardware and not circuits. Delays commute with weights and pools, since all of these are linear and
keep no bias: a path holds back spikes by the sum of its delays. Where these differ from value to
value, there is a path for each number of steps, on which the weights of all other values are 0. The
factors of a Scale are multiplied into the weights before or behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node, Scale, Shape
from lehr.tables import Table
from lehr.targets.fpga.unmapped import Unmapped
from lehr.weights import LARGEST

Taps = tuple[tuple[int, int], ...]
Path = tuple[str, ...]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
Axis = list[list[tuple[int, int]]]


@dataclass(frozen=True)
class Projection:
    """Weights between a source of events and a neuron layer.

    Attributes:
        source: `input` or a neuron layer.
        target: a neuron layer.
        lag: how many steps ago the events left the source.
        path: the nodes between them, delays by one number left out.
        weight: int8 `[out channels, in channels / groups, kernel rows, kernel columns]`.
        groups: as those of a convolution.
        rows, columns: for each row (column) of the source the pairs of a kernel row and a row of
            the layer that it reaches.
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
    """Return a shape as channels, rows and columns; features are channels of one pixel."""
    return shape[0], math.prod(shape[1:-1]), shape[-1] if len(shape) > 1 else 1


@dataclass(frozen=True)
class Way:
    """A way on which spikes come to a layer.

    Attributes:
        source: `input` or a neuron layer.
        lag: the sum of the delays on it.
        path: the nodes between, delays left out whose values are all held back alike.
        steps: of the other delays, how long the values that go this way are held back.
    """

    source: str
    lag: int
    path: Path
    steps: Mapping[str, int] = field(default_factory=dict)


def paths(net: Network, name: str) -> Iterator[Way]:
    """Yield every way on which spikes come to layer `name`."""

    def walk(node: str, way: Way) -> Iterator[Way]:
        for source in net.sources(node):
            late = way.lag + ((source, node) in net.feedback)
            here = None if source == INPUT else net.nodes[source]
            if here is None or isinstance(here, Neuron):
                yield Way(source, late, way.path, way.steps)
            elif not isinstance(here, Delay):
                yield from walk(source, Way(source, late, (source, *way.path), way.steps))
            elif isinstance(here.steps, int):
                yield from walk(source, Way(source, late + here.steps, way.path, way.steps))
            else:
                for steps in map(int, np.unique(here.steps)):
                    yield from walk(
                        source,
                        Way(
                            source, late + steps, (source, *way.path), {**way.steps, source: steps}
                        ),
                    )

    yield from walk(name, Way(name, 0, ()))


def projections(net: Network, name: str) -> list[Projection]:
    """Return all projections into layer `name`.

    Each has a convolution, Linears, or no weights on its path.

    Raises:
        Unmapped: when a way goes through what the engine cannot spread.
    """
    return [projection(net, way, name) for way in paths(net, name)]


@dataclass
class _Spread:
    """Effect of an event of a source behind some of the nodes of a way.

    Attributes:
        way: all of it.
        shape: channels, rows and columns behind them; before a Flatten where one changes nothing
            but the shape.
        weight, groups, axes: as those of a projection, integers that may be large.
        gain: of each value; 0 of those that do not go this way, or are not held back as long as it
            says.
        weights: the nodes with weights so far.
        uneven: the node by which gains differ within a channel, and what it has that does, where
            one made them so.
        factors: the nodes whose numbers are multiplied into weights of others.
        flat: the Flatten behind which all values are channels, if there is one.
    """

    net: Network
    way: Way
    shape: tuple[int, int, int]
    weight: Int64
    groups: int
    axes: list[Axis]
    gain: Int64
    weights: tuple[str, ...] = ()
    flat: str = ""
    uneven: tuple[str, str] = ("", "")
    factors: tuple[str, ...] = ()

    def by_channel(self, behind: str) -> Int64:
        """Return the gain of whole channels."""
        rows = self.gain.reshape(len(self.gain), -1)
        if not (rows == rows[:, :1]).all():
            node, numbers = self.uneven
            reason = (
                f"its {numbers} differ within a channel, and {behind} spreads all values of a "
                "channel alike"
            )
            raise Unmapped(
                reason, f"give its {numbers} by channel, or connect it to a dense layer", node
            )
        return np.asarray(rows[:, 0])

    def times(self, name: str, numbers: str, factor: Int64) -> None:
        """Multiply the gains by the factors of a node.

        Where these differ, the node has different `numbers`.
        """
        factor = factor.reshape(self.shape)
        rows = factor.reshape(len(factor), -1)
        if not (rows == rows[:, :1]).all():
            self.uneven = (name, numbers)
        self.gain = self.gain * factor

    def alone(self, name: str) -> None:
        """Refuse weights behind other weights."""
        if self.weights:
            reason = (
                f"its weights follow those of {self.weights[0]} without a neuron between, the "
                "engine spreads spikes, not sums"
            )
            raise Unmapped(reason, "put neurons between them", name)


NODES: Table[Callable[..., None]] = Table("the fpga target")


@NODES.rule(Flatten)
def _flatten(spread: _Spread, name: str, node: Flatten) -> None:
    del node
    spread.flat = spread.flat or name


@NODES.rule(Delay)
def _delay(spread: _Spread, name: str, node: Delay) -> None:
    mine = node.spread(spread.net.shapes[name]) == spread.way.steps[name]
    spread.times(name, "steps", mine.astype(np.int64))


@NODES.rule(Scale)
def _scale(spread: _Spread, name: str, node: Scale) -> None:
    spread.times(name, "factors", node.spread(spread.net.shapes[name]))
    spread.factors = (*spread.factors, name)


@NODES.rule(Linear)
def _linear(spread: _Spread, name: str, node: Linear) -> None:
    """Multiply Linears that stand one behind the other into one."""
    matrix = node.weight.astype(np.int64)
    if any(not isinstance(spread.net.nodes[before], Linear) for before in spread.weights):
        spread.alone(name)
    if spread.weights:
        before = spread.weight * spread.gain.reshape(-1, 1, 1, 1)
        spread.weight = (matrix @ before.reshape(len(before), -1)).reshape(-1, *before.shape[1:])
    else:
        spread.weight, spread.groups = matrix.reshape(-1, *spread.shape) * spread.gain, 1
        spread.axes = [[[(at, 0) for _, at in taps] for taps in axis] for axis in spread.axes]
    spread.weights, spread.flat = (*spread.weights, name), ""
    spread.shape = volume(spread.net.shapes[name])
    spread.gain = np.ones(spread.shape, np.int64)


@NODES.rule(Conv2d)
def _conv(spread: _Spread, name: str, node: Conv2d) -> None:
    spread.alone(name)
    heard = spread.by_channel(name).reshape(node.groups, 1, -1, 1, 1)
    grouped = node.weight.astype(np.int64).reshape(node.groups, -1, *node.weight.shape[1:])
    spread.weight, spread.groups = (grouped * heard).reshape(node.weight.shape), node.groups
    spread.shape, spread.weights = volume(spread.net.shapes[name]), (name,)
    axes = zip(
        node.weight.shape[2:],
        node.stride,
        node.padding,
        node.dilation,
        spread.shape[1:],
        strict=True,
    )
    spread.axes = [
        _windows(axis, *one, inside=True) for axis, one in zip(spread.axes, axes, strict=True)
    ]
    spread.gain = np.ones(spread.shape, np.int64)


@NODES.rule(SumPool2d)
def _pool(spread: _Spread, name: str, node: SumPool2d) -> None:
    heard = spread.by_channel(name)
    spread.shape = volume(spread.net.shapes[name])
    axes = zip(node.kernel, node.stride, node.padding, (1, 1), spread.shape[1:], strict=True)
    spread.axes = [
        _windows(axis, *one, inside=False) for axis, one in zip(spread.axes, axes, strict=True)
    ]
    spread.gain = np.broadcast_to(heard.reshape(-1, 1, 1), spread.shape)


def projection(net: Network, way: Way, target: str) -> Projection:
    """Return what the events that go a way do to layer `target`."""
    shape = volume(net.shapes[way.source])
    axes: list[Axis] = [[[(0, at)] for at in range(size)] for size in shape[1:]]
    one = np.ones((shape[0], 1, 1, 1), np.int64)
    spread = _Spread(net, way, shape, one, shape[0], axes, np.ones(shape, np.int64))
    for name in way.path:
        node: Node = net.nodes[name]
        NODES[type(node)](spread, name, node)
    if spread.weights and spread.flat:
        raise Unmapped(
            f"it flattens the sums of {spread.weights[0]} before they meet a neuron",
            "flatten after the neurons",
            spread.flat,
        )
    # feature maps become features, each value a neuron of its own
    if spread.flat and volume(net.shapes[target]) != spread.shape:
        features = np.eye(math.prod(spread.shape), dtype=np.int64).reshape(-1, *spread.shape)
        spread.weight, spread.groups = features * spread.gain, 1
        spread.axes = [[[(at, 0) for _, at in taps] for taps in axis] for axis in spread.axes]
    else:
        spread.weight = spread.weight * spread.by_channel(target).reshape(-1, 1, 1, 1)
    if (most := int(np.abs(spread.weight).max())) > LARGEST["int8"]:
        raise _too_large(spread, most)
    rows, columns = (tuple(tuple(taps) for taps in axis) for axis in spread.axes)
    return Projection(
        way.source,
        target,
        way.lag,
        way.path,
        spread.weight.astype(np.int8),
        spread.groups,
        rows,
        columns,
    )


def _too_large(spread: _Spread, most: int) -> Unmapped:
    """Return the refusal of products that the engine cannot hold, at the node that multiplies.

    They are products of weights, or of factors.
    """
    last = spread.weights[-1] if spread.weights else spread.factors[-1]
    others = [
        name for name in spread.way.path if name in {*spread.factors, *spread.weights} - {last}
    ]
    limit, smaller = LARGEST["int8"], "" if spread.weights[1:] else "use smaller factors, or "
    reason = (
        f"multiplied with {', '.join(others)}, its {'weights' if spread.weights else 'factors'} "
        f"reach {most}, the engine's {limit}"
    )
    return Unmapped(reason, f"{smaller}put neurons between them", last)


def _windows(
    axis: Axis, kernel: int, stride: int, padding: int, dilation: int, size: int, *, inside: bool
) -> Axis:
    """Return the taps after a convolution or a pooling along one axis.

    After a convolution (`inside`) a tap names the kernel element.
    """
    result: Axis = []
    for taps in axis:
        here: list[tuple[int, int]] = []
        for element, at in taps:
            for k in range(kernel):
                place, rest = divmod(at + padding - k * dilation, stride)
                if rest == 0 and 0 <= place < size:
                    here.append((k if inside else element, place))
        result.append(here)
    return result
