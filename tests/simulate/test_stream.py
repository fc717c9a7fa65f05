"""Streams: chunks of any length are one long input, or each begins anew; memory does not grow."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hard_networks import HARD
from results import require_same
from states import MEMBRANE_READOUTS
from strategies import recurrent_network

from lehr.errors import FileRefused, UsageError
from lehr.simulate import simulate
from lehr.simulate.fast.stream import Stream, binned, stream
from lehr.simulate.parts import continued

CUTS = (1, 2, 5, 6)
STREAMED = (
    "recurrent",
    "delayed",
    "knot",
    "knot by event",
    "two states",
    "8 bits",
    "32 bits",
    *MEMBRANE_READOUTS,
)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", STREAMED)
def test_chunks_are_one_long_input(name: str) -> None:
    net, x = HARD[name]()
    running = Stream(net, len(x), net.neurons)
    parts = [running.feed(part) for part in np.split(x, CUTS, axis=1)]
    require_same(simulate(net, x, trace=net.neurons), continued(net, parts))


def test_each_chunk_may_begin_anew() -> None:
    net, x = recurrent_network()
    chunks = np.split(x[0], CUTS)
    for part, chunk in zip(stream(net, chunks, reset=True), chunks, strict=True):
        alone = simulate(net, chunk[None], trace=[net.output])
        assert np.array_equal(part.trace.spikes[net.output], alone.trace.spikes[net.output])
    carried = np.concatenate(
        [part.trace.spikes[net.output] for part in stream(net, chunks)], axis=1
    )
    assert np.array_equal(
        carried[0], simulate(net, x[:1], trace=[net.output]).trace.spikes[net.output][0]
    )


def test_memory_does_not_grow_with_the_stream() -> None:
    net, _ = recurrent_network()
    rng = np.random.default_rng(0)
    running, highest, spikes = Stream(net), [], 0
    for _ in range(4):
        tracemalloc.start()
        for _ in range(20):
            spikes += running.feed(rng.integers(0, 2, (1, 64, 12)).astype(np.uint8)).counts.sum()
        highest.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # what is loaded at first use stands in the first, and less may stand in a later one
    assert max(highest[2:]) < 1.1 * highest[1] < 1_000_000
    assert spikes > 0


def test_events_run_as_the_input_that_they_make() -> None:
    net, x = HARD["knot"]()
    at, place = np.nonzero(x[0].reshape(len(x[0]), -1))
    batches = zip(np.array_split(at, 4), np.array_split(place, 4), strict=True)
    chunks = list(binned(batches, net.input.shape, steps=3))
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 1]
    assert np.array_equal(np.concatenate(chunks), x[0])
    parts = list(stream(net, chunks, trace=net.neurons))
    require_same(simulate(net, x[:1], trace=net.neurons), continued(net, parts))


def test_events_of_a_network_of_bytes_are_counted() -> None:
    one = (np.array([0, 0, 1]), np.array([1, 1, 0]))
    more = (np.array([1, 1, 2]), np.array([0, 0, 1]))
    chunks = list(binned([one, more], (2,), steps=2, most=2))
    assert [chunk.tolist() for chunk in chunks] == [[[0, 2], [2, 0]], [[0, 1]]]


def test_events_may_be_far_apart_or_missing() -> None:
    one = (np.array([7]), np.array([1]))
    assert [chunk.tolist() for chunk in binned([one], (2,), steps=4)] == [
        [[0, 0]] * 4,
        [[0, 0]] * 3 + [[0, 1]],
    ]
    assert list(binned([(one[0][:0], one[1][:0])], (2,))) == []
    with pytest.raises(
        FileRefused, match="^events after step 7 go back in time; sort them by step$"
    ):
        list(binned([one, (np.array([6]), np.array([1]))], (2,)))
    with pytest.raises(FileRefused, match="^an event is at place 2 of 2; give flat places$"):
        list(binned([(np.array([0, 1]), np.array([0, 2]))], (2,)))


def test_what_is_no_chunk_is_refused() -> None:
    net, _ = recurrent_network()
    running = Stream(net)
    with pytest.raises(
        FileRefused,
        match=r"^a chunk is uint8 \[1, 4, 11\], the stream takes uint8 \[1, T, 12\]; reshape it$",
    ):
        running.feed(np.zeros((1, 4, 11), np.uint8))
    with pytest.raises(
        FileRefused,
        match="^a chunk holds 2, but the network takes spikes 0 and 1; encode it as spikes first$",
    ):
        running.feed(np.full((1, 4, 12), 2, np.uint8))
    with pytest.raises(
        FileRefused,
        match=r"^a chunk has shape \[1, 0, 12\], which holds no step; give at least one$",
    ):
        running.feed(np.zeros((1, 0, 12), np.uint8))
    with pytest.raises(UsageError, match="^'fc_out' is no neuron layer; trace one of hidden, out$"):
        Stream(net, trace=["fc_out"])
