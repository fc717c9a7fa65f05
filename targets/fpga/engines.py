"""The engines of a design: one for all layers, or one for each, in a chain from layer to layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Input, Network
from lehr.targets.fpga.machine import Link, Machine
from lehr.targets.fpga.projections import paths
from lehr.targets.fpga.tables import Tables

Arrangement = Literal["shared", "layers"]
ARRANGEMENTS: tuple[Arrangement, ...] = get_args(Arrangement)
MAX_LANES = 64


@dataclass(frozen=True)
class Engine:
    """An engine and its memory images.

    Attributes:
        machine: its plan.
        tables: its images.
        number: of its layer in a chain; None where one engine computes all of them.
    """

    machine: Machine
    tables: Tables
    number: int | None = None

    @property
    def tag(self) -> str:
        """Ending of the names of its modules."""
        return "" if self.number is None else f"_{self.number}"

    @property
    def prefix(self) -> str:
        """Beginning of the names of its images."""
        return "" if self.number is None else f"layer{self.number}_"

    def owned(self, memory: str) -> str:
        """Return the name of one of its memories among those of the design."""
        return memory if self.number is None else f"{self.machine.output.name}: {memory}"


def default_lanes(net: Network) -> int:
    """Return as many lanes as the widest layer fills."""
    widest = max(net.shapes[name][0] for name in net.neurons)
    return min(MAX_LANES, 1 << math.ceil(math.log2(max(widest, 1))))


@dataclass(frozen=True)
class Plan:
    """Layout of a network: the most lanes that an engine has, and how the engines are arranged."""

    net: Network
    lanes: int
    arrangement: Arrangement = "shared"

    @cached_property
    def whole(self) -> Machine:
        """One engine for all layers, whatever the arrangement is.

        What goes in and comes out is the same.
        """
        return Machine(self.net, self.lanes)

    @cached_property
    def engines(self) -> tuple[Engine, ...]:
        """One engine, or those of a chain in the order of its layers.

        Raises:
            NotMappable: when layers that are to be chained hear more than the layer before and
                themselves.
        """
        if self.arrangement == "shared":
            return (Engine(self.whole, Tables(self.whole)),)
        parts = chain(self.net)
        links = [
            Link(first=part is parts[0], last=part is parts[-1], word=self.whole.word)
            for part in parts
        ]
        machines = [
            Machine(part, min(self.lanes, default_lanes(part)), link)
            for part, link in zip(parts, links, strict=True)
        ]
        return tuple(
            Engine(machine, Tables(machine), number) for number, machine in enumerate(machines)
        )


def chain(net: Network) -> list[Network]:
    """Return the network in parts of one neuron layer each.

    The input of a part is the spikes of the one before.

    Raises:
        NotMappable: when there is no such chain.
    """
    names = list(net.neurons)
    if names[-1] != net.output:
        raise NotMappable(
            f"{names[-1]}: engines=layers reads out the last layer, but the output is "
            f"{net.output}; use engines=shared"
        )
    return [_part(net, before, name) for before, name in zip((INPUT, *names), names, strict=False)]


def _part(net: Network, before: str, name: str) -> Network:
    """Return the neurons `name` and what lies between them and the spikes of `before`.

    These spikes become the input.
    """
    for source in (way.source for way in paths(net, name)):
        if source not in (before, name):
            raise NotMappable(
                f"{name}: it hears {source}, and engines=layers lets it hear {before} and itself "
                "alone; use engines=shared"
            )
    nodes, edges, pending = {name: net.nodes[name]}, {(name, OUTPUT)}, [name]
    while pending:
        here = pending.pop()
        for source in net.sources(here):
            edges.add((INPUT if source == before else source, here))
            if source not in (before, name) and source not in nodes:
                nodes[source] = net.nodes[source]
                pending.append(source)
    given = net.input if before == INPUT else Input(net.shapes[before], "spikes")
    last = name == net.output
    return Network(
        nodes, tuple(edges), given, net.steps, net.readout if last else "count_argmax_lowest"
    )
