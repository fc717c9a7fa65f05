"""Memory that a design takes, and clocks that a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from lehr.errors import NotMappable
from lehr.network import INPUT
from lehr.targets.fpga.devices import DEVICES, LARGE_BITS, LARGE_WIDTH, Device
from lehr.targets.fpga.engines import Engine, Plan
from lehr.targets.fpga.machine import Layer
from lehr.targets.fpga.tables import Tables

PIPELINE = 8
"""Clocks of a layer that are neither events nor neurons, beside the stages of its update.

Pipelines fill and drain.
"""
MIN_IN_BLOCKS = 256
"""Bits of a table below which it stays logic: that is faster, and costs a few cells."""


@dataclass(frozen=True)
class Memory:
    """A memory of the design.

    Attributes:
        ports: 1 where it is read or written in a clock, 2 where both, 0 where it is read only.
        logic: bits that would have to be made of logic, where it may be: those of its distinct
            words.
    """

    name: str
    width: int
    depth: int
    ports: int
    logic: int = 0

    def blocks(self, device: Device, above: int = 0) -> int:
        """Block RAMs that hold its bits from number `above` on, in the best of their shapes."""
        return min(
            ceil((self.width - above) / width) * ceil(self.depth / depth)
            for width, depth in device.modes
        )

    @property
    def large_bits(self) -> int:
        """Bits of a word in SPRAMs of a UP5K, if it is put there.

        The few that are more than their width fills go to block RAM.
        """
        above = self.width % LARGE_WIDTH
        return self.width - above if above < LARGE_WIDTH / 2 and self.width > above else self.width

    @property
    def large(self) -> int:
        """SPRAMs that `large_bits` of each word take."""
        return ceil(self.large_bits / LARGE_WIDTH) * ceil(self.depth * LARGE_WIDTH / LARGE_BITS)


def storage(plan: Plan) -> list[Memory]:
    """Return all memories of a design."""
    return [
        replace(memory, name=engine.owned(memory.name))
        for engine in plan.engines
        for memory in _memories(engine)
    ]


def _memories(engine: Engine) -> list[Memory]:
    machine, tables = engine.machine, engine.tables
    half = ceil(machine.neurons / 2)
    memories = [
        Memory("even states", machine.circuit.kept_bits, half, 1),
        Memory("odd states", machine.circuit.kept_bits, half, 1),
        Memory("sums", tables.acc_bits, machine.sums, 1),
        Memory("values", machine.value_bits, machine.value_words, 1),
        Memory(
            "values beside them",
            machine.value_bits,
            machine.value_words * (machine.sources[INPUT].across - 1),
            1,
        ),
        Memory("link", machine.word, machine.link_words, 2),
        Memory("spikes", machine.word, machine.spike_words - machine.link_words, 2),
        Memory("scores", machine.score_bits, machine.classes, 2),
    ]
    images = [
        Memory(i.name, i.width, len(i.words), 0, i.width * len(set(i.words)) if i.small else 0)
        for i in tables.images
    ]
    return [memory for memory in (*memories, *images) if memory.depth]


@dataclass(frozen=True)
class Use:
    """Memory of a device that a design takes.

    Attributes:
        blocks: block RAMs, by memory.
        large: SPRAMs, by memory.
        large_bits: bits of a word that are in SPRAMs, by memory.
    """

    blocks: Mapping[str, int]
    large: Mapping[str, int]
    large_bits: Mapping[str, int]

    @property
    def needed(self) -> int:
        """Block RAMs."""
        return sum(self.blocks.values())


def use(plan: Plan, device: Device) -> Use:
    """Decide which memories go to which RAMs of a device.

    Those of one port go to the SPRAMs while there are some, those that would take most block RAMs
    first. Small tables are made of logic, but go to the block RAMs that are left, those that would
    take most logic for a block first, and none for a few words.
    """
    large: dict[str, int] = {}
    memories = storage(plan)
    for memory in sorted(memories, key=lambda memory: -memory.blocks(device)):
        if memory.ports == 1 and sum(large.values()) + memory.large <= device.large:
            large[memory.name] = memory.large
    large_bits = {m.name: m.large_bits for m in memories if m.name in large}
    outside = [m for m in memories if not m.logic and large_bits.get(m.name) != m.width]
    blocks = {m.name: m.blocks(device, large_bits.get(m.name, 0)) for m in outside}
    for memory in sorted(
        (m for m in memories if m.logic), key=lambda m: -m.logic / m.blocks(device)
    ):
        if (
            memory.logic >= MIN_IN_BLOCKS
            and sum(blocks.values()) + memory.blocks(device) <= device.blocks
        ):
            blocks[memory.name] = memory.blocks(device)
    return Use(blocks, large, large_bits)


def require_fit(plan: Plan, name: str) -> None:
    """Raise NotMappable unless the memories of device `name` hold the network.

    The message has the table of what is needed and available.
    """
    device = DEVICES[name]
    used = use(plan, device)
    if not device.cells or used.needed <= device.blocks:
        return
    rows: list[tuple[str, object, object]] = [
        ("", "needed", "there"),
        ("block RAMs", used.needed, device.blocks),
    ]
    rows += [(f"  {memory}", count, "") for memory, count in used.blocks.items()]
    rows += [
        ("SPRAMs", sum(used.large.values()), device.large),
        *((f"  {memory}", count, "") for memory, count in used.large.items()),
    ]
    first = max(20, *(len(what) for what, _, _ in rows))
    table = "\n".join(
        f"  {what:<{first}}{needed:>8}{there:>8}".rstrip() for what, needed, there in rows
    )
    lanes = (
        f"{plan.lanes} lanes"
        if plan.arrangement == "shared"
        else f"up to {plan.lanes} lanes in an engine for each layer"
    )
    raise NotMappable(
        f"the network does not fit {name} with {lanes}: its memories do not; "
        f"{_way_out(plan, name)}\n{table}"
    )


def _way_out(plan: Plan, name: str) -> str:
    """Return the way out for a network whose memories do not fit.

    It is one engine in place of many, else the largest number of lanes with which the memories
    would fit, else the smallest other device.
    """
    if (
        plan.arrangement == "layers"
        and use(replace(plan, arrangement="shared"), DEVICES[name]).needed <= DEVICES[name].blocks
    ):
        return "use engines=shared"
    narrower = [(name, fewer) for fewer in (32, 16, 8, 4, 2, 1) if fewer < plan.lanes]
    others = sorted(
        (other for other, has in DEVICES.items() if has.cells and other != name),
        key=lambda other: DEVICES[other].cells,
    )
    for other, fewer in (*narrower, *((other, plan.lanes) for other in others)):
        if use(replace(plan, lanes=fewer), DEVICES[other]).needed <= DEVICES[other].blocks:
            return f"use device={other} and lanes={fewer}"
    return "use device=generic and a larger FPGA, or a smaller network"


def clocks(plan: Plan, rates: Mapping[str, float]) -> dict[str, float]:
    """Return the clocks of a step by layer at the given spike rates.

    All inputs are sent in every step, none of them 0. A word of n channels at rate r costs as many
    clocks as it holds events, and one if none: r * n + (1 - r) ** n; a chunk costs one more for
    each way on which spikes come to it, of which each place of a window of maxima is one. Its
    neurons are updated while the next is summed, so that the slower of the two counts; those of the
    last chunk come after it. One engine takes the sum of these clocks for a step, a chain the
    largest of them, once it is full.
    """
    by_layer: dict[str, float] = {}
    sent = 1.0
    for engine in plan.engines:
        for layer in engine.machine.layers:
            by_layer[layer.name] = _clocks(engine.tables, layer, {**rates, INPUT: sent})
        sent = rates[engine.machine.output.name]  # to the next one
    return by_layer


def _clocks(tables: Tables, layer: Layer, rates: Mapping[str, float]) -> float:
    chunks = layer.rows * layer.columns * layer.chunks
    summed = float(chunks * len(tables.feeds[layer.name]))
    for feed in tables.feeds[layer.name]:
        words, values = tables.work(layer, feed)
        rate = rates[feed.projection.source]
        summed += rate * values + words * (1 - rate) ** (values / words)
    return (
        max(summed, layer.size)
        + layer.channels
        - (layer.chunks - 1) * tables.machine.lanes
        + PIPELINE
        + tables.machine.circuit.stages
    )


def worst_clocks(plan: Plan) -> int:
    """Return a bound of the clocks of a step in which every neuron fires.

    The sweep over the input's map is among them.
    """
    always = dict.fromkeys(plan.net.neurons, 1.0)
    sizes = sum(layer.size for engine in plan.engines for layer in engine.machine.layers)
    return (
        plan.engines[0].machine.sources[INPUT].size
        + ceil(sum(clocks(plan, always).values()))
        + sizes
    )
