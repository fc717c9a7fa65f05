"""Bounds of a simulation: cycles of the operations that a way of computing cannot do without.

Each is a number of operations on vectors, over how many of them a core does in a cycle; memory,
rounding and neurons cost nothing. Programs that do nothing else measure them.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite.binding import get_host_cpu_features

from lehr.network import INPUT, Network
from lehr.simulate import Result
from lehr.simulate.statistics import operations


@dataclass(frozen=True)
class Way:
    """Way to compute sums.

    Attributes:
        count: of products or additions.
        instructions: that they take.
        rate: instructions of a core in a cycle.
    """

    what: str
    count: int
    instructions: int
    rate: int

    @property
    def per_cycle(self) -> float:
        """Products or additions."""
        return self.count * self.rate / self.instructions


def ways() -> dict[str, Way]:
    """Return what this processor could do at best, for each event or for each weight."""
    features = {name for name, there in get_host_cpu_features().items() if there}
    if {"avx512vnni", "avx512vpopcntdq"} <= features:
        width, dense, bits = (
            512,
            Way("vpdpbusd on 64 int8", 64, 1, 2),
            Way("and, popcnt, add on 512 bits", 512, 3, 2),
        )
    else:
        width, dense, bits = (
            256,
            Way("vpmaddubsw, vpmaddwd, vpaddd on 32 int8", 32, 3, 2),
            Way("and, popcnt, add on 64 bits", 64, 3, 4),
        )
    return {
        "each event": Way(f"load and add {width // 8} int8", width // 8, 1, 2),
        "each event, +-1": Way(f"a full adder of 5 operations on {width} bits", width, 5, 2),
        "each weight, +-1": bits,
        "each weight": dense,
    }


def bounds(net: Network, result: Result, cycles: float, samples: int) -> list[str]:
    """Return the cycles per synaptic event of a run that took `cycles`, and of each way.

    Weights that meet a held input, once, do not count.
    """
    held = {target for source, target in net.edges if source == INPUT and net.input.kind == "u8"}
    counted = [operation for name, operation in operations(net, result).items() if name not in held]
    events, dense = (
        sum(getattr(operation, what) for operation in counted) for what in ("events", "dense")
    )
    lines = [
        f"{events / samples:,.0f} synaptic events a sample, of {dense / samples:,.0f} weights "
        "times steps"
    ]
    lines += [f"fast: {cycles / events:.4f} cycles an event"]
    for what, way in ways().items():
        least = (events if "event" in what else dense) / way.per_cycle
        bound = (
            f"{what}: {way.what}, {way.per_cycle:.0f} a cycle: {least / events:.4f} cycles an event"
        )
        lines += [f"{bound}, fast takes {cycles / least:.1f} times that"]
    return lines
