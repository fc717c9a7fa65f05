"""Synaptic operations, counted by hand."""

from __future__ import annotations

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import simulate
from lehr.simulate.statistics import Operations, operations


def test_a_pooling_that_keeps_the_size_passes_an_event_to_every_window_that_sees_it() -> None:
    fires = Neuron(np.ones(2, np.int32), np.zeros(2, np.int32), Arithmetic())
    nodes = {
        "pool": SumPool2d((3, 3), (1, 1), (1, 1)),
        "flat": Flatten(),
        "fc": Linear(np.ones((2, 9), np.int8)),
        "out": fires,
    }
    edges = ((INPUT, "pool"), ("pool", "flat"), ("flat", "fc"), ("fc", "out"), ("out", OUTPUT))
    net = Network(nodes, edges, Input((1, 3, 3), "spikes"), steps=2)
    x = np.zeros((1, 2, 1, 3, 3), np.uint8)
    x[0, 0, 0, 1, 1] = x[0, 1, 0, 0, 0] = 1  # nine windows see the middle, four the corner
    assert operations(net, simulate(net, x)) == {"fc": Operations(dense=2 * 18, events=2 * (9 + 4))}
