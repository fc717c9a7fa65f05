"""Convolutions on few spikes: each adds a run of weights to every row of outputs that sees it.

What one costs grows with the spikes, which are listed first. A run has the weights of all outputs
side by side that may see an input, all of their channels; those of outputs that do not are 0.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import inlined
from lehr.simulate.fast.kernels.lanes import add, bits_set, lanes_of, lowest_bit, nothing
from lehr.simulate.fast.kernels.vector import load, peek, poke, store

AT_ONCE = 4
"""Events of a word that are listed without a look at whether there are as many."""


@inlined
def events_in(bits: Any, first: Any, words: Any) -> Any:
    """Return how many bits are set in so many words from `bits[first]` on."""
    count = 0
    for i in range(words):
        count += bits_set(peek(bits, first + i))
    return count


@inlined
def _list_events(bits: Any, first: Any, words: Any, count: Any, events: Any) -> None:
    """List the places of the bits that are set, `count` of them.

    As many of each word as most have, the mean and a standard deviation, are listed whether they
    are there or not; what is too much the next word overwrites.
    """
    enough, k = 0, 0
    while enough * words < count or (enough * words - count) ** 2 < count * words:
        enough += AT_ONCE
    for i in range(words):
        word, at, turns = peek(bits, first + i), k, enough
        k += bits_set(word)
        while turns > 0 or word != 0:
            for j in range(AT_ONCE):
                poke(events, at + j, 64 * i + lowest_bit(word))
                word &= word - 1
            at += AT_ONCE
            turns -= AT_ONCE


@inlined
def add_runs(
    bits: Any, first: Any, r: Any, count: Any, events: Any, places: Any, runs: Any, sums: Any
) -> None:
    """Make of a row of spikes, `count` of them, a row of sums.

    Args:
        bits: the row's words, from `bits[first]` on.
        first: likewise.
        r: field_sizes.Runs.
        count: of spikes.
        events: uint32, room for as many, and more of the last word.
        places: int32, of each input: where its sums begin and its runs, and how many these are.
        runs: int16.
        sums: int16, from `r.margin` on.
    """
    _list_events(bits, first, r.words, count, events)
    none = nothing(runs, ())
    lanes = lanes_of(none)
    for j in range(0, r.size, lanes):
        store(sums, r.margin + j, none)
    for k in range(count):
        place = 3 * peek(events, k)
        at, taps = peek(places, place), peek(places, place + 1)
        for _ in range(peek(places, place + 2)):
            for j in range(0, r.length, lanes):
                store(sums, at + j, add(load(sums, at + j, ()), load(runs, taps + j, ())))
            at += r.down
            taps += r.length
