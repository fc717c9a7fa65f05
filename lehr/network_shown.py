"""Networks in a line and in a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lehr.shown import Table, shape_text

if TYPE_CHECKING:
    from lehr.network import Network


def network_line(net: Network) -> str:
    """Return a network in one line: its input, output and size, and the start of its digest."""
    ends = (
        f"{shape_text(net.input.shape)} {net.input.kind} to {math.prod(net.shapes[net.output])} "
        f"classes in {net.steps} steps"
    )
    weights = sum(node.weight.size for node in net.weighted.values())
    return (
        f"{ends}, {len(net.neurons)} layers of neurons, {weights:,} weights, digest "
        f"{net.digest[:12]}"
    )


def network_table(net: Network) -> Table:
    """Return a table of its nodes in order of evaluation."""
    rows = [
        (name, type(net.nodes[name]).__name__, shape_text(net.shapes[name]), _held(net, name))
        for name in net.order
    ]
    return Table(network_line(net), ("node", "type", "shape", "holds"), rows)


def _held(net: Network, name: str) -> str:
    if name in net.weighted:
        return f"{net.weighted[name].weight.size:,} weights, {net.weighted[name].kind}"
    if name not in net.neurons:
        return ""
    neuron = net.neurons[name]
    if neuron.integrates or "threshold" not in neuron.program.parameters:
        return "integrates" if neuron.integrates else ""
    low, high = int(neuron.threshold.min()), int(neuron.threshold.max())
    return f"threshold {low:,}" if low == high else f"thresholds {low:,} to {high:,}"
