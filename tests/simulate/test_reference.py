"""The definition against computations by hand.

There is one neuron for each field of the arithmetic, then time, inputs and readout.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from strategies import alive, networks, random_input, small_network

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Delay, Edge, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.simulate import Result, compare, reference, simulate

IF = Arithmetic()
LEAKY = Arithmetic(decay_numerator=7, decay_shift=3)


def neuron(threshold: int, bias: int = 0, arithmetic: Arithmetic = IF) -> Neuron:
    """One neuron."""
    return Neuron(np.array([threshold], np.int32), np.array([bias], np.int32), arithmetic)


def weight(sign: int) -> Linear:
    """One weight."""
    return Linear(np.array([[sign]], np.int8))


def wired(nodes: dict[str, Node], *edges: Edge, output: str) -> Network:
    """Build a network with one input."""
    return Network(nodes, (*edges, (output, OUTPUT)), Input((1,), "u8"), steps=4)


def over_time(net: Network, *values: int) -> Result:
    """Run one sample, one value a step, and trace all layers."""
    return simulate(net, np.array(values, np.uint8).reshape(1, -1, 1), trace=net.neurons)


def history(result: Result, name: str) -> tuple[list[int], list[int]]:
    """Membranes and spikes of one neuron, step by step."""
    return result.trace.membranes[name].ravel().tolist(), result.trace.spikes[name].ravel().tolist()


# -------------------------------------------------------------------- one neuron, field by field
BY_HAND: dict[str, tuple[dict[str, Any], int, int, int, list[int], list[int], list[int]]] = {
    # name: fields, weight, threshold, bias, inputs, membranes, spikes
    "subtract, next step": ({}, 1, 3, 0, [2, 2, 2, 2], [2, 4, 3, 5], [0, 1, 0, 1]),
    "subtract, same step": ({"reset_timing": "same_step"}, 1, 3, 0, [2, 2, 2, 2], [2, 1, 3, 2], [0, 1, 0, 1]),
    "zero, next step": ({"reset": "zero"}, 1, 3, 0, [2, 2, 2, 2], [2, 4, 2, 4], [0, 1, 0, 1]),
    "zero, same step": ({"reset": "zero", "reset_timing": "same_step"}, 1, 3, 0, [2, 2, 2, 2], [2, 0, 2, 0], [0, 1, 0, 1]),
    "none, next step": ({"reset": "none"}, 1, 3, 0, [2, 2, 2, 2], [2, 4, 6, 8], [0, 1, 1, 1]),
    "none, same step": ({"reset": "none", "reset_timing": "same_step"}, 1, 3, 0, [2, 2, 2, 2], [2, 4, 6, 8], [0, 1, 1, 1]),
    "greater": ({"fires": "gt"}, 1, 4, 0, [2, 2, 2, 2], [2, 4, 6, 4], [0, 0, 1, 0]),
    "greater or equal, subtracts the threshold": ({"fires": "ge"}, 1, 4, 0, [2, 2, 2, 2], [2, 4, 2, 4], [0, 1, 0, 1]),
    "multiply 7/8 toward zero": ({**vars(LEAKY)}, -1, 99, 0, [9, 0, 0, 0], [-9, -7, -6, -5], [0, 0, 0, 0]),
    "multiply 7/8 floor": ({**vars(LEAKY), "rounding": "floor"}, -1, 99, 0, [9, 0, 0, 0], [-9, -8, -7, -7], [0, 0, 0, 0]),
    "multiply 7/8 nearest": ({**vars(LEAKY), "rounding": "nearest_even"}, 1, 99, 0, [9, 0, 0, 0], [9, 8, 7, 6], [0, 0, 0, 0]),
    "multiply 1/2 nearest even": (
        {"decay_numerator": 1, "decay_shift": 1, "rounding": "nearest_even"}, 1, 99, 0, [7, 0, 3, 0], [7, 4, 5, 2], [0, 0, 0, 0],
    ),
    "shift by 3 toward zero": ({**vars(LEAKY), "decay_form": "shift"}, 1, 99, 0, [9, 0, 0, 0], [9, 8, 7, 7], [0, 0, 0, 0]),
    "shift by 3 floor": (
        {**vars(LEAKY), "decay_form": "shift", "rounding": "floor"}, -1, 99, 0, [9, 0, 0, 0], [-9, -7, -6, -5], [0, 0, 0, 0],
    ),
    "shift by 3 nearest": (
        {**vars(LEAKY), "decay_form": "shift", "rounding": "nearest_even"}, 1, 99, 0, [5, 0, 0, 0], [5, 4, 4, 4], [0, 0, 0, 0],
    ),
    "no memory": ({"decay_numerator": 0}, 1, 3, 0, [2, 4, 2, 0], [2, 4, -1, 0], [0, 1, 0, 0]),
    "fraction bits scale the input, not the bias": ({"fraction_bits": 2}, 1, 20, 3, [2, 2, 0, 1], [11, 22, 5, 12], [0, 1, 0, 0]),
    "negative bias": ({}, 1, 3, -1, [2, 2, 2, 2], [1, 2, 3, 4], [0, 0, 0, 1]),
    "saturates above": ({"state_bits": 8}, 1, 126, 0, [100, 100, 0, 0], [100, 127, 1, 1], [0, 1, 0, 0]),
    "saturates below": ({"state_bits": 8}, -1, 126, 0, [100, 100, 1, 0], [-100, -128, -128, -128], [0, 0, 0, 0]),
    "saturates once, after the reset": ({"state_bits": 8}, 1, 120, 0, [125, 50, 0, 0], [125, 55, 55, 55], [1, 0, 0, 0]),
    "wraps above": ({"state_bits": 8, "overflow": "wrap"}, 1, 126, 0, [100, 100, 100, 0], [100, -56, 44, 44], [0, 0, 0, 0]),
    "wraps below": ({"state_bits": 8, "overflow": "wrap"}, -1, 126, 0, [100, 100, 1, 0], [-100, 56, 55, 55], [0, 0, 0, 0]),
    "reset before the decay of the next step": (
        {**vars(LEAKY), "reset_timing": "same_step"}, 1, 8, 0, [24, 0, 0, 0], [16, 6, 5, 4], [1, 1, 0, 0],
    ),
    "reset after the decay, next step": ({**vars(LEAKY)}, 1, 8, 0, [24, 0, 0, 0], [24, 13, 3, 2], [1, 1, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_one_neuron_by_hand(name: str) -> None:
    fields, sign, threshold, bias, values, membranes, spikes = BY_HAND[name]
    net = wired(
        {"w": weight(sign), "v": neuron(threshold, bias, Arithmetic(**fields))},
        (INPUT, "w"),
        ("w", "v"),
        output="v",
    )
    assert history(over_time(net, *values), "v") == (membranes, spikes)


def test_saturations_are_counted_and_wraps_too() -> None:
    for arithmetic in (Arithmetic(state_bits=8), Arithmetic(state_bits=8, overflow="wrap")):
        net = wired({"v": neuron(200, arithmetic=arithmetic)}, (INPUT, "v"), output="v")
        assert over_time(net, 100, 20, 200, 0).saturations == {"v": 1}


# -------------------------------------------------------------------- time
def test_feed_forward_layers_answer_in_the_same_step() -> None:
    net = wired({"a": neuron(1), "b": neuron(1, bias=1)}, (INPUT, "a"), ("a", "b"), output="b")
    result = over_time(net, 2, 0, 0)
    assert history(result, "a") == ([2, 1, 1], [1, 0, 0])
    assert history(result, "b") == ([2, 2, 2], [1, 1, 1])


def test_a_delay_holds_back_by_its_steps() -> None:
    net = wired({"d": Delay(2), "v": neuron(9)}, (INPUT, "d"), ("d", "v"), output="v")
    assert history(over_time(net, 3, 4, 5, 6, 7), "v") == ([0, 0, 3, 7, 12], [0, 0, 0, 0, 1])


def test_feedback_arrives_one_step_later_and_a_delay_adds_to_it() -> None:
    inhibited = {"v": neuron(1), "w": weight(-1)}
    net = wired(inhibited, (INPUT, "v"), ("v", "w"), ("w", "v"), output="v")
    # The reset takes 1 and the inhibition another 1, both one step after the spike.
    assert history(over_time(net, 4, 0, 0, 0), "v") == ([4, 2, 0, 0], [1, 1, 0, 0])
    late = wired(
        {**inhibited, "d": Delay(1)}, (INPUT, "v"), ("v", "d"), ("d", "w"), ("w", "v"), output="v"
    )
    assert history(over_time(late, 4, 0, 0, 0, 0), "v") == ([4, 3, 1, 0, 0], [1, 1, 0, 0, 0])


def test_a_neuron_may_hear_itself() -> None:
    net = wired({"v": neuron(1)}, (INPUT, "v"), ("v", "v"), output="v")
    assert history(over_time(net, 2, 0, 0), "v") == ([2, 2, 2], [1, 1, 1])


def test_edges_into_one_node_are_added() -> None:
    nodes: dict[str, Node] = {
        "plus": weight(1),
        "minus": weight(-1),
        "late": Delay(1),
        "v": neuron(99),
    }
    net = wired(
        nodes,
        (INPUT, "plus"),
        (INPUT, "late"),
        ("late", "minus"),
        ("plus", "v"),
        ("minus", "v"),
        output="v",
    )
    assert history(over_time(net, 5, 7, 1), "v") == ([5, 7, 1], [0, 0, 0])


# -------------------------------------------------------------------- inputs and readout
def test_held_input_is_repeated_input() -> None:
    net, x = small_network()
    held, repeated = (
        simulate(net, given, trace=net.neurons)
        for given in (x, np.repeat(x[:, None], net.steps, axis=1))
    )
    assert alive(held)
    for name in net.neurons:
        assert np.array_equal(held.trace.membranes[name], repeated.trace.membranes[name])
        assert np.array_equal(held.trace.spikes[name], repeated.trace.spikes[name])


def test_fewer_steps_are_the_first_ones() -> None:
    net, x = small_network()
    whole, start = simulate(net, x, trace=["out"]), simulate(net, x, trace=["out"], steps=3)
    assert np.array_equal(start.trace.membranes["out"], whole.trace.membranes["out"][:, :3])
    assert np.array_equal(start.counts, whole.trace.spikes["out"][:, :3].sum(axis=1))


@budget(10, 66)
@given(net=networks(), seed=st.integers(0, 2**16))
def test_samples_do_not_touch_each_other_and_counts_are_the_spikes(net: Network, seed: int) -> None:
    x = random_input(net, np.random.default_rng(seed), samples=3)
    together = simulate(net, x, trace=net.neurons)
    alone = simulate(net, x[1:2], trace=net.neurons)
    for name in net.neurons:
        assert np.array_equal(alone.trace.membranes[name], together.trace.membranes[name][1:2])
        assert together.rates[name] == together.trace.spikes[name].mean()
    spikes = together.trace.spikes[net.output]
    assert np.array_equal(together.counts, spikes.sum(axis=1, dtype=np.int64).reshape(3, -1))
    assert np.array_equal(together.prediction, together.counts.argmax(axis=1))


def test_many_samples_are_run_in_chunks_that_make_no_difference() -> None:
    net, x = small_network()
    many = simulate(net, np.resize(x, (300, *x.shape[1:])), trace=["lif1"])
    few = simulate(net, x, trace=["lif1"])
    assert np.array_equal(many.trace.membranes["lif1"][294:], few.trace.membranes["lif1"])
    assert np.array_equal(many.counts[258:264], few.counts)
    assert many.rates["lif1"] == pytest.approx(few.rates["lif1"])


def test_ties_go_to_the_lowest_class_and_accuracy_counts_hits() -> None:
    lif = Neuron(np.array([9, 1, 1], np.int32), np.zeros(3, np.int32), IF)
    net = Network(
        {"w": Linear(np.ones((3, 1), np.int8)), "v": lif},
        ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)),
        Input((1,), "u8"),
        3,
    )
    result = simulate(net, np.array([[2], [0]], np.uint8))
    assert result.counts.tolist() == [[0, 3, 3], [0, 0, 0]]
    assert result.prediction.tolist() == [1, 0]
    assert result.counts.dtype == np.int32
    assert result.prediction.dtype == np.int64
    assert result.accuracy(np.array([1, 1])) == 0.5


@pytest.mark.few(5)
@pytest.mark.parametrize(
    "fields",
    [
        {"decay_form": "shift"},
        {"decay_numerator": 6},
        {"rounding": "floor"},
        {"rounding": "nearest_even"},
        {"reset": "zero"},
        {"reset": "none"},
        {"reset_timing": "same_step"},
        {"fires": "ge"},
        {"fraction_bits": 3},
        {"state_bits": 10},
        {"state_bits": 10, "overflow": "wrap"},
    ],
    ids=str,
)
def test_every_field_makes_a_difference(fields: dict[str, Any]) -> None:
    net, x = small_network()
    nodes = {
        name: replace(layer, arithmetic=replace(layer.fields, **fields))
        for name, layer in net.neurons.items()
    }
    other = replace(net, nodes={**net.nodes, **nodes})
    usual, changed = (simulate(n, x, trace=n.neurons) for n in (net, other))
    assert alive(usual)
    assert any(
        (usual.trace.spikes[name] != changed.trace.spikes[name]).any() for name in net.neurons
    )


def test_samples_that_run_one_by_one_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_network()
    together = simulate(net, x, trace=net.neurons)
    assert alive(together)
    monkeypatch.setattr(reference, "MOST_VALUES", 1)
    assert [(start, len(batch)) for start, batch in reference.batches(net, x)] == [
        (number, 1) for number in range(len(x))
    ]
    alone = simulate(net, x, trace=net.neurons)
    compare(together.trace, alone.trace).require_equal("one by one")
    assert alone.rates == together.rates
    assert np.array_equal(alone.counts, together.counts)
