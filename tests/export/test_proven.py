"""Proofs about a layer, by what it hears."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.export.proven import AFTER_ROUNDED, EQUAL, ROUNDED, marks
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron


def test_a_layer_is_equal_only_where_all_that_it_hears_is() -> None:
    """One that hears a rounded layer, be it through a cycle, has other spikes on the way."""
    fc, lif = (
        Linear(np.ones((1, 1), np.int8)),
        Neuron(np.ones(1, np.int32), np.zeros(1, np.int32), Arithmetic()),
    )
    names = ["first", "second", "third", "fourth"]
    nodes = {f"fc{i}": fc for i in range(5)} | dict.fromkeys(names, lif)
    path = [INPUT, "fc0", "first", "fc1", "second", "fc2", "third", "fc3", "fourth", OUTPUT]
    edges = [*pairwise(path), ("third", "fc4"), ("fc4", "second")]
    net = Network(nodes, tuple(edges), Input((1,), "spikes"), 3)
    expected = {"first": EQUAL, "second": AFTER_ROUNDED, "third": ROUNDED, "fourth": AFTER_ROUNDED}
    assert marks(net, ["third"]) == expected
    assert set(marks(net, []).values()) == {EQUAL}
