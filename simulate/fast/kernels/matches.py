"""Linear layers with few outputs, by counting the bits that spikes and weights have in common.

The weights of one output are a row of bits for each of their digits; what a digit is worth times
the bits that a row has in common with the spikes, summed over digits. It costs the same whatever
spikes.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.adders import BATCH, eight_more, none_yet
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    bits_set,
    both,
    mul,
    no_words,
    resized,
    shift_left,
)
from lehr.simulate.fast.kernels.layout import EIGHT, OUTPUTS, MatchSizes, Rows
from lehr.simulate.fast.kernels.vector import beyond, data, load_like, peek, read, store


@compiled
def count_matches(
    spikes: Any, digits: Any, worth: Any, each: Any, into: Any, sizes: Any, rows: Any
) -> None:
    """Make of spikes what a linear layer with few outputs makes of them.

    Args:
        spikes: bits, rows of words; up to seven words behind a row are read, too, and not used.
        digits: uint64 `[digits, blocks of outputs, words, 4]`: for each digit of the weights a bit
            for each input.
        worth: int64 `[digits]`, what a digit is worth.
        each: int64 `[blocks of outputs, 4]`, what a spike adds to an output besides.
        into: the sums, rows of outputs and padding.
        sizes: layout.MatchSizes.
        rows: layout.Rows of `spikes` and `into` each.
    """
    bits, matrix, sums, factor, more = (
        data(spikes),
        data(digits),
        data(into),
        data(worth),
        data(each),
    )
    s, here, there = read(MatchSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    blocks, fresh = each.size // OUTPUTS, s.fresh != 0
    for n in range(s.samples):
        at = (here.first + n * here.sample) * s.words
        target = (there.first + n * there.sample) * s.into
        for _ in range(s.steps):
            all_spikes = 0
            for w in range(s.words):
                all_spikes += bits_set(peek(bits, at + w))
            for block in range(blocks):
                place = target + block * OUTPUTS
                total = mul(load_like(more, block * OUTPUTS, no_words()), all_spikes)
                for digit in range(worth.size):
                    row = beyond(matrix, (digit * blocks + block) * s.read * OUTPUTS)
                    total = add(
                        total, mul(_matches(bits, at, row, s.read, s.adders), peek(factor, digit))
                    )
                before = load_like(sums, place, total)
                store(sums, place, total if fresh else add(resized(before, total), total))
            at += here.step * s.words
            target += there.step * s.into


@inlined
def _matches(bits: Any, at: Any, weights: Any, words: Any, adders: Any) -> Any:
    """Count, for each of four outputs, the bits that a row has in common with its weights."""
    count = no_words()
    if adders == 0:
        for w in range(words):
            count = add(count, bits_set(_common(bits, at, weights, w)))
        return count
    for first in range(0, words, BATCH):
        digits = _eight_words(none_yet(), bits, at, weights, first)
        for w in range(first + EIGHT, min(first + BATCH, words), EIGHT):
            digits = _eight_words(digits, bits, at, weights, w)
        d0, d1, d2, d3, d4, d5, d6 = digits
        low = add(bits_set(d0), shift_left(bits_set(d1), 1))
        middle = add(shift_left(bits_set(d2), 2), shift_left(bits_set(d3), 3))
        high = add(shift_left(bits_set(d4), 4), shift_left(bits_set(d5), 5))
        count = add(count, add(add(low, middle), add(high, shift_left(bits_set(d6), 6))))
    return count


@inlined
def _eight_words(digits: Any, bits: Any, at: Any, weights: Any, w: Any) -> Any:
    return eight_more(
        digits,
        _common(bits, at, weights, w),
        _common(bits, at, weights, w + 1),
        _common(bits, at, weights, w + 2),
        _common(bits, at, weights, w + 3),
        _common(bits, at, weights, w + 4),
        _common(bits, at, weights, w + 5),
        _common(bits, at, weights, w + 6),
        _common(bits, at, weights, w + 7),
    )


@inlined
def _common(bits: Any, at: Any, weights: Any, w: Any) -> Any:
    return both(load_like(weights, w * OUTPUTS, no_words()), peek(bits, at + w))
