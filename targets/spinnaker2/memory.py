"""Processing elements and their memory, as far as the layout of it is published.

A processing element has 128 KiB: 32 KiB hold code, 96 KiB data, of which 4 KiB are heap and stack.
A layer is cut into parts of at most `ATOMS` neurons. For each source neuron that reaches a part its
memory holds a row: three words, and a 16-bit word a synapse. A convolution holds its kernel
instead, a byte a weight. To that come four floats of parameters and one of state a neuron, and what
is recorded: in every step two words and a bit a neuron of spikes, and a word and a float a neuron
of membranes. Tables of routes and of sources are not counted, as their sizes are not published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lehr.network import Network
from lehr.targets.spinnaker2.ways import ways
from lehr.targets.wiring import connections

ELEMENTS = 148
"""Processing elements of a chip that py-spinnaker2 uses, of 152."""
ATOMS = 250
"""The most neurons of a processing element.

Source: `max_atoms_per_core` of py-spinnaker2's LIF application.
"""
ROOM = (96 - 4) * 1024
_ROW, _SYNAPSE, _NEURON, _WORD = 12, 2, 20, 4


@dataclass(frozen=True)
class Part:
    """A layer on its processing elements.

    Attributes:
        elements: how many there are.
        neurons: the most on one of them.
        bytes: what that one holds, as far as it is published.
    """

    elements: int
    neurons: int
    bytes: int


def parts(net: Network) -> dict[str, Part]:
    """Return the fewest equal parts of each layer, in which each fits if one neuron alone does."""
    return {name: _part(net, name) for name in net.neurons}


def _part(net: Network, name: str) -> Part:
    size = math.prod(net.shapes[name])
    elements = -(-size // ATOMS)
    while True:
        neurons = -(-size // elements)
        held = _bytes(net, name, neurons)
        if held <= ROOM or neurons == 1:
            return Part(elements, neurons, held)
        elements = max(elements + 1, -(-size // max(1, neurons - 1)))


def _bytes(net: Network, name: str, neurons: int) -> int:
    recorded = net.steps * _WORD * (2 + -(-neurons // 32) + 1 + neurons)
    kernels = sum(
        way.weight.size for way in ways(net, name)[0] if way.convolves and way.weight is not None
    )
    if kernels:
        return kernels + neurons * _NEURON + recorded
    rows = 0
    for each in connections(net):
        if each.target == name:
            present = each.weights[:, :neurons] != 0
            rows += _ROW * int(present.any(axis=1).sum()) + _SYNAPSE * int(
                np.count_nonzero(present)
            )
    return rows + neurons * _NEURON + recorded
