"""A network of seven neurons, for which every input can be thought of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron

STEPS = 4
WEIGHTS_OF = {
    "fc1": np.array([[3, -2, 1, 0], [-1, 2, 2, -3], [1, 1, -2, 3]], np.int8),
    "fc2": np.array([[2, -1, 3], [-3, 2, 1]], np.int8),
}


def saturating_network() -> Network:
    """Return 4 inputs, 3 neurons and 2 outputs, whose membranes saturate in 4 steps."""
    arithmetic = Arithmetic(
        decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=8, fires="ge"
    )
    nodes = {
        "fc1": Linear(WEIGHTS_OF["fc1"], kind="int3"),
        "lif1": Neuron(np.array([9, 7, 8], np.int32), np.array([1, 0, -1], np.int32), arithmetic),
        "fc2": Linear(WEIGHTS_OF["fc2"], kind="int3"),
        "lif2": Neuron(np.array([6, 5], np.int32), np.array([0, 2], np.int32), arithmetic),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((4,), "spikes"), STEPS)
