"""Bounds of a simulation: cycles of the operations that a way of computing cannot do without.

Each is a number of operations on vectors, over how many of them a core does in a cycle; memory and
rounding cost nothing. Synapses and neurons have bounds of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llvmlite.binding import get_host_cpu_features

from lehr.network import INPUT, Conv2d, Network, SumPool2d
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


def _features() -> set[str]:
    return {name for name, there in get_host_cpu_features().items() if there}


def ways() -> dict[str, Way]:
    """Return what this processor could do at best, for each event or for each weight."""
    features = _features()
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


def neuron_way() -> Way:
    """Return what updates of neurons in int16 take: load, leak, add, reset, compare, store."""
    width = 512 if "avx512bw" in _features() else 256
    return Way(f"14 operations on {width // 16} int16", width // 16, 14, 3)


def bounds(net: Network, result: Result, cycles: float, samples: int) -> list[str]:
    """Return the cycles per synaptic event of a run that took `cycles`, and of each way.

    Weights that meet a held input, once, do not count. Bounds of synapses and of neurons are two
    numbers: what a run takes is beside the one, the other, and both.
    """
    held = {target for source, target in net.edges if source == INPUT and net.input.kind == "u8"}
    counted = [operation for name, operation in operations(net, result).items() if name not in held]
    events, dense = (
        sum(getattr(operation, what) for operation in counted) for what in ("events", "dense")
    )
    instants = next(iter(result.layers.values())).instants
    updates = sum(layer.spikes.size for layer in result.layers.values()) * instants
    lines = [
        f"{events / samples:,.0f} synaptic events a sample, of {dense / samples:,.0f} weights "
        f"times steps; {updates / samples:,.0f} updates of neurons"
    ]
    lines += [pooled for name in net.order if (pooled := _pooled(net, name))]
    lines += [f"fast: {cycles / events:.4f} cycles an event"]
    way = neuron_way()
    neurons = updates / way.per_cycle
    each = f"neurons: {way.what}, {way.per_cycle:.1f} a cycle"
    lines += [f"{each}: fast takes {cycles / neurons:.1f} times that"]
    for what, way in ways().items():
        least = (events if "event" in what else dense) / way.per_cycle
        bound = (
            f"synapses, {what}: {way.what}, {way.per_cycle:.0f} a cycle: {least / events:.4f} "
            "cycles an event"
        )
        both = f"{cycles / (least + neurons):.1f} times that with the neurons'"
        lines += [f"{bound}, fast takes {cycles / least:.1f} times that, {both}"]
    return lines


def _pooled(net: Network, name: str) -> str:
    """Say of a convolution before a sum pooling that it needs fewer products than are counted."""
    conv, targets = net.nodes[name], net.targets(name)
    pool = net.nodes.get(targets[0]) if len(targets) == 1 else None
    if not isinstance(conv, Conv2d) or not isinstance(pool, SumPool2d) or conv.dilation != (1, 1):
        return ""
    size = conv.weight.shape[2:]
    apart = math.prod((*size, *pool.kernel))
    spans = zip(size, conv.stride, pool.kernel, strict=True)
    together = math.prod(taps + (count - 1) * step for taps, step, count in spans)
    return (
        f"{name} and its pooling are counted as {apart} products an output and channel; as one "
        f"convolution, which is what runs, they are {together}"
    )
