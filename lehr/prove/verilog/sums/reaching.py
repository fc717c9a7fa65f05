"""What an event of each source does to a layer of neurons, from the definition of the nodes alone.

Events of one source are sent one by one through all nodes up to the layer. What comes of them is
linear but for maxima: of a MaxPool2d each place of its windows is kept, whose sums are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.network import INPUT, Network, Neuron
from lehr.nodes import Delay, MaxPool2d, Node, Shape

MOST_VALUES = 1 << 22
"""Values of a node that are computed at once."""
Late = Mapping[int, Int64]
"""By how many steps ago an event was sent: what it does, int64 `[events, *shape]`."""


class Synapses(NamedTuple):
    """Weights that are not 0: of which event to which neuron, by their flat indices.

    Attributes:
        events, neurons: int64, in order of events, of an event in order of neurons.
        weights: int64.
    """

    events: Int64
    neurons: Int64
    weights: Int64


@dataclass(frozen=True)
class Place:
    """One place of the windows of a maximum: what comes to it, and where it lies on the map."""

    late: Late
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sum:
    """What comes to a node: a sum, and maxima, each of so many places."""

    late: Late = field(default_factory=dict)
    maxima: Sequence[Sequence[Place]] = ()

    def each(self, change: Callable[[Late], Late]) -> Sum:
        """Return what is linear done to all of it."""
        maxima = [[Place(change(p.late), p.inside) for p in places] for places in self.maxima]
        return Sum(change(self.late), maxima)


class Reaching(NamedTuple):
    """What one source does to a layer.

    Attributes:
        sums: by how many steps ago events were sent.
        maxima: of each maximum and each place of its windows the same, and bool `[neurons]`,
            whether the place lies on the map.
    """

    sums: Mapping[int, Synapses]
    maxima: Sequence[Sequence[tuple[Mapping[int, Synapses], npt.NDArray[np.bool_]]]]


def sources_of(net: Network, layer: str) -> tuple[str, ...]:
    """Return the input and the layers from which events come to a layer, each once."""
    seen, pending = dict[str, None](), [layer]
    found = dict[str, None]()
    while pending:
        for source in net.sources(pending.pop()):
            if source == INPUT or isinstance(net.nodes[source], Neuron):
                found[source] = None
            elif source not in seen:
                seen[source] = None
                pending.append(source)
    return tuple(found)


def reaching(net: Network, layer: str, source: str) -> Reaching:
    """Return what the events of a source do to the neurons of a layer.

    Raises:
        NotMappable: for a node of which this is not known, or for maxima that are weighed.
    """
    shape = net.shapes[source]
    size, most = math.prod(shape), max(math.prod(each) for each in net.shapes.values())
    step = max(1, MOST_VALUES // most)
    parts = []
    for first in range(0, size, step):
        pulses = np.zeros((min(step, size - first), size), np.int64)
        pulses[range(len(pulses)), range(first, first + len(pulses))] = 1
        parts.append((first, _arriving(net, layer, source, pulses.reshape(-1, *shape))))
    maxima = [
        [
            (
                _together([(first, part.maxima[number][at].late) for first, part in parts]),
                parts[0][1].maxima[number][at].inside.ravel(),
            )
            for at in range(len(places))
        ]
        for number, places in enumerate(parts[0][1].maxima)
    ]
    return Reaching(_together([(first, part.late) for first, part in parts]), maxima)


def _together(parts: Sequence[tuple[int, Late]]) -> dict[int, Synapses]:
    """Return the weights of all events, of which parts were sent together."""
    found: dict[int, list[tuple[Int64, Int64, Int64]]] = {}
    for first, late in parts:
        for lag, values in late.items():
            flat = values.reshape(len(values), -1)
            events, neurons = np.nonzero(flat)
            kept = (events + first, neurons.astype(np.int64), flat[events, neurons])
            found.setdefault(lag, []).append(kept)
    joined = {
        lag: Synapses(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
        for lag, pieces in found.items()
    }
    return {lag: all_of_it for lag, all_of_it in joined.items() if len(all_of_it.weights)}


def _arriving(net: Network, name: str, source: str, pulses: Int64) -> Sum:
    """Return what comes to a node, over all its edges."""
    late: dict[int, Int64] = {}
    maxima: list[Sequence[Place]] = []
    for before in net.sources(name):
        back = int((before, name) in net.feedback)
        if before == INPUT or isinstance(net.nodes[before], Neuron):
            part = Sum({0: pulses} if before == source else {})
        else:
            part = _behind(net, before, _arriving(net, before, source, pulses))
        part = part.each(partial(_later, back, np.ones(1, np.bool_)))
        for lag, values in part.late.items():
            late[lag] = late[lag] + values if lag in late else values
        maxima += part.maxima
    return Sum(late, maxima)


def _behind(net: Network, name: str, come: Sum) -> Sum:
    """Return what a node makes of what comes to it."""
    node, before = net.nodes[name], net.sources(name)[0]
    if isinstance(node, MaxPool2d):
        return _maxima(net, name, node, come)
    if isinstance(node, Delay):
        return _held_back(node, net.shapes[name], come)
    if not node.additive or (come.maxima and not _keeps_greatest(node, net.shapes[before])):
        raise NotMappable(
            f"{name}: what it makes of maxima is not followed; its sums are not proven"
        )
    done = come.each(lambda late: {lag: node.sums(values) for lag, values in late.items()})
    if not node.copies:
        return done
    return Sum(
        done.late,
        [
            [Place(p.late, node.sums(p.inside[None].astype(np.int64))[0] > 0) for p in places]
            for places in done.maxima
        ],
    )


def _keeps_greatest(node: Node, taken: Shape) -> bool:
    """Return whether what is greatest stays so: values come of one alone, and grow with it."""
    ones = np.ones((1, *taken), np.int64)
    return node.copies or (node.one_to_one and bool((node.sums(ones) >= 0).all()))


def _later(by: int, which: npt.NDArray[np.bool_], late: Late) -> Late:
    """Return some values, held back by so many steps."""
    return {lag + by: values * which for lag, values in late.items()}


def _held_back(node: Delay, shape: tuple[int, ...], come: Sum) -> Sum:
    """Return what comes out of a Delay: maxima of values held back unlike are several."""
    steps = node.spread(shape)
    ways = [come.each(partial(_later, n, steps == n)) for n in map(int, np.unique(steps))]
    late: dict[int, Int64] = {}
    for way in ways:
        for lag, values in way.late.items():
            late[lag] = late[lag] + values if lag in late else values
    return Sum(late, [places for way in ways for places in way.maxima])


def _maxima(net: Network, name: str, node: MaxPool2d, come: Sum) -> Sum:
    """Return each place of a node's windows, the rows of its kernel first."""
    if come.maxima and (len(come.maxima) > 1 or come.late):
        raise NotMappable(f"{name}: it takes maxima of sums of maxima; its sums are not proven")
    shape = net.shapes[net.sources(name)[0]]
    before = come.maxima[0] if come.maxima else [Place(come.late, np.ones(shape, np.bool_))]
    places = []
    for kernel in product(*map(range, node.kernel)):
        (rows, on_row), (columns, on_column) = (
            _at(node, axis, k, shape[1 + axis], net.shapes[name][1 + axis])
            for axis, k in enumerate(kernel)
        )
        on_map = on_row[:, None] & on_column
        for place in before:
            late = {
                lag: values[:, :, rows[:, None], columns] * on_map
                for lag, values in place.late.items()
            }
            places.append(Place(late, place.inside[:, rows[:, None], columns] & on_map))
    return Sum({}, [places])


def _at(
    node: MaxPool2d, axis: int, k: int, size: int, out: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return where a place of each window lies along an axis, and whether that is on the map."""
    at = np.arange(out) * node.stride[axis] + k * node.dilation[axis] - node.padding[axis]
    return np.clip(at, 0, size - 1), (at >= 0) & (at < size)
