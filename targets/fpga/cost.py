"""What the memories of a design take, and how many clocks a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from lehr.errors import NotMappable
from lehr.network import INPUT
from lehr.targets.fpga.devices import DEVICES, Device
from lehr.targets.fpga.machine import Layer, Machine
from lehr.targets.fpga.tables import Tables

FILL = 12
"""Clocks of a chunk that are neither events nor neurons: the pipelines of sums and neurons fill and drain."""


@dataclass(frozen=True)
class Memory:
    """A memory of the design: `ports` is 1 where it is read or written in a clock, 2 where both, 0 where it is read only."""

    name: str
    width: int
    depth: int
    ports: int
    logic: bool = False

    def blocks(self, device: Device) -> int:
        """Block RAMs that hold it, in the best of their shapes; 0 where the Verilog asks for logic."""
        if self.logic:
            return 0
        return min(ceil(self.width / width) * ceil(self.depth / depth) for width, depth in device.modes)

    @property
    def large(self) -> int:
        """SPRAMs of a UP5K that hold it."""
        return ceil(self.width / 16) * ceil(self.depth / 16_384)


def storage(machine: Machine, tables: Tables) -> list[Memory]:
    """All memories of a design."""
    half = ceil(machine.neurons / 2)
    made = [
        Memory("even states", machine.kept_bits, half, 1),
        Memory("odd states", machine.kept_bits, half, 1),
        Memory("sums", tables.acc_bits, machine.sums, 1),
        Memory("values", machine.value_bits, machine.value_words, 1),
        Memory("spikes", machine.word, machine.spike_words, 2),
        Memory("scores", machine.score_bits, machine.classes, 2),
    ]
    images = [Memory(image.name, image.width, len(image.words), 0, image.logic) for image in tables.images]
    return [memory for memory in (*made, *images) if memory.depth]


@dataclass(frozen=True)
class Use:
    """What the memories of a design take of a device: block RAMs and SPRAMs by memory."""

    blocks: Mapping[str, int]
    large: Mapping[str, int]

    @property
    def needed(self) -> int:
        """Block RAMs."""
        return sum(self.blocks.values())


def use(machine: Machine, tables: Tables, device: Device) -> Use:
    """Where the memories go: those of one port to the SPRAMs while there are some, those that would take most block RAMs first."""
    large: dict[str, int] = {}
    memories = storage(machine, tables)
    for memory in sorted(memories, key=lambda memory: -memory.blocks(device)):
        if memory.ports == 1 and sum(large.values()) + memory.large <= device.large:
            large[memory.name] = memory.large
    return Use({m.name: m.blocks(device) for m in memories if m.name not in large and not m.logic}, large)


def require_fit(machine: Machine, tables: Tables, name: str) -> None:
    """Raise NotMappable, with the table of what is needed and available, unless the memories of device `name` hold the network."""
    device = DEVICES[name]
    found = use(machine, tables, device)
    if not device.cells or found.needed <= device.blocks:
        return
    rows: list[tuple[str, object, object]] = [("", "needed", "there"), ("block RAMs", found.needed, device.blocks)]
    rows += [(f"  {memory}", count, "") for memory, count in found.blocks.items()]
    rows += [("SPRAMs", sum(found.large.values()), device.large), *((f"  {memory}", count, "") for memory, count in found.large.items())]
    table = "\n".join(f"  {what:<20}{needed:>8}{there:>8}".rstrip() for what, needed, there in rows)
    raise NotMappable(
        f"the network does not fit {name} with {machine.lanes} lanes: its memories do not; {_way_out(machine, name)}\n{table}"
    )


def _way_out(machine: Machine, name: str) -> str:
    """The largest number of lanes with which the memories would fit, else the smallest other device."""
    narrower = [(name, lanes) for lanes in (32, 16, 8, 4, 2, 1) if lanes < machine.lanes]
    others = sorted((other for other, has in DEVICES.items() if has.cells and other != name), key=lambda other: DEVICES[other].cells)
    for other, lanes in (*narrower, *((other, machine.lanes) for other in others)):
        smaller = Machine(machine.net, lanes)
        if use(smaller, Tables(smaller), DEVICES[other]).needed <= DEVICES[other].blocks:
            return f"use device={other} and lanes={lanes}"
    return "use device=generic and a larger FPGA, or a smaller network"


def clocks(machine: Machine, tables: Tables, rates: Mapping[str, float]) -> dict[str, float]:
    """Clocks of a step by layer at the given spike rates, all inputs sent in every step, none of them 0.

    A word of n channels at rate r costs as many clocks as it holds events, and one if none: r * n + (1 - r) ** n. The neurons of a chunk
    are updated while the next is summed, so that the slower of the two counts.
    """
    return {layer.name: _clocks(tables, layer, {INPUT: 1.0, **rates}) for layer in machine.layers}


def _clocks(tables: Tables, layer: Layer, rates: Mapping[str, float]) -> float:
    chunks = layer.rows * layer.columns * layer.chunks
    summed = chunks * FILL
    for feed in tables.feeds[layer.name]:
        words, values = tables.work(layer, feed)
        rate = rates[feed.projection.source]
        summed += rate * values + words * (1 - rate) ** (values / words)
    return max(summed, layer.size + chunks)


def worst_clocks(machine: Machine, tables: Tables) -> int:
    """Bound of the clocks of a step in which every neuron fires; the sweep over the input's map is among them."""
    always = dict.fromkeys(machine.net.neurons, 1.0)
    swept = machine.sources[INPUT].size
    return swept + ceil(sum(clocks(machine, tables, always).values())) + sum(layer.size for layer in machine.layers)
