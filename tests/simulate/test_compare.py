"""Comparison finds every difference, and tells the first one in the order of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from strategies import small_network

from lehr.errors import NotBitExact
from lehr.simulate import Difference, Trace, compare, simulate

NET, X = small_network()
EXPECTED = simulate(NET, X, trace=NET.neurons).trace


def changed(*places: tuple[str, str, tuple[int, ...]]) -> Trace:
    """Return the expected trace with other values at some places: (quantity, layer, index)."""
    got = Trace(
        {n: v.copy() for n, v in EXPECTED.spikes.items()},
        {n: v.copy() for n, v in EXPECTED.membranes.items()},
    )
    for quantity, layer, index in places:
        if quantity == "spike":
            got.spikes[layer][index] ^= 1
        else:
            got.membranes[layer][index] += 1
    return got


def test_equal_traces_are_equal() -> None:
    comparison = compare(EXPECTED, changed())
    assert comparison.equal
    assert comparison.first is None
    assert (
        str(comparison) == "0 of 4,464 membranes and 0 spikes differ"
    )  # 6 samples, 8 steps, 64 + 24 + 5 neurons
    comparison.require_equal("a copy")


def test_one_spike_and_one_membrane_are_counted() -> None:
    spike, membrane = ("spike", "lif2", (3, 2, 5, 1, 0)), ("membrane", "out", (5, 7, 4))
    comparison = compare(EXPECTED, changed(spike, membrane))
    assert not comparison.equal
    assert (comparison.values, comparison.membranes, comparison.spikes) == (4464, 1, 1)
    before = int(EXPECTED.spikes["lif2"][3, 2, 5, 1, 0])
    assert comparison.first == Difference("lif2", "spike", 3, 2, (5, 1, 0), before, 1 - before)


# From the first to the last; each is to be named in the presence of all that follow.
IN_ORDER = [
    ("membrane", "lif1", (1, 3, 2, 0, 0)),
    ("spike", "lif1", (1, 3, 0, 1, 1)),
    ("membrane", "lif2", (1, 3, 0, 0, 1)),
    ("spike", "lif2", (1, 3, 0, 0, 0)),
    ("membrane", "out", (1, 3, 0)),
    ("membrane", "lif1", (1, 4, 0, 0, 0)),
    ("spike", "out", (2, 0, 0)),
]


@pytest.mark.parametrize("start", range(len(IN_ORDER)))
def test_the_first_is_by_sample_step_layer_and_membrane_before_spike(start: int) -> None:
    first = compare(EXPECTED, changed(*reversed(IN_ORDER[start:]))).first
    assert first is not None
    quantity, layer, index = IN_ORDER[start]
    assert (first.quantity, first.layer, (first.sample, first.step, *first.neuron)) == (
        quantity,
        layer,
        index,
    )


def test_a_difference_is_said_in_one_sentence() -> None:
    got = changed(("membrane", "lif2", (0, 1, 2, 0, 1)))
    expected = int(EXPECTED.membranes["lif2"][0, 1, 2, 0, 1])
    sentence = f"lif2: membrane of neuron (2, 0, 1) at step 1 of sample 0 is {expected + 1}, expected {expected}"
    assert (
        str(compare(EXPECTED, got))
        == f"1 of 4,464 membranes and 0 spikes differ; first: {sentence}"
    )
    with pytest.raises(NotBitExact) as caught:
        compare(EXPECTED, got).require_equal("a changed copy")
    assert str(caught.value) == (
        f"a changed copy: 1 of 4,464 membranes and 0 spikes differ; first: {sentence};"
        " rebuild it, or report the difference as a bug of lehr if nobody changed the files"
    )


def test_a_missing_layer_and_another_shape_are_refused() -> None:
    whole = changed()
    without = replace(whole, spikes={n: v for n, v in whole.spikes.items() if n != "lif2"})
    with pytest.raises(NotBitExact) as caught:
        compare(EXPECTED, without)
    message = "lif2: expected a trace of shape (6, 8, 6, 2, 2), got nothing; trace the same layers and steps in both"
    assert str(caught.value) == message
    shorter = replace(whole, membranes={n: v[:, :-1] for n, v in whole.membranes.items()})
    with pytest.raises(
        NotBitExact,
        match=r"^lif1: expected a trace of shape \(6, 8, 4, 4, 4\), got \(6, 7, 4, 4, 4\); trace the same",
    ):
        compare(EXPECTED, shorter)


def test_signed_values_do_not_wrap_in_the_message() -> None:
    membranes = {"v": np.array([[[-3]]], np.int32)}
    spikes = {"v": np.zeros((1, 1, 1), np.uint8)}
    got = Trace(spikes, {"v": np.array([[[4]]], np.int32)})
    assert (
        str(compare(Trace(spikes, membranes), got).first)
        == "v: membrane of neuron (0) at step 0 of sample 0 is 4, expected -3"
    )
