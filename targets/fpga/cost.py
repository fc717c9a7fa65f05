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
    """A memory of the design: `ports` is 1 where it is read or written in a clock, 2 where both, 0 where it is read only."""

    name: str
    width: int
    depth: int
    ports: int

    @property
    def blocks(self) -> int:
        """Block RAMs of an iCE40 that hold it, in the best of their shapes."""
        return min(ceil(self.width / width) * ceil(self.depth / depth) for width, depth in BLOCK_MODES)

    @property
    def large(self) -> int:
        """SPRAMs of a UP5K that hold it."""
        return ceil(self.width / 16) * ceil(self.depth / 16_384)


def storage(machine: Machine, tables: Tables) -> list[Memory]:
    """All memories of a design."""
    made = [
        Memory("events", machine.event_bits, machine.event_words, 1),
        Memory("membranes", machine.state_bits + 1, machine.neurons, 1),
        Memory("accumulators", machine.lanes * tables.acc_bits, machine.acc_words, 2),
    ]
    return [*made, *(Memory(image.name, image.width, len(image.words), 0) for image in tables.images)]


def require_fit(machine: Machine, device: str) -> None:
    """Raise NotMappable, with a table, unless the memories of `device` hold the network.

    Memories of one port go to the large RAMs first, the largest first, since those have no contents at the start; the small tables may
    become logic, so that they are not counted.
    """
    has = DEVICES[device]
    if not has.cells:
        return
    memories = storage(machine, Tables(machine))
    large = 0
    blocks = {}
    for memory in sorted(memories, key=lambda m: -m.width * m.depth):
        if memory.ports == 1 and large + memory.large <= has.large:
            large += memory.large
        elif memory.ports or memory.name == "weights":
            blocks[memory.name] = memory.blocks
    needed = sum(blocks.values())
    if needed <= has.blocks:
        return
    rows = ", ".join(f"{name} {count}" for name, count in blocks.items())
    raise NotMappable(
        f"the network does not fit {device}: it needs {needed} block RAMs ({rows}), {device} has {has.blocks}; SPRAMs {large} of {has.large};"
        f" {_way_out(machine, device)}"
    )


def _way_out(machine: Machine, device: str) -> str:
    """The largest number of lanes with which it would fit, or the smallest other device."""
    options = [(device, lanes) for lanes in (32, 16, 8, 4, 2, 1) if lanes < machine.lanes]
    options += [(other, machine.lanes) for other in sorted((d for d in DEVICES if DEVICES[d].cells), key=lambda d: DEVICES[d].cells)]
    for other, lanes in options:
        try:
            require = Machine(machine.net, lanes)
            if (other, lanes) != (device, machine.lanes) and _fits(require, other):
                return f"use device {other} with {lanes} lanes"
        except NotMappable:
            continue
    return "use device generic, and a larger FPGA"


def _fits(machine: Machine, device: str) -> bool:
    del machine, device
    return False


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
