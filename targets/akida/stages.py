"""A network as a chain of Akida's layers, each with its weights, thresholds and geometry.

A layer of neurons is `Convolutional` where one convolution with the geometry of the chip leads to
it, and `FullyConnected` otherwise, with every convolution, pool and flattening on the way resolved
into one matrix. Akida's x, y, channel are the network's width, height, channel, so that its flat
order is the network's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Conv2d, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.wiring import by_neuron, connections

KERNELS = (1, 3, 5, 7)
"""Widths of square kernels that the chip takes at a stride of 1.

They are padded so that maps keep their size.
"""
BITS = {1: 2, 7: 4}
"""Bits of weights, by the greatest that they hold."""
THRESHOLD = 1 << 19
"""Thresholds are from -THRESHOLD to THRESHOLD - 1: 20 bits."""
INPUTS = 57_334
"""Inputs of a FullyConnected layer."""
DENSE = 22
"""FullyConnected layers on an AKD1000, one a neural processor that takes them."""


@dataclass(frozen=True)
class Stage:
    """One layer.

    Attributes:
        name: of the layer of neurons.
        convolution: whether it is Convolutional; else FullyConnected.
        weights: as Akida has them, `[kernel x, kernel y, inputs, filters]` and turned round, or
            `[1, 1, inputs, units]`.
        thresholds: of a filter or a unit, the neuron's less its bias.
        bias: of each neuron, which potentials lack.
    """

    name: str
    convolution: bool
    weights: Int64
    thresholds: Int64
    bias: Int64

    @property
    def bits(self) -> int | None:
        """Bits of its weights; None where Akida has too few."""
        greatest = int(np.abs(self.weights).max(initial=0))
        return next((bits for most, bits in BITS.items() if greatest <= most), None)


def too_wide(net: Network) -> Iterator[Problem]:
    """Yield the layers behind more values than a FullyConnected layer takes.

    It is asked before any matrix is made of them.
    """
    for before, name in pairwise((INPUT, *net.neurons)):
        if (inputs := math.prod(net.shapes[before])) > INPUTS:
            yield Problem(
                name, f"it has {inputs:,} inputs, the machine takes {INPUTS:,}", "pool before it"
            )


def unchained(net: Network) -> Iterator[Problem]:
    """Yield the layers that do not take the spikes of the one before.

    They take others as well, or in another step.
    """
    ways: dict[str, set[tuple[str, int]]] = {name: set() for name in net.neurons}
    for each in connections(net):
        ways[each.target].add((each.source, each.delay))
    for before, name in pairwise((INPUT, *net.neurons)):
        if ways[name] != {(before, 0)}:
            heard = " and ".join(
                f"{source}{' of the step before' if delay else ''}"
                for source, delay in sorted(ways[name])
            )
            reason = (
                f"it takes {heard or 'nothing'}, the machine has a chain of layers, in which it "
                f"takes {before}"
            )
            yield Problem(name, reason, "make the network a chain without feedback")
    last = [*net.neurons][-1]
    if net.output != last:
        yield Problem(
            net.output, f"it is read out, but {last} comes after it", "read out the last layer"
        )


def stages(net: Network) -> list[Stage]:
    """Return the layers of a chain, in order."""
    matrices = {each.target: each.weights for each in connections(net)}
    chain: list[Stage] = []
    for name, neuron in net.neurons.items():
        size = math.prod(net.shapes[name])
        bias, threshold = by_neuron(neuron, "bias", size), by_neuron(neuron, "threshold", size)
        node = _convolution(net, name) if not chain or chain[-1].convolution else None
        if node is None:
            chain.append(Stage(name, False, matrices[name][None, None], threshold - bias, bias))
        else:
            turned = node.weight[:, :, ::-1, ::-1].transpose(3, 2, 1, 0).astype(np.int64)
            chain.append(
                Stage(name, True, turned, neuron.threshold.astype(np.int64) - neuron.bias, bias)
            )
    return chain


def _convolution(net: Network, name: str) -> Conv2d | None:
    """Return the one convolution that leads to a layer, if the chip has its geometry."""
    (source, *others), neuron = net.sources(name), net.neurons[name]
    node = None if source == INPUT else net.nodes[source]
    if others or not isinstance(node, Conv2d) or neuron.per_neuron:
        return None
    before = net.sources(source)
    if len(before) != 1 or not (before[0] == INPUT or before[0] in net.neurons):
        return None
    high, wide = node.weight.shape[2:]
    plain = (
        node.stride == (1, 1)
        and node.dilation == (1, 1)
        and node.groups == 1
        and node.padding == (high // 2, wide // 2)
    )
    return node if plain and high == wide and high in KERNELS else None


def too_large(net: Network) -> Iterator[Problem]:
    """Yield what of a chain the chip does not hold."""
    chain = stages(net)
    for stage in chain:
        if stage.bits is None:
            greatest = int(np.abs(stage.weights).max())
            reason = (
                f"its synapses add up to {greatest:,}, the machine holds weights of "
                f"-{max(BITS)}..{max(BITS)}"
            )
            yield Problem(stage.name, reason, "use a smaller pool")
        low, high = int(stage.thresholds.min()), int(stage.thresholds.max())
        if low < -THRESHOLD or high >= THRESHOLD:
            reason = (
                f"its thresholds less biases are {low:,}..{high:,}, the machine holds "
                f"{-THRESHOLD:,}..{THRESHOLD - 1:,}"
            )
            yield Problem(stage.name, reason, "train with smaller ones")
    dense = [stage.name for stage in chain if not stage.convolution]
    if len(dense) > DENSE:
        yield Problem(
            dense[DENSE],
            f"it is fully connected layer {DENSE + 1}, an AKD1000 holds {DENSE}",
            "use fewer layers",
        )
