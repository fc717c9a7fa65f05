"""What the fpga target has no circuit or no number for is refused by name, and nothing else is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from strategies import small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.network import INPUT, OUTPUT, Flatten, Input, Linear, Network, Neuron
from lehr.targets.fpga import Fpga


def neurons(channels: int) -> Neuron:
    return Neuron(np.full(channels, 3, np.int32), np.zeros(channels, np.int32), Arithmetic(state_bits=8))


def fan(channels: int, *behind: tuple[str, Any]) -> Network:
    """One input, `channels` neurons, and a chain of nodes behind them."""
    nodes = {"fan": Linear(np.ones((channels, 1), np.int8)), "many": neurons(channels), **dict(behind)}
    chain = [INPUT, *nodes, OUTPUT]
    return Network(nodes, tuple(pairwise(chain)), Input((1,), "spikes"), 2)


def test_more_classes_than_a_status_can_name_are_refused() -> None:
    (problem,) = Fpga().check(fan(70_000))
    assert str(problem) == "many: it has 70,000 classes, the engine numbers 65,536; use fewer classes"


def test_a_hidden_layer_may_have_more_channels_than_a_status_can_name_classes() -> None:
    net = fan(65_537, ("back", Linear(np.ones((2, 65_537), np.int8))), ("out", neurons(2)))
    assert Fpga().check(net) == ()
    assert b"best = {15'd0, prediction[0:0]};" in Fpga().plan(net, {}).files["lehr_top.v"]


def test_ways_that_double_at_every_node_are_refused_at_once() -> None:
    nodes: dict[str, Any] = {"out": neurons(2)}
    edges, here = [("out", OUTPUT)], INPUT
    for stage in range(12):
        left, right, joined = f"left{stage}", f"right{stage}", f"joined{stage}"
        nodes |= {name: Flatten() for name in (left, right, joined)}
        edges += [(here, left), (here, right), (left, joined), (right, joined)]
        here = joined
    (problem,) = Fpga().check(Network(nodes, (*edges, (here, "out")), Input((2,), "spikes"), 2))
    assert str(problem) == (
        "out: spikes come to it on more than 256 ways, each of which the engine scans on its own; merge nodes that stand side by side"
    )


def test_a_serial_line_has_some_clocks_a_bit() -> None:
    net, _ = small_network()
    with pytest.raises(UsageError) as refused:
        Fpga().plan(net, {"front": "uart", "clock": "3"})
    assert str(refused.value) == "clock is '3', and a bit of front=uart takes 4 clocks; use 4 or more"
