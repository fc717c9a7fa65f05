"""What a network refuses, and what it works out from its edges: feedback, order, shapes, digest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from strategies import networks

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Edge,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import Node


def neuron(channels: int = 2, **how: Any) -> Neuron:
    return Neuron(np.full(channels, 3), np.zeros(channels, int), Arithmetic(**how))


def linear(out: int = 2, features: int = 2) -> Linear:
    return Linear(np.ones((out, features), int))


def conv(**how: Any) -> Conv2d:
    return Conv2d(np.ones((2, 1, 3, 3), int), **how)


def chain(*names: str) -> tuple[Edge, ...]:
    return tuple(zip((INPUT, *names), (*names, OUTPUT), strict=True))


def network(
    nodes: dict[str, Node] | None = None, edges: tuple[Edge, ...] | None = None, **others: Any
) -> Network:
    nodes = {"fc": linear(), "lif": neuron()} if nodes is None else nodes
    return Network(
        nodes,
        chain(*nodes) if edges is None else edges,
        **{"input": Input((2,), "spikes"), "steps": 4, **others},
    )


NODES: dict[str, Node] = {"fc": linear(), "lif": neuron()}
LOOP = {"fc": linear(), "back": linear(), "lif": neuron()}
STRUCTURE: dict[str, tuple[dict[str, Any], str]] = {
    "no steps": ({"steps": 0}, "steps is 0; use 1 to 1,000,000"),
    "steps that are no integer": ({"steps": 2.0}, "steps is 2.0; use 1 to 1,000,000"),
    "readout": (
        {"readout": "rate"},
        "readout is 'rate'; use one of 'count_argmax_lowest', 'membrane_last_argmax_lowest', "
        "'membrane_sum_argmax_lowest', 'membrane_max_argmax_lowest'",
    ),
    "name": (
        {"nodes": {"a b": linear(), "lif": neuron()}},
        "node name 'a b' is not usable; use letters, digits, '_', '-' and '.', starting with a "
        "letter",
    ),
    "name with a newline": (
        {"nodes": {"a\n": linear(), "lif": neuron()}},
        "node name 'a\\n' is not usable; use letters, digits, '_', '-' and '.', starting with a "
        "letter",
    ),
    "reserved name": (
        {"nodes": {"output": linear(), "lif": neuron()}},
        "a node is named 'output', which is reserved; rename it",
    ),
    "edge twice": (
        {"edges": (*chain("fc", "lif"), ("fc", "lif"))},
        "edge fc -> lif is there twice; remove one",
    ),
    "edge to nothing": (
        {"edges": (*chain("fc", "lif"), ("lif", "fc2"))},
        "edge lif -> fc2 names 'fc2', which is no node; add the node or remove the edge",
    ),
    "edge that would steer a terminal": (
        {"edges": (*chain("fc", "lif"), ("lif", "\x1b[2Jfc2"))},
        "edge 'lif' -> '\\x1b[2Jfc2' names '\\x1b[2Jfc2', which is no node; add the node or remove "
        "the edge",
    ),
    "edge into the input": (
        {"edges": (*chain("fc", "lif"), ("lif", INPUT))},
        "edge lif -> input leads into the input or out of the output; turn it round",
    ),
    "edge out of the output": (
        {"edges": (*chain("fc", "lif"), (OUTPUT, "fc"))},
        "edge output -> fc leads into the input or out of the output; turn it round",
    ),
    "no output": (
        {"edges": chain("fc", "lif")[:-1]},
        "output is fed by nothing; connect exactly one neuron layer to it",
    ),
    "output of weights": (
        {"nodes": {"fc": linear()}},
        "output is fed by fc; connect exactly one neuron layer to it",
    ),
    "input to output": (
        {"edges": (*chain("fc", "lif")[:-1], (INPUT, OUTPUT))},
        "output is fed by input; connect exactly one",
    ),
    "two outputs": (
        {
            "nodes": {**NODES, "lif2": neuron()},
            "edges": (*chain("fc", "lif"), ("fc", "lif2"), ("lif2", OUTPUT)),
        },
        "output is fed by lif, lif2; connect exactly one neuron layer to it",
    ),
    "apart": (
        {"nodes": {**NODES, "far": linear()}, "edges": chain("fc", "lif")},
        "far cannot be reached from the input; connect it or remove it",
    ),
    "cycle without a neuron": (
        {"nodes": LOOP, "edges": (*chain("fc", "lif"), ("fc", "back"), ("back", "fc"))},
        "back, fc form a cycle without a neuron; put a neuron layer into it",
    ),
    "cycle of delays": (
        {
            "nodes": {"late": Delay(2), "lif": neuron()},
            "edges": (*chain("late", "lif"), ("late", "late")),
        },
        "late form a cycle without a neuron; put a neuron layer into it",
    ),
    "inputs that differ": (
        {
            "nodes": {"fc": linear(3), "lif": neuron(3)},
            "edges": (*chain("fc", "lif"), (INPUT, "lif")),
        },
        "lif: its inputs differ in shape (fc (3,), input (2,)); make them equal",
    ),
    "feedback of another shape": (
        {
            "nodes": {"fc": linear(), "a": neuron(), "wide": linear(3), "b": neuron(3)},
            "edges": (*chain("fc", "a", "wide", "b"), ("b", "a")),
        },
        "a: its feedback from b has shape (3,), the rest of its input (2,); make them equal",
    ),
    "features": (
        {"nodes": {"fc": linear(2, 5), "lif": neuron()}},
        "fc: Linear takes (5,) but gets (2,); check the layer before it",
    ),
    "channels": (
        {"nodes": {"fc": linear(3), "lif": neuron()}},
        "lif: Neuron has 2 channels but gets (3,); check the layer before it",
    ),
    "flat input of a convolution": (
        {"nodes": {"conv": conv(), "lif": neuron()}},
        "conv: Conv2d takes (1, height, width) but gets (2,); check the layer before it",
    ),
    "flat input of a pooling": (
        {"nodes": {"pool": SumPool2d((2, 2), (2, 2)), "lif": neuron()}},
        "pool: SumPool2d takes (channels, height, width) but gets (2,); check the layer before it",
    ),
    "kernel larger than its input": (
        {
            "nodes": {"conv": conv(dilation=(1, 2)), "lif": neuron()},
            "input": Input((1, 4, 4), "u8"),
        },
        "conv: Conv2d covers (3, 5) pixels but gets (4, 4) with padding (0, 0); check the layer "
        "before it",
    ),
    "currents delayed into events": (
        {
            "nodes": {
                "fc": linear(),
                "late": Delay(1),
                "lif": neuron(update="event", reset_timing="same_step"),
            }
        },
        "late delays currents into lif, which updates by event; delay the spikes before the "
        "weights instead",
    ),
}


@pytest.mark.parametrize("case", STRUCTURE)
def test_a_structure_that_cannot_be_is_refused(case: str) -> None:
    network()  # it is the change that makes it wrong
    changes, message = STRUCTURE[case]
    with pytest.raises(FileRefused) as caught:
        network(**changes)
    assert str(caught.value).startswith(message)


ONES = np.ones((2, 2), int)
HALVES: Any = ONES / 2
MADE: dict[str, tuple[Any, str]] = {
    "input kind": (lambda: Input((2,), "floats"), "input kind is 'floats'; use 'u8' or 'spikes'"),  # type: ignore[arg-type]
    "input shape": (
        lambda: Input((2, 0), "u8"),
        "input shape is (2, 0); give at least one axis, each of at least 1",
    ),
    "no input shape": (
        lambda: Input((), "u8"),
        "input shape is (); give at least one axis, each of at least 1",
    ),
    "zero weight": (
        lambda: Linear(0 * ONES),
        "Linear weight holds 0, but weights are declared -1 or +1; binarize them first",
    ),
    "unknown kind": (
        lambda: Linear(ONES, "int1"),  # type: ignore[arg-type]
        "weights are declared 'int1'; lehr reads 'binary', 'ternary' and 'int2' to 'int8'",
    ),
    "large ternary weight": (
        lambda: Linear(2 * ONES, "ternary"),
        "Linear weight holds 2, but weights are declared 'ternary', -1 to 1; quantize them first",
    ),
    "large weight": (
        lambda: Linear(300 * ONES),
        "Linear weight holds 300, which int8 cannot; use -128 to 127",
    ),
    "float weight": (
        lambda: Linear(HALVES),
        "Linear weight has dtype float64, not integers; round it to integers first",
    ),
    "weight of one axis": (
        lambda: Linear(ONES[0]),
        "Linear weight has shape (2,); give 2 axes, none of them empty",
    ),
    "empty weight": (
        lambda: Linear(ONES[:0]),
        "Linear weight has shape (0, 2); give 2 axes, none of them empty",
    ),
    "weight of two axes": (
        lambda: Conv2d(ONES),
        "Conv2d weight has shape (2, 2); give 4 axes, none of them empty",
    ),
    "stride": (lambda: conv(stride=0), "Conv2d stride is 0; give two integers of at least 1"),
    "padding": (
        lambda: conv(padding=(0, -1)),
        "Conv2d padding is (0, -1); give two integers of at least 0",
    ),
    "dilation": (
        lambda: conv(dilation=(1, 1, 1)),
        "Conv2d dilation is (1, 1, 1); give two integers of at least 1",
    ),
    "groups": (
        lambda: conv(groups=3),
        "Conv2d groups is 3; use a divisor of its 2 output channels",
    ),
    "kernel": (
        lambda: SumPool2d((0, 2), (1, 1)),
        "SumPool2d kernel is (0, 2); give two integers of at least 1",
    ),
    "delay": (lambda: Delay(0), "Delay steps is 0; use 1 to 65,536"),
    "delay by half": (lambda: Delay(1.5), "Delay steps is 1.5; use 1 to 65,536"),  # type: ignore[arg-type]
    "threshold": (
        lambda: Neuron(np.array([1, 0]), np.zeros(2, int), Arithmetic()),
        "Neuron threshold holds 0; a threshold is an integer of at least 1",
    ),
    "large threshold": (
        lambda: Neuron(np.array([2**31]), np.zeros(1, int), Arithmetic()),
        "Neuron threshold holds 2147483648, which int32 cannot; use -2147483648 to 2147483647",
    ),
    "no threshold": (
        lambda: Neuron(ONES[0, :0], ONES[0], Arithmetic()),
        "Neuron threshold has shape (0,); give one integer per channel, or one per neuron",
    ),
    "bias": (
        lambda: Neuron(ONES[0], np.zeros(3, int), Arithmetic()),
        "Neuron has 2 thresholds and 3 biases; give one of each per channel",
    ),
}


@pytest.mark.parametrize("case", MADE)
def test_a_node_that_cannot_be_is_refused(case: str) -> None:
    make, message = MADE[case]
    with pytest.raises(FileRefused) as caught:
        make()
    assert str(caught.value) == message


def test_feedback_and_order_follow_from_the_edges_and_not_from_names() -> None:
    """Two hidden layers; z hears itself and a, which comes after it; whatever the names, the same edges carry the step before."""
    nodes = {
        "m": linear(),
        "z": neuron(),
        "self": linear(),
        "b": linear(),
        "a": neuron(),
        "back": linear(),
    }
    edges = (*chain("m", "z", "b", "a"), ("z", "self"), ("self", "z"), ("a", "back"), ("back", "z"))
    net = network(nodes, edges)
    assert net.feedback == {("self", "z"), ("back", "z")}
    place = {name: net.order.index(name) for name in nodes}
    assert place["m"] < place["z"] < place["b"] < place["a"] < place["back"]
    assert place["z"] < place["self"]
    assert list(net.neurons) == ["z", "a"]
    assert net.output == "a"
    renamed = {name: f"n{i}" for i, name in enumerate(sorted(nodes, reverse=True))} | {
        INPUT: INPUT,
        OUTPUT: OUTPUT,
    }
    twin = network(
        {renamed[n]: node for n, node in nodes.items()},
        tuple((renamed[a], renamed[b]) for a, b in edges),
    )
    assert twin.feedback == {(renamed[a], renamed[b]) for a, b in net.feedback}


def test_a_shortcut_is_no_feedback() -> None:
    net = network(
        {"fc": linear(), "a": neuron(), "fc2": linear(), "b": neuron()},
        (*chain("fc", "a", "fc2", "b"), ("a", "b")),
    )
    assert net.feedback == frozenset()
    assert net.order == ("fc", "a", "fc2", "b")


def test_shapes_leave_batch_and_time_out() -> None:
    nodes: dict[str, Node] = {
        "conv": conv(stride=2, padding=(1, 0)),
        "pool": SumPool2d((2, 1), (2, 1)),
        "lif": neuron(),
    }
    nodes |= {"flat": Flatten(), "fc": linear(5, 2 * 2 * 3), "out": neuron(5)}
    net = network(nodes, input=Input((1, 8, 8), "u8"))
    assert dict(net.shapes) == {
        "input": (1, 8, 8), "conv": (2, 4, 3), "pool": (2, 2, 3), "lif": (2, 2, 3), "flat": (12,), "fc": (5,), "out": (5,)
    }  # fmt: skip


@budget(8, 166)
@given(networks())
def test_the_order_of_what_is_given_does_not_matter(net: Network) -> None:
    turned = Network(dict(reversed(list(net.nodes.items()))), net.edges[::-1], net.input, net.steps)
    assert turned == net
    assert turned.digest == net.digest
    assert turned.order == net.order


def test_the_digest_tells_every_number() -> None:
    net = network()
    flipped = Linear(np.array([[1, 1], [1, -1]]))
    others = [
        replace(net, steps=5),
        replace(net, input=Input((2,), "u8")),
        replace(net, nodes={**net.nodes, "fc": flipped}),
        replace(
            net,
            nodes={**net.nodes, "lif": Neuron(np.array([3, 4]), np.zeros(2, int), Arithmetic())},
        ),
        replace(
            net,
            nodes={**net.nodes, "lif": Neuron(np.array([3, 3]), np.array([0, 1]), Arithmetic())},
        ),
        replace(net, nodes={**net.nodes, "lif": neuron(fires="ge")}),
        replace(net, nodes={"fc": linear(), "lif2": neuron()}, edges=chain("fc", "lif2")),
        replace(
            net,
            nodes={**net.nodes, "more": linear()},
            edges=(*net.edges, (INPUT, "more"), ("more", "lif")),
        ),
    ]
    assert len({net.digest, *(other.digest for other in others)}) == len(others) + 1
    assert all(other != net for other in others)
    assert network() == net
    assert network().digest == net.digest


def test_a_network_cannot_be_changed() -> None:
    given = np.full(2, 3)
    lif = Neuron(given, given, Arithmetic())
    given[0] = 9
    assert lif.threshold.tolist() == [3, 3]
    with pytest.raises(ValueError, match="read-only"):
        lif.threshold[0] = 9
    nodes: Any = network().nodes
    with pytest.raises(TypeError):
        nodes["x"] = lif
