"""Layers of cores in place of a network, fed by the input or by other layers through sum pooling.

Each has a kernel and neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lehr.network import INPUT, Network
from lehr.nodes import Node, SumPool2d
from lehr.paths import arrivals
from lehr.targets.arithmetics import Problem
from lehr.targets.dynapcnn.cores import KERNELS, Need, placed, table
from lehr.targets.dynapcnn.kernels import Kernel, Map, Unmapped, as_map, composed, entries
from lehr.targets.dynapcnn.updates import Update, update_of

STRIDES, POOLINGS, PADDING = (1, 2, 4, 8), (1, 2, 4), 7
SIDE, FEATURES, SIDE_IN, SIDE_OUT = 16, 1024, 128, 64
"""Source of all: SynSense, samna's pages of Speck 2b; its validators refuse the rest."""
DESTINATIONS = 2


@dataclass(frozen=True, eq=False)
class Layer:
    """Layer that one core computes.

    Attributes:
        sources: layers, or `input`, each with the side of the squares of places that are summed on
            the way, 1 for none.
        taken: the map that comes in.
        kernel: of it.
        shape: the map of its neurons.
        update: of them.
    """

    sources: Mapping[str, int]
    taken: Map
    kernel: Kernel
    shape: Map
    update: Update

    @property
    def need(self) -> Need:
        """Memory that it takes."""
        return Need(*entries(self.kernel, self.taken))


def layers(net: Network) -> dict[str, Layer] | tuple[Problem, ...]:
    """Return the layers of a network, or every reason why it has none."""
    chain: dict[str, Layer] = {}
    problems: list[Problem] = []
    for name in net.neurons:
        layer = _layer(net, name)
        if isinstance(layer, Problem):
            problems.append(layer)
        else:
            chain[name] = layer
    problems += [p for name, layer in chain.items() for p in _sizes(name, layer)]
    for name in (INPUT, *net.neurons):
        heard = [other for other, layer in chain.items() if name in layer.sources]
        if len(heard) > DESTINATIONS and name != INPUT:
            reason = f"it sends to {', '.join(heard)}, a core sends to {DESTINATIONS}"
            problems.append(Problem(name, reason, "let fewer layers hear it"))
    return tuple(problems) or chain


def _layer(net: Network, name: str) -> Layer | Problem:
    update = update_of(name, net.neurons[name])
    if isinstance(update, Problem):
        return update
    ways: dict[str, tuple[tuple[str, Node], ...]] = {}
    for arrival in arrivals(net, name):
        if arrival.late:
            return Problem(
                name,
                f"it hears {arrival.source} a step late, the machine knows no steps",
                "use no feedback",
            )
        if len(arrival.paths) > 1:
            return Problem(
                name,
                f"{arrival.source} reaches it on {len(arrival.paths)} ways, a core has one kernel",
                "use one way",
            )
        ways[arrival.source] = tuple((step, net.nodes[step]) for step in arrival.paths[0])
    pools = {source: _pooling(net, source, way) for source, way in ways.items()}
    rest = {source: way[1:] if pools[source] > 1 else way for source, way in ways.items()}
    shapes = {
        net.shapes[way[0][0]] if pools[source] > 1 else net.shapes[source]
        for source, way in ways.items()
    }
    if len({tuple(step for step, _ in way) for way in rest.values()}) > 1 or len(shapes) > 1:
        return Problem(
            name,
            f"{', '.join(ways)} reach it through weights of their own, a core has one kernel",
            "join them before the weights",
        )
    (shape,), way = shapes, next(iter(rest.values()))
    try:
        kernel = composed(way, shape).squared(as_map(shape))
    except Unmapped as error:
        return Problem(*error.args)
    if kernel is None:
        return Problem(
            way[-1][0],
            "its kernel is not square, and cannot be made so at the same places",
            "use a square kernel",
        )
    return Layer(pools, as_map(shape), kernel, as_map(net.shapes[name]), update)


def _pooling(net: Network, source: str, way: tuple[tuple[str, Node], ...]) -> int:
    """Return the side of the squares that a layer's destination sums.

    It is 1 where the kernel does it: the input has no destination.
    """
    if source == INPUT or not way or not isinstance(pool := way[0][1], SumPool2d):
        return 1
    side = pool.kernel[0]
    plain = (
        pool.kernel == pool.stride == (side, side) and pool.padding == (0, 0) and side in POOLINGS
    )
    return side if plain and not any(n % side for n in net.shapes[source][1:]) else 1


def _sizes(name: str, layer: Layer) -> list[Problem]:
    """Return what of a layer no core holds, whatever its memories."""
    kernel, problems = layer.kernel, list[Problem]()

    def at_most(what: str, value: int, most: int, hint: str) -> None:
        if value > most:
            problems.append(Problem(name, f"{what} {value:,}, a core has {most:,}", hint))

    at_most(
        "the side of its kernel, pooling before it included, is",
        kernel.weight.shape[2],
        SIDE,
        "use a smaller kernel or less pooling",
    )
    at_most("its features are", layer.shape[0], FEATURES, "use fewer channels")
    at_most("the features it takes are", layer.taken[0], FEATURES, "use fewer channels")
    at_most(
        "the side of its map is",
        max(layer.shape[1:]),
        SIDE_OUT,
        "use a larger stride, or a smaller input",
    )
    at_most("the side of the map it takes is", max(layer.taken[1:]), SIDE_IN, "use a smaller input")
    at_most("its padding is", max(kernel.padding), PADDING, "use less padding")
    at_most(
        "its greatest weight is",
        int(kernel.weight.max()),
        127,
        "use smaller weights or less pooling",
    )
    at_most(
        "its least weight is minus",
        -int(kernel.weight.min()),
        128,
        "use smaller weights or less pooling",
    )
    for stride in sorted(set(kernel.stride) - set(STRIDES)):
        problems.append(
            Problem(
                name,
                f"its stride, pooling included, is {stride}, a core has 1, 2, 4 or 8",
                "use another stride",
            )
        )
    if np.abs(layer.update.bias).max() > 1 << 15:
        problems.append(Problem(name, "its biases need more than 16 bits", "use smaller ones"))
    return problems


def cores(by_name: Mapping[str, Layer], output: str) -> dict[str, int] | Problem:
    """Return the core of each layer; or what the layers need, where the cores lack it."""
    needs = {name: layer.need for name, layer in by_name.items()}
    at = placed(needs) if len(needs) <= len(KERNELS) else None
    if at is None:
        reason = (
            f"the {len(needs)} layers of the network find no place on {len(KERNELS)} cores "
            f"({table(needs)})"
        )
        return Problem(output, reason, "use fewer layers, fewer channels, or more pooling")
    return at
