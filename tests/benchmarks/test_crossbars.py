"""The benchmark of crossbars: faults that are devices, and accuracies in per cent."""

from __future__ import annotations

import numpy as np
from crossbars import CELLS, FAULTS, accuracies, exact_accuracy

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate.crossbar import Device
from lehr.train.data import Dataset
from lehr.train.data.dataset import Split


def test_one_fault_at_a_time_is_measured_on_the_test_samples() -> None:
    rng = np.random.default_rng(0)
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, state_bits=20, fraction_bits=2)
    nodes = {
        "fc": Linear(rng.choice(np.array([-1, 1], np.int8), (4, 30))),
        "lif": Neuron(np.full(4, 900, np.int32), np.zeros(4, np.int32), arithmetic),
    }
    edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT))
    net = Network(nodes, edges, Input((30,), "u8"), 8, "count_argmax_lowest")
    x = rng.integers(0, 256, (60, 30), np.uint8)
    sums = x.astype(np.int64) @ net.weighted["fc"].weight.astype(np.int64).T
    split = Split(x, sums.argmax(1))  # who has the greatest current fires most
    data = Dataset(split, split, split, 4)
    exact = exact_accuracy(net, data)
    assert 60 < exact <= 100
    measured = {
        name: accuracies(net, data, Device(**CELLS, **fault), 3) for name, fault in FAULTS.items()
    }
    assert measured.pop("none") == [exact] * 3
    assert all(max(values) > 25 for values in measured.values())
    assert min(measured["variation 0.5"]) < exact
