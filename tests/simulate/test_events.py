"""Neurons that test their threshold after every event: order, counts, reset, width, feedback.

All is computed by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from strategies import networks, random_input

from lehr.arithmetic import Arithmetic, Reset
from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Conv2d, Edge, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate import Result, simulate

EVENT = Arithmetic(update="event", reset_timing="same_step")


def neuron(
    threshold: int, bias: int = 0, arithmetic: Arithmetic = EVENT, channels: int = 1
) -> Neuron:
    """Neurons with one threshold and one bias."""
    return Neuron(
        np.full(channels, threshold, np.int32), np.full(channels, bias, np.int32), arithmetic
    )


def fed(layer: Neuron, *weights: int) -> Network:
    """One neuron with a weight for each input."""
    return Network(
        {"w": Linear(np.array([weights], np.int8), "int8"), "v": layer},
        ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)),
        Input((len(weights),), "u8"),
        steps=1,
    )


def traced(net: Network, *steps: list[int]) -> Result:
    """Run one sample and trace all layers."""
    return simulate(
        net, np.array([steps], np.uint8).reshape(1, len(steps), *net.input.shape), trace=net.neurons
    )


def history(result: Result, name: str = "v") -> tuple[list[int], list[int]]:
    """Membranes and spike counts of one neuron, step by step."""
    return result.trace.membranes[name].ravel().tolist(), result.trace.spikes[name].ravel().tolist()


@pytest.mark.parametrize(
    ("weights", "membrane", "spikes"),
    [
        ((1, 1, -1), 0, 1),  # 1, 2 fires and leaves 1, 0
        ((-1, 1, 1), 1, 0),  # -1, 0, 1
        ((1, -1, 1), 1, 0),  # 1, 0, 1
    ],
)
def test_events_arrive_by_ascending_index_and_their_order_matters(
    weights: tuple[int, ...], membrane: int, spikes: int
) -> None:
    assert history(traced(fed(neuron(1), *weights), [1, 1, 1])) == ([membrane], [spikes])


@pytest.mark.parametrize(
    ("reset", "membrane", "spikes"), [("subtract", 2, 3), ("zero", 2, 2), ("none", 8, 6)]
)
def test_a_count_is_that_many_events_and_a_neuron_may_fire_more_than_once(
    reset: Reset, membrane: int, spikes: int
) -> None:
    arithmetic = Arithmetic(update="event", reset_timing="same_step", reset=reset)
    assert history(traced(fed(neuron(2, arithmetic=arithmetic), 1), [8])) == ([membrane], [spikes])


def test_a_step_decays_and_takes_the_bias_before_its_events() -> None:
    arithmetic = Arithmetic(
        update="event", reset_timing="same_step", decay_numerator=1, decay_shift=1, fraction_bits=2
    )
    # 0 + 3 + 4 + 4 = 11; 11/2 -> 5, + 3 + 4 = 12 fires and leaves 1; 1/2 -> 0, + 3
    assert history(traced(fed(neuron(11, bias=3, arithmetic=arithmetic), 1), [2], [1], [0])) == (
        [11, 1, 3],
        [0, 1, 0],
    )


def test_a_neuron_without_an_event_does_not_fire() -> None:
    assert history(traced(fed(neuron(2, bias=5), 1), [0], [1])) == ([5, 9], [0, 1])


def test_a_weight_of_zero_is_no_synapse() -> None:
    assert history(traced(fed(neuron(2, bias=5), 0, 1), [3, 0], [0, 1])) == ([5, 9], [0, 1])


def test_an_event_adds_its_weight_at_once() -> None:
    # 5 fires and leaves 2; -7: -5; 5: 0
    assert history(traced(fed(neuron(3), 5, -7, 5), [1, 1, 1])) == ([0], [1])


def test_an_event_outside_the_receptive_field_is_none() -> None:
    conv = Conv2d(np.ones((1, 1, 1, 1), np.int8))
    net = Network(
        {"w": conv, "v": neuron(2, bias=5)},
        ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)),
        Input((1, 1, 2), "spikes"),
        steps=1,
    )
    assert history(traced(net, [0, 1])) == ([5, 4], [0, 1])


def test_membranes_are_brought_into_their_width_after_every_event() -> None:
    arithmetic = Arithmetic(update="event", reset_timing="same_step", fraction_bits=6, state_bits=8)
    # 64, 127 (saturated), 63; taken together, 64 would be right
    result = traced(fed(neuron(127, arithmetic=arithmetic), 1, 1, -1), [1, 1, 1])
    assert history(result) == ([63], [0])
    assert result.saturations == {"v": 1}


def test_events_of_feedback_come_before_the_others() -> None:
    nodes: dict[str, Node] = {
        "w": Linear(np.array([[1]], np.int8)),
        "back": Linear(np.array([[-1]], np.int8)),
        "v": neuron(1),
    }
    edges: tuple[Edge, ...] = (
        (INPUT, "w"),
        ("w", "v"),
        ("v", "back"),
        ("back", "v"),
        ("v", OUTPUT),
    )
    net = Network(nodes, edges, Input((1,), "u8"), steps=3)
    # 1, 2 fires and leaves 1; then -1 first: 0, 1, 2 fires and leaves 1 (the other order would fire
    # twice: 2, 2); then -1
    assert history(traced(net, [2], [2], [0])) == ([1, 1, 0], [1, 1, 0])


def test_counts_travel_to_the_next_layer() -> None:
    net = Network(
        {"w": Linear(np.ones((1, 1), np.int8)), "a": neuron(1), "b": neuron(100)},
        ((INPUT, "w"), ("w", "a"), ("a", "b"), ("b", OUTPUT)),
        Input((1,), "u8"),
        steps=1,
    )
    result = traced(net, [9])
    assert history(result, "a") == ([1], [8])
    assert history(result, "b") == ([8], [0])


def test_pooling_passes_events_on_one_by_one() -> None:
    net = Network(
        {"p": SumPool2d((1, 2), (1, 2)), "v": neuron(2)},
        ((INPUT, "p"), ("p", "v"), ("v", OUTPUT)),
        Input((1, 1, 4), "u8"),
        steps=1,
    )
    assert history(traced(net, [3, 2, 1, 1])) == ([1, 2], [2, 0])


def test_more_than_255_spikes_in_a_step_are_refused() -> None:
    with pytest.raises(NotMappable) as caught:
        traced(
            fed(
                neuron(
                    1, arithmetic=Arithmetic(update="event", reset_timing="same_step", reset="none")
                ),
                1,
                1,
            ),
            [255, 2],
        )
    assert (
        str(caught.value)
        == "v: a neuron fired 256 times in one step, more than 255; raise its threshold"
    )
    assert history(traced(fed(neuron(1), 1, 1), [255, 1])) == ([1], [255])


@budget(3, 66)
@given(net=networks(update="event"))
def test_samples_do_not_touch_each_other(net: Network) -> None:
    x = random_input(net, np.random.default_rng(0), samples=3)
    together, alone = simulate(net, x, trace=net.neurons), simulate(net, x[2:], trace=net.neurons)
    for name in net.neurons:
        assert np.array_equal(alone.trace.membranes[name], together.trace.membranes[name][2:])
        assert np.array_equal(alone.trace.spikes[name], together.trace.spikes[name][2:])
