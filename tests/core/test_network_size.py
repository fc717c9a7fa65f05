"""Deep networks and large ones: order in time that grows with the edges, and limits.

The limits are on what a few bytes can ask for.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from strategies import networks

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Conv2d, Edge, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node

NEURON = Neuron(np.array([3]), np.array([0]), Arithmetic())


def chain(*names: str) -> tuple[Edge, ...]:
    return tuple(pairwise((INPUT, *names, OUTPUT)))


def padded(padding: int, convolutions: int = 1) -> Network:
    """Build convolutions that are padded and pooled back to one value each."""
    side = 2 * padding + 8
    nodes: dict[str, Node] = {}
    for i in range(convolutions):
        nodes[f"conv{i}"] = Conv2d(
            np.ones((1, 1, 1, 1), int), padding=(0, 0) if i else (padding, padding)
        )
    nodes["pool"] = SumPool2d((side, side), (side, side))
    nodes["lif"] = NEURON
    return Network(nodes, chain(*nodes), Input((1, 8, 8), "u8"), 4)


@pytest.mark.parametrize("padding", [8_189, 30_000, 10**9])
def test_padding_that_asks_for_more_memory_than_there_is_is_refused_with_the_number(
    padding: int,
) -> None:
    side = 2 * padding + 8
    with pytest.raises(FileRefused) as caught:
        padded(padding)
    assert str(caught.value) == (
        f"conv0: has shape (1, {side}, {side}), which are {side * side:,} values a step in "
        f"{4 * side * side:,} bytes, "
        "but a node may have 268,435,456; use less padding or a smaller input"
    )


def test_all_nodes_together_have_a_limit() -> None:
    assert padded(8_000, 4).shapes["conv3"] == (1, 16_008, 16_008)
    with pytest.raises(FileRefused) as caught:
        padded(8_000, 5)
    assert str(caught.value) == (
        "conv4: has shape (1, 16008, 16008), which are 256,256,064 values a step in 1,025,024,256 "
        "bytes, and brings those of all nodes to "
        "1,281,280,384, but all nodes together may have 1,073,741,824; use less padding or a "
        "smaller input"
    )


def test_an_input_has_the_same_limit() -> None:
    with pytest.raises(
        FileRefused,
        match=r"^input: has shape \(1, 100000, 100000\), which are 10,000,000,000 values a step in 40,000,000,000",
    ):
        Network({"lif": NEURON}, chain("lif"), Input((1, 100_000, 100_000), "u8"), 4)


@budget(15, 100)
@given(networks())
def test_feedback_is_what_comes_back_and_leads_to_no_higher_rank(net: Network) -> None:
    reach = {name: reached(net, name) for name in (INPUT, *net.nodes, OUTPUT)}
    assert net.feedback == {
        (a, b) for a, b in net.edges if net.ranks[b] <= net.ranks[a] and a in reach[b]
    }
    for a in reach:
        for b in reach:
            assert (net.cycles[a] == net.cycles[b]) == (b in reach[a] and a in reach[b])


def reached(net: Network, start: str) -> set[str]:
    """Return `start` and all that its output comes to, by going round until nothing is added."""
    here = {start}
    while more := {b for a, b in net.edges if a in here} - here:
        here |= more
    return here


@pytest.mark.parametrize("closed", [False, True])
def test_deep_networks_have_an_order(closed: bool) -> None:
    """3,000 nodes, in a chain or in one cycle: neither recursion nor a walk from each of them."""
    names = [f"n{i}" for i in range(3_000)]
    weight = Linear(np.ones((1, 1), int))
    nodes: dict[str, Node] = {
        name: NEURON if i == 2_999 else weight for i, name in enumerate(names)
    }
    back = ((names[-1], names[0]),) if closed else ()
    net = Network(nodes, (*chain(*names), *back), Input((1,), "spikes"), 4)
    assert net.order == tuple(names)
    assert net.flow == net.order
    assert net.feedback == set(back)
    assert len(set(net.cycles.values())) == (3 if closed else 3_002)
