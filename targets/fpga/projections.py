"""Projections in place of edges: what an event of a source does to a neuron layer, axis by axis.

A path from spikes to neurons passes pools, flattens, delays and at most one node of weights, or
Linears, which are multiplied to one. Rows and columns are independent along all of them: an event
at row y reaches pairs (row of the kernel, row of the layer), and the same of columns. Both lists
are made here, so that stride, padding, dilation and pools, overlapping ones too, are tables to the
hardware and not circuits. Delays commute with weights and pools, since all of these are linear and
keep no bias: a path holds back spikes by the sum of its delays. Where these differ from value to
value, there is a path for each number of steps, on which the weights of all other values are 0. The
factors of a Scale are multiplied into the weights before or behind it. Behind an Upsample2d an
event is at every place of its block. Through a MaxPool2d there is a path for each place of its
windows: what comes on those of one place is added up, and the greatest of these sums is one term of
what the neurons hear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import MaxPool2d, Node, Pair, Scale, Shape, Upsample2d
from lehr.tables import Table
from lehr.targets.fpga.axes import Axis, in_blocks, in_windows
from lehr.targets.fpga.unmapped import Unmapped
from lehr.weights import LARGEST

Taps = tuple[tuple[int, int], ...]
Path = tuple[str, ...]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
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
        inside: of each row, and of each column, of the layer whether the place of a window through
            which all of this comes is on the map; what lies around it is never the greatest.
        closes: whether all that comes through this place of a window has come with it.
        leaves: whether that was the last place of the window.
    """

    source: str
    target: str
    lag: int
    path: Path
    weight: Int8
    groups: int
    rows: tuple[Taps, ...]
    columns: tuple[Taps, ...]
    inside: tuple[tuple[bool, ...], tuple[bool, ...]]
    closes: bool = False
    leaves: bool = False


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
        windows: of the maxima, through which row and column of their windows it goes.
        term: the way behind the last of the maxima, the same for all places of its windows; None
            without maxima.
    """

    source: str
    lag: int
    path: Path
    steps: Mapping[str, int] = field(default_factory=dict)
    windows: Mapping[str, Pair] = field(default_factory=dict)
    term: tuple[object, ...] | None = None

    def through(self, name: str, node: Node) -> Iterator[Way]:
        """Yield the ways that lead through a node and then go on as this one."""
        here = replace(self, path=(name, *self.path))
        if isinstance(node, Delay) and isinstance(node.steps, int):
            yield replace(self, lag=self.lag + node.steps)
        elif isinstance(node, Delay):
            for steps in map(int, np.unique(node.steps)):
                yield replace(here, lag=self.lag + steps, steps={**self.steps, name: steps})
        elif isinstance(node, MaxPool2d):
            term = self.term or (here.path, self.lag, *self.steps.items())
            for at in product(range(node.kernel[0]), range(node.kernel[1])):
                yield replace(here, windows={**self.windows, name: at}, term=term)
        else:
            yield here


def paths(net: Network, name: str) -> Iterator[Way]:
    """Yield every way on which spikes come to layer `name`."""

    def walk(node: str, way: Way) -> Iterator[Way]:
        for source in net.sources(node):
            late = replace(way, source=source, lag=way.lag + ((source, node) in net.feedback))
            here = None if source == INPUT else net.nodes[source]
            if here is None or isinstance(here, Neuron):
                yield late
            else:
                for through in late.through(source, here):
                    yield from walk(source, through)

    yield from walk(name, Way(name, 0, ()))


def projections(net: Network, name: str) -> list[Projection]:
    """Return all projections into layer `name`.

    Each has a convolution, Linears, or no weights on its path. Those through maxima come first,
    place by place of their windows: what the others bring is added to the greatest.

    Raises:
        Unmapped: when a way goes through what the engine cannot spread.
    """
    terms: dict[object, dict[object, list[Projection]]] = {}
    plain: list[Projection] = []
    for way in paths(net, name):
        made = projection(net, way, name)
        if way.term is None:
            plain.append(made)
        else:
            at = tuple(way.windows.items())
            terms.setdefault(way.term, {}).setdefault(at, []).append(made)
    for places in terms.values():
        for number, together in enumerate(places.values(), 1):
            together[-1] = replace(together[-1], closes=True, leaves=number == len(places))
    return [
        *(one for places in terms.values() for together in places.values() for one in together),
        *plain,
    ]


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
        maxima: the nodes of which it is one place of a window.
        inside: as that of a projection.
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
    maxima: tuple[str, ...] = ()
    inside: tuple[tuple[bool, ...], ...] = ()

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
        self.no_maxima(name, "weighs")

    def no_maxima(self, name: str, does: str) -> None:
        """Refuse what would have to be done to each maximum before others are added to it."""
        if self.maxima:
            reason = (
                f"it {does} the maxima of {self.maxima[-1]}, the engine adds maxima to what "
                "neurons hear, and keeps none"
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
    factors = node.spread(spread.net.shapes[name])
    if (factors < 0).any():
        spread.no_maxima(name, "turns the sign of")
    spread.times(name, "factors", factors)
    spread.factors = (*spread.factors, name)


@NODES.rule(Linear)
def _linear(spread: _Spread, name: str, node: Linear) -> None:
    """Multiply Linears that stand one behind the other into one."""
    matrix = node.weight.astype(np.int64)
    if spread.maxima or not all(
        isinstance(spread.net.nodes[before], Linear) for before in spread.weights
    ):
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
        map(range, node.weight.shape[2:]),
        node.stride,
        node.padding,
        node.dilation,
        spread.shape[1:],
        strict=True,
    )
    spread.axes = [
        in_windows(axis, *one, inside=True) for axis, one in zip(spread.axes, axes, strict=True)
    ]
    spread.gain = np.ones(spread.shape, np.int64)


@NODES.rule(SumPool2d)
def _pool(spread: _Spread, name: str, node: SumPool2d) -> None:
    spread.no_maxima(name, "adds up")
    elements = map(range, node.kernel)
    _windowed(spread, name, zip(elements, node.stride, node.padding, (1, 1), strict=True))


@NODES.rule(Upsample2d)
def _upsample(spread: _Spread, name: str, node: Upsample2d) -> None:
    """Let each place stand in its block."""
    spread.shape = volume(spread.net.shapes[name])
    spread.axes = [in_blocks(*one) for one in zip(spread.axes, node.scale, strict=True)]
    spread.inside = tuple(
        tuple(place for place in held for _ in range(times))
        for held, times in zip(spread.inside, node.scale, strict=bool(spread.inside))
    )
    spread.gain = spread.gain.repeat(node.scale[0], axis=1).repeat(node.scale[1], axis=2)


@NODES.rule(MaxPool2d)
def _maxima(spread: _Spread, name: str, node: MaxPool2d) -> None:
    """Keep what one place of each window gets."""
    if spread.maxima:
        _alone_between(spread.net, spread.maxima[-1], name)
    before = spread.inside or tuple((True,) * size for size in spread.shape[1:])
    elements = spread.way.windows[name]
    windows = list(
        zip([(k,) for k in elements], node.stride, node.padding, node.dilation, strict=True)
    )
    _windowed(spread, name, windows)
    spread.inside = tuple(
        tuple(
            0 <= (at := place * stride + k * step - padding) < len(held) and held[at]
            for place in range(size)
        )
        for held, size, ((k,), stride, padding, step) in zip(
            before, spread.shape[1:], windows, strict=True
        )
    )
    spread.maxima = (*spread.maxima, name)


def _alone_between(net: Network, inner: str, outer: str) -> None:
    """Refuse maxima of maxima to which others are added between."""
    here = outer
    while here != inner:
        sources = net.sources(here)
        if len(sources) > 1:
            others = ", ".join(source for source in sources if source != inner)
            reason = (
                f"it takes maxima of the sums of {inner} and {others}, the engine has one maximum "
                "of a sum of spikes"
            )
            raise Unmapped(reason, "put neurons between them", outer)
        (here,) = sources


def _windowed(
    spread: _Spread, name: str, windows: Iterable[tuple[Iterable[int], int, int, int]]
) -> None:
    """Spread what the places of windows get, channel by channel."""
    heard = spread.by_channel(name)
    spread.shape = volume(spread.net.shapes[name])
    spread.axes = [
        in_windows(axis, *one, size, inside=False)
        for axis, one, size in zip(spread.axes, windows, spread.shape[1:], strict=True)
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
    if spread.flat and not all(map(all, spread.inside)):
        raise Unmapped(
            f"it flattens maxima of {spread.maxima[-1]}, and some windows reach beyond the map",
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
    if not spread.maxima or spread.flat:
        spread.inside = tuple((True,) * size for size in volume(net.shapes[target])[1:])
    if (most := int(np.abs(spread.weight).max())) > LARGEST["int8"]:
        raise _too_large(spread, most)
    rows, columns = (tuple(tuple(taps) for taps in axis) for axis in spread.axes)
    inside_rows, inside_columns = spread.inside
    return Projection(
        way.source,
        target,
        way.lag,
        way.path,
        spread.weight.astype(np.int8),
        spread.groups,
        rows,
        columns,
        (inside_rows, inside_columns),
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
