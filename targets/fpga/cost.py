"""What the memories of a design take, what devices have, and how many clocks a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from lehr.errors import NotMappable
from lehr.network import INPUT
from lehr.targets.fpga.machine import Machine
from lehr.targets.fpga.projections import volume
from lehr.targets.fpga.tables import Tables

LARGE_BITS = 262_144  # an SPRAM of the UP5K: 16,384 words of 16 bits, one port, no contents at the start
BLOCK_MODES = ((16, 256), (8, 512), (4, 1024), (2, 2048))  # a block RAM of the iCE40: 4,096 bits


@dataclass(frozen=True)
class Device:
    """What an FPGA has.

    Attributes:
        clock: MHz that synthesis aims at if nothing is said.
        cells: of a look-up table of four inputs and a flip-flop.
        blocks: block RAMs of 4,096 bits.
        large: RAMs of 262,144 bits with one port.
        source: where the numbers come from.
    """

    clock: int
    cells: int = 0
    blocks: int = 0
    large: int = 0
    source: str = ""


DEVICES: Mapping[str, Device] = {
    "up5k": Device(12, 5280, 30, 4, "Lattice FPGA-DS-02008, iCE40 UltraPlus family data sheet"),
    "hx8k": Device(48, 7680, 32, 0, "Lattice FPGA-DS-02029, iCE40 LP/HX family data sheet"),
    "generic": Device(25),
}


@dataclass(frozen=True)
class Memory:
    """A memory of the design: `ports` is 1 where it is read or written in a clock, 2 where both, 0 where it is read only.

    `lanes` of them lie side by side, each with a memory of its own.
    """

    name: str
    width: int
    depth: int
    ports: int
    lanes: int = 1
    logic: bool = False

    @property
    def blocks(self) -> int:
        """Block RAMs of an iCE40 that hold it, in the best of their shapes; 0 where the Verilog asks for logic."""
        if self.logic:
            return 0
        return self.lanes * min(ceil(self.width / width) * ceil(self.depth / depth) for width, depth in BLOCK_MODES)

    @property
    def large(self) -> int:
        """SPRAMs of a UP5K that hold it."""
        return ceil(self.width / 16) * ceil(self.depth / 16_384)


def storage(machine: Machine, tables: Tables) -> list[Memory]:
    """All memories of a design."""
    made = [
        Memory("events", machine.event_bits, machine.event_words, 1),
        Memory("membranes", machine.state_bits + 1, machine.neurons, 1),
        Memory("counts", 16, machine.classes, 2),
        Memory("accumulators", tables.acc_bits, machine.acc_words, 2, machine.lanes),
    ]
    return [*made, *(Memory(image.name, image.width, len(image.words), 0, logic=image.logic) for image in tables.images)]


@dataclass(frozen=True)
class Use:
    """What the memories of a design take of a device: block RAMs by memory, and large RAMs."""

    blocks: Mapping[str, int]
    large: int


def use(machine: Machine, device: Device) -> Use:
    """Where the memories go: those of one port to the large RAMs, if these hold them all."""
    memories = storage(machine, Tables(machine))
    large = sum(memory.large for memory in memories if memory.ports == 1)
    if large > device.large:
        large = 0
    return Use({memory.name: memory.blocks for memory in memories if memory.blocks and not (large and memory.ports == 1)}, large)


def require_fit(machine: Machine, name: str) -> None:
    """Raise NotMappable, with what is needed and available, unless the memories of device `name` hold the network."""
    device = DEVICES[name]
    if not device.cells:
        return
    found = use(machine, device)
    needed = sum(found.blocks.values())
    if needed <= device.blocks:
        return
    rows = ", ".join(f"{memory} {count}" for memory, count in found.blocks.items())
    raise NotMappable(
        f"the network does not fit {name}: with {machine.lanes} lanes it needs {needed} block RAMs of 4,096 bits ({rows}), and there are"
        f" {device.blocks}; {found.large} of {device.large} SPRAMs are used; {_way_out(machine, name)}"
    )


def _way_out(machine: Machine, name: str) -> str:
    """The largest number of lanes with which the memories would fit, else the smallest other device."""
    narrower = [(name, lanes) for lanes in (32, 16, 8, 4, 2, 1) if lanes < machine.lanes]
    others = sorted((other for other, has in DEVICES.items() if has.cells and other != name), key=lambda other: DEVICES[other].cells)
    for other, lanes in (*narrower, *((other, machine.lanes) for other in others)):
        if sum(use(Machine(machine.net, lanes), DEVICES[other]).blocks.values()) <= DEVICES[other].blocks:
            return f"use device={other} and lanes={lanes}"
    return "use device=generic and a larger FPGA, or a smaller network"


def clocks(machine: Machine, tables: Tables, rates: Mapping[str, float]) -> float:
    """Clocks of a step at the given spike rates, every input value an event; states that last a clock or two a layer are left out."""
    total = 0.0
    for layer in machine.layers:
        for scatter in tables.scatters[layer.name]:
            feed = scatter.projection
            channels, rows, columns = volume(machine.net.shapes[feed.source])
            rate = 1.0 if feed.source == INPUT else rates[feed.source]
            taps = sum(map(len, feed.rows)) / rows * sum(map(len, feed.columns)) / columns
            total += rate * channels * rows * columns * (2 + taps * scatter.chunks)
        total += 2 * (layer.size + layer.words)
    return total
