"""Layers that never or always fire in a run: named, and why."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import simulate
from lehr.simulate.constant import constant_layers


def _net(first: int, second: int = 1, **how: object) -> Network:
    """Two layers of two neurons; an input of 3 is a current of 3 in the first, without a leak."""
    arithmetic = Arithmetic(decay_numerator=1, decay_shift=0, **how)  # type: ignore[arg-type]
    zeros = np.zeros(2, np.int32)
    nodes = {
        "fc1": Linear(np.array([[1], [1]], np.int8)),
        "lif1": Neuron(np.array([first, first + 2], np.int32), zeros, arithmetic),
        "fc2": Linear(np.ones((2, 2), np.int8)),
        "lif2": Neuron(np.full(2, second, np.int32), zeros, arithmetic),
    }
    chain = [INPUT, *nodes, OUTPUT]
    return Network(nodes, tuple(pairwise(chain)), Input((1,), "u8"), 4)


def _of(net: Network, value: int = 3) -> dict[str, str]:
    return constant_layers(net, simulate(net, np.full((2, 1), value, np.uint8)))


def test_a_network_whose_spikes_flow_has_none() -> None:
    assert _of(_net(4, 2)) == {}


def test_thresholds_out_of_reach_are_told_with_what_is_reached_and_what_follows_is_told_why() -> (
    None
):
    assert _of(_net(100)) == {
        "lif1": "never fires: its membranes reach 12 at most, its thresholds are 100..102",
        "lif2": "never fires: nothing comes to it, as lif1 is silent, and its membranes reach 0 at most",
    }
    assert _of(_net(4, 1000))["lif2"].endswith(", its threshold is 1,000")


def test_a_dark_input_is_why() -> None:
    assert _of(_net(100), 0)["lif1"] == (
        "never fires: nothing comes to it, as the input is silent, and its membranes reach 0 at most"
    )


def test_a_layer_that_fires_in_every_step_is_told() -> None:
    net = _net(1, reset="none")
    neuron = net.neurons["lif1"]
    eager = replace(neuron, threshold=np.array([1, 2], np.int32))
    assert _of(replace(net, nodes={**net.nodes, "lif1": eager}))["lif1"] == "always fires"


def test_integrators_are_no_silent_layers() -> None:
    net = _net(4)
    how = Arithmetic(decay_numerator=1, decay_shift=0, fires="never", reset="none")
    zeros = np.zeros(2, np.int32)
    nodes = {**net.nodes, "lif2": Neuron(zeros, zeros, how)}
    assert _of(replace(net, nodes=nodes, readout="membrane_last_argmax_lowest")) == {}
