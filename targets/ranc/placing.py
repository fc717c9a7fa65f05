"""Layers in cores of 256 axons and 256 neurons, in which each neuron sends to one axon.

A neuron that is heard by several axons, of another type, in another core or after another wait, is
there once for each: copies hear the same and do the same. How many there are is known when those
that hear them are placed, so that layers are placed from the last to the first, and again while
feedback asks for more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.ranc.lines import Heard, heard
from lehr.targets.wiring import sizes

AXONS = NEURONS = 256
"""Of a core."""
CORES = 4096
"""The most that are laid out."""
_ROUNDS = 16

Source = tuple[str, int]
"""A neuron, or an input, by layer and number."""


@dataclass(frozen=True)
class Core:
    """One core.

    Attributes:
        layer: whose neurons it has.
        neurons: which of them, by row; copies are there several times.
        axons: which lines of the layer it hears, by axon.
    """

    layer: str
    neurons: tuple[int, ...]
    axons: tuple[int, ...]


@dataclass(frozen=True)
class Destination:
    """Destination of a neuron's spikes, or of an input.

    Attributes:
        core: its number; that of the output bus is the number of cores.
        axon: of the core, or output of the bus.
        wait: `destination_tick`, ticks beyond the next one; of an input, ticks until it enters.
    """

    core: int
    axon: int
    wait: int


@dataclass(frozen=True)
class Placed:
    """A network in cores.

    Attributes:
        cores: layer by layer in order of evaluation; core n stands at (n, 0), the output bus behind
            them.
        heard: what each layer hears.
        inputs: where each input enters.
        sends: where the rows of each core send.
        outputs: how many outputs the bus has: those of the output layer first, then those of
            neurons that nobody hears.
    """

    cores: tuple[Core, ...]
    heard: Mapping[str, Heard]
    inputs: tuple[tuple[int, Destination], ...]
    sends: tuple[tuple[Destination, ...], ...]
    outputs: int

    @property
    def rows(self) -> dict[Source, tuple[int, int]]:
        """The core and the row of the first copy of each neuron."""
        by_source: dict[Source, tuple[int, int]] = {}
        for number, core in enumerate(self.cores):
            for row, neuron in enumerate(core.neurons):
                by_source.setdefault((core.layer, neuron), (number, row))
        return by_source


def placed(net: Network) -> Placed | tuple[Problem, ...]:
    """Return a network in cores, or why it is not to be had in them."""
    lines = heard(net)
    if problems := tuple(_too_wide(lines)):
        return problems
    cores = _cores(net, lines)
    if isinstance(cores, Problem):
        return (cores,)
    numbered = tuple(core for name in net.neurons for core in cores[name])
    destinations: dict[Source, list[Destination]] = {}
    for number, core in enumerate(numbered):
        for axon, line in enumerate(core.axons):
            source, index, wait, _ = lines[core.layer].lines[line]
            destinations.setdefault((source, index), []).append(Destination(number, axon, wait))
    outputs = 0
    for name in sorted(net.neurons, key=lambda name: name != net.output):
        for neuron in range(sizes(net)[name]):
            if name == net.output or (name, neuron) not in destinations:
                destinations.setdefault((name, neuron), []).append(
                    Destination(len(numbered), outputs, 0)
                )
                outputs += 1
    ways = {source: iter(each) for source, each in destinations.items()}
    sends = tuple(
        tuple(next(ways[core.layer, neuron]) for neuron in core.neurons) for core in numbered
    )
    inputs = tuple(
        (index, each)
        for (source, index), several in sorted(destinations.items())
        if source == INPUT
        for each in several
    )
    return Placed(numbered, lines, inputs, sends, outputs)


def _too_wide(lines: Mapping[str, Heard]) -> Iterator[Problem]:
    for name, own in lines.items():
        most = int(own.connected.sum(axis=0).max(initial=0))
        if most > AXONS:
            yield Problem(
                name,
                f"a neuron of it hears {most:,} axons, a core has {AXONS}",
                "use a smaller fan-in",
            )


def _cores(net: Network, lines: Mapping[str, Heard]) -> dict[str, list[Core]] | Problem:
    cores: dict[str, list[Core]] = {name: [] for name in net.neurons}
    for _ in range(_ROUNDS):
        before = {name: list(own) for name, own in cores.items()}
        for name in reversed(list(net.neurons)):
            copies = _copies(net, name, cores, lines)
            cores[name] = list(_filled(name, copies, lines[name]))
            count = sum(map(len, cores.values()))
            if count > CORES:
                return Problem(
                    name,
                    f"with it the network takes {count:,} cores, and {CORES:,} are laid out",
                    "use smaller layers",
                )
        if cores == before:
            return cores
    reason = (
        "its neurons, copied for each core that hears them, take more cores in each of "
        f"{_ROUNDS} rounds"
    )
    return Problem(next(iter(cores)), reason, "use smaller layers with feedback")


def _copies(
    net: Network, name: str, cores: Mapping[str, list[Core]], lines: Mapping[str, Heard]
) -> list[int]:
    """Return how often each neuron of a layer is there."""
    axons = (
        lines[core.layer].lines[line]
        for own in cores.values()
        for core in own
        for line in core.axons
    )
    heard_by = Counter(index for source, index, _, _ in axons if source == name)
    return [max(1, heard_by[neuron] + (name == net.output)) for neuron in range(sizes(net)[name])]


def _filled(name: str, copies: list[int], own: Heard) -> Iterator[Core]:
    """Cores filled with neurons in their order, until rows or axons run out."""
    rows, axons = list[int](), set[int]()
    for neuron, count in enumerate(copies):
        hears = set(map(int, np.flatnonzero(own.connected[:, neuron])))
        for _ in range(count):
            if rows and (len(rows) == NEURONS or len(axons | hears) > AXONS):
                yield Core(name, tuple(rows), tuple(sorted(axons)))
                rows, axons = [], set()
            rows.append(neuron)
            axons |= hears
    yield Core(name, tuple(rows), tuple(sorted(axons)))
