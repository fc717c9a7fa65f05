"""Bytes that an integer network needs, packed as tightly as its declared widths allow."""

from __future__ import annotations

import math

from lehr.network import Network
from lehr.nodes import Delay
from lehr.programs import widths_of
from lehr.weights import WeightKind
from lehr.widths import analyse, states_of


def weight_bits(kind: WeightKind) -> int:
    """Return the bits of a weight of a kind."""
    return {"binary": 1, "ternary": 2}.get(kind) or int(kind.removeprefix("int"))


def weight_bytes(net: Network) -> int:
    """Return the bytes of all weights, those that are 0 included; each node starts a byte."""
    return sum(-(-node.weight.size * weight_bits(node.kind) // 8) for node in net.weighted.values())


def state_bytes(net: Network) -> int:
    """Return the bytes that live from one step to the next: states of neurons, values in delays.

    A state has the bits that the network declares, a value in a delay those of the highest that
    gets there; each node starts a byte.
    """
    reached = analyse(net).nodes
    total = 0
    for name in net.order:
        node = net.nodes[name]
        if name in net.neurons:
            neuron = net.neurons[name]
            widths = widths_of(neuron.program)
            bits = sum(widths[register] for register in states_of(neuron).values())
            total += -(-math.prod(net.shapes[name]) * bits // 8)
        elif isinstance(node, Delay):
            held = int(node.spread(net.shapes[name]).sum())
            total += -(-held * int(reached[name].high.max()).bit_length() // 8)
    return total
