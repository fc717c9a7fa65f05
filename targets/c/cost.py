"""How much the generated code adds up in a step."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lehr.network import INPUT, Conv2d, Linear, Network, SumPool2d


def synaptic_operations(net: Network, rates: Mapping[str, float]) -> float:
    """An upper bound of how many additions a mean step takes: a value is added to each output that it reaches, unless it is 0.

    The input counts as dense, and a sum as 0 only where the rates leave nothing to be added.

    Args:
        net: the network.
        rates: spikes per neuron and step of each neuron layer.
    """
    size = {name: math.prod(shape) for name, shape in net.shapes.items()}
    active: dict[str, float] = {INPUT: size[INPUT], **{name: rates[name] * size[name] for name in net.neurons}}
    total = 0.0

    for name in net.flow:
        if name not in active:  # how many of its outputs are not 0
            arriving = sum(active[source] for source in net.sources(name))
            reached = arriving * _synapses(net, name) / size[net.sources(name)[0]]
            active[name] = min(size[name], reached)
            total += reached if isinstance(net.nodes[name], (Conv2d, Linear, SumPool2d)) else 0
    return total


def _synapses(net: Network, name: str) -> int:
    """How many pairs of an input and an output a node connects, those in the padding left out."""
    node, source, target = net.nodes[name], net.shapes[net.sources(name)[0]], net.shapes[name]
    if isinstance(node, Linear):
        return source[0] * target[0]
    if isinstance(node, Conv2d):
        axes = zip(source[1:], target[1:], node.weight.shape[2:], node.stride, node.padding, node.dilation, strict=True)
        return source[0] // node.groups * target[0] * math.prod(_pairs(*axis) for axis in axes)
    if isinstance(node, SumPool2d):
        axes = zip(source[1:], target[1:], node.kernel, node.stride, node.padding, (1, 1), strict=True)
        return source[0] * math.prod(_pairs(*axis) for axis in axes)
    return math.prod(source)


def _pairs(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many pairs of an output and a kernel element meet the input along one axis."""
    return sum(0 <= o * stride + k * dilation - padding < size for o in range(out) for k in range(kernel))
