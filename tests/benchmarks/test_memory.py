"""Bytes of weights and of state, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from memory import state_bytes, weight_bits, weight_bytes

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nodes import Delay
from lehr.weights import WeightKind


def neurons(count: int, bits: int, synapse: Synapse | None = None) -> Neuron:
    one = np.ones(count, np.int32)
    return Neuron(
        one, 0 * one, Arithmetic(decay_numerator=3, decay_shift=2, state_bits=bits), synapse=synapse
    )


def network(delay: int | list[int] = 1) -> Network:
    nodes = {
        "a": Linear(np.ones((3, 5), np.int8), "ternary"),
        "first": neurons(3, 11),
        "slow": Delay(np.array(delay, np.int32) if isinstance(delay, list) else delay),
        "b": Linear(np.ones((2, 3), np.int8), "int5"),
        "second": neurons(2, 9, Synapse(state_bits=10)),
    }
    edges = list(zip([INPUT, *nodes], [*nodes, OUTPUT], strict=True))
    return Network(nodes, tuple(edges), Input((5,), "spikes"), steps=4)


@pytest.mark.parametrize(
    ("kind", "bits"), [("binary", 1), ("ternary", 2), ("int2", 2), ("int4", 4), ("int8", 8)]
)
def test_bits_of_a_weight(kind: WeightKind, bits: int) -> None:
    assert weight_bits(kind) == bits


def test_weights_are_packed_and_each_node_starts_a_byte() -> None:
    assert weight_bytes(network()) == 4 + 4  # 15 of 2 bits, 6 of 5


def test_states_are_membranes_and_synapses_and_what_delays_hold() -> None:
    assert state_bytes(network()) == 5 + 5 + 1  # 33 bits, 38 bits, 3 spikes
    assert state_bytes(network([1, 20, 4])) == 5 + 5 + 4  # 25 spikes
