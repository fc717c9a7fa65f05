"""Counting of bits, place by place, over many vectors of words: carry-save adders.

Counters lie across seven vectors, one for each of their digits. An 8x8 transposition, of these as
rows and of their bytes' bits as columns, makes bytes of them: byte `j` of vector `b` is the count
of bit `b` of byte `j`.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import inlined
from lehr.simulate.fast.kernels.lanes import (
    as_bytes,
    both,
    either,
    no_words,
    shift_left,
    unsigned_right,
    xor,
)
from lehr.simulate.fast.kernels.vector import load_like, peek, poke, store

BATCH = 120
"""Vectors that seven digits count: at most 127, in eights."""


@inlined
def carry(a: Any, b: Any, c: Any) -> Any:
    """Return the carry of a full adder: the majority of three bits."""
    differ = xor(a, b)
    return either(both(a, b), both(c, differ))


@inlined
def eight_more(digits: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Return counters that count eight more vectors."""
    d0, d1, d2, d3, d4, d5, d6 = digits
    first, a = carry(a, b, c), xor(xor(a, b), c)  # what was counted comes last: all wait for it
    second, d = carry(d, e, f), xor(xor(d, e), f)
    third, a = carry(a, g, h), xor(xor(a, g), h)
    fourth, d0 = carry(d0, a, d), xor(xor(a, d), d0)
    rest, a = carry(first, second, third), xor(xor(first, second), third)
    first, d1 = carry(d1, a, fourth), xor(xor(a, fourth), d1)
    rest, d2 = carry(d2, rest, first), xor(xor(rest, first), d2)
    return _rippled(d0, d1, d2, d3, d4, d5, d6, rest)


@inlined
def _rippled(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any, d6: Any, rest: Any) -> Any:
    """Add `rest` to the counters that `d3` and the digits above it make."""
    rest, d3 = both(d3, rest), xor(d3, rest)
    rest, d4 = both(d4, rest), xor(d4, rest)
    rest, d5 = both(d5, rest), xor(d5, rest)
    return d0, d1, d2, d3, d4, d5, xor(d6, rest)


@inlined
def none_yet() -> Any:
    """Return counters of nothing."""
    none = no_words()
    return none, none, none, none, none, none, none


@inlined
def _swapped(a: Any, b: Any, places: Any, mask: Any) -> Any:
    """Exchange bits between two vectors.

    The bits of `a` that lie `places` above those of a mask change places with the bits of `b`
    there.
    """
    differ = both(xor(unsigned_right(a, places), b), mask)
    return xor(a, shift_left(differ, places)), xor(b, differ)


@inlined
def transposed(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Return the bytes whose bits, from the lowest on, are those of eight vectors."""
    (a, e), (b, f) = _swapped(a, e, 4, 0x0F0F0F0F0F0F0F0F), _swapped(b, f, 4, 0x0F0F0F0F0F0F0F0F)
    (c, g), (d, h) = _swapped(c, g, 4, 0x0F0F0F0F0F0F0F0F), _swapped(d, h, 4, 0x0F0F0F0F0F0F0F0F)
    (a, c), (b, d) = _swapped(a, c, 2, 0x3333333333333333), _swapped(b, d, 2, 0x3333333333333333)
    (e, g), (f, h) = _swapped(e, g, 2, 0x3333333333333333), _swapped(f, h, 2, 0x3333333333333333)
    (a, b), (c, d) = _swapped(a, b, 1, 0x5555555555555555), _swapped(c, d, 1, 0x5555555555555555)
    (e, f), (g, h) = _swapped(e, f, 1, 0x5555555555555555), _swapped(g, h, 1, 0x5555555555555555)
    return a, b, c, d, e, f, g, h


@inlined
def add_spikes(
    totals: Any, at: Any, bits: Any, first: Any, step: Any, steps: Any, words: Any, spare: Any
) -> None:
    """Add to `totals[at]`, and those after it, how often each bit of a row is set.

    Args:
        totals: one for each bit of a row; changed.
        at: where those of the row begin.
        bits: rows of words.
        first: the first word of the first row.
        step: words from row to row.
        steps: rows.
        words: of a row.
        spare: 256 bytes.
    """
    for w in range(0, words, 4):
        t = 0
        while t < steps:
            last, digits = min(t + BATCH, steps), none_yet()
            while t + 8 <= last:
                row = first + t * step + w
                digits = eight_more(
                    digits,
                    _row(bits, row),
                    _row(bits, row + step),
                    _row(bits, row + 2 * step),
                    _row(bits, row + 3 * step),
                    _row(bits, row + 4 * step),
                    _row(bits, row + 5 * step),
                    _row(bits, row + 6 * step),
                    _row(bits, row + 7 * step),
                )
                t += 8
            while t < last:
                digits = _one_more(digits, _row(bits, first + t * step + w))
                t += 1
            _put_counts(spare, digits)
            for j in range(8 * min(words - w, 4)):
                place = at + 64 * w + 8 * j
                for b in range(8):
                    poke(totals, place + b, peek(totals, place + b) + peek(spare, 32 * b + j))


@inlined
def _row(bits: Any, word: Any) -> Any:
    return load_like(bits, word, no_words())


@inlined
def _one_more(digits: Any, a: Any) -> Any:
    d0, d1, d2, d3, d4, d5, d6 = digits
    a, d0 = both(d0, a), xor(d0, a)
    a, d1 = both(d1, a), xor(d1, a)
    a, d2 = both(d2, a), xor(d2, a)
    return _rippled(d0, d1, d2, d3, d4, d5, d6, a)


@inlined
def _put_counts(spare: Any, digits: Any) -> None:
    d0, d1, d2, d3, d4, d5, d6 = digits
    a, b, c, d, e, f, g, h = transposed(d0, d1, d2, d3, d4, d5, d6, no_words())
    store(spare, 0, as_bytes(a))
    store(spare, 32, as_bytes(b))
    store(spare, 64, as_bytes(c))
    store(spare, 96, as_bytes(d))
    store(spare, 128, as_bytes(e))
    store(spare, 160, as_bytes(f))
    store(spare, 192, as_bytes(g))
    store(spare, 224, as_bytes(h))
