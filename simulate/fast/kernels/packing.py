"""Inputs as kernels take them: bits or bytes, channels last."""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import add, both, lowest_bit, mask_word, unequal
from lehr.simulate.fast.kernels.layout import BYTES, PackSizes, Rows
from lehr.simulate.fast.kernels.vector import data, load_line, peek, poke, read, store

OFTEN = 255
"""Steps that a byte counts."""


@inlined
def _spaced(bits: Any) -> Any:
    """32 bits with a 0 after each."""
    bits &= 0xFFFFFFFF
    bits = (bits | bits << 16) & 0x0000FFFF0000FFFF
    bits = (bits | bits << 8) & 0x00FF00FF00FF00FF
    bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits << 2) & 0x3333333333333333
    return (bits | bits << 1) & 0x5555555555555555


@inlined
def _line(
    source: Any, first: Any, place: Any, places: Any, counts: Any, counted: Any, edge: Any
) -> Any:
    """Return the bits of up to 64 places from `place` on; they are counted."""
    count = min(BYTES, places - place)
    if places < BYTES:
        bits = 0
        for i in range(places):
            bit = peek(source, first + i) != 0
            bits |= bit << i
            poke(counts, counted + i, peek(counts, counted + i) + bit)
        return bits
    at = place + count - BYTES  # the last 64, of which some are known already
    line = both(load_line(source, first + at), load_line(edge, count))
    store(counts, counted + at, add(load_line(counts, counted + at), line))
    bits = mask_word(unequal(line, 0))
    return bits if count == BYTES else (bits >> (BYTES - count)) & ((1 << count) - 1)


@compiled
def pack(
    values: Any, into: Any, recent: Any, events: Any, edges: Any, sizes: Any, rows: Any
) -> None:
    """Turn bytes of 0 and 1 into bits.

    Args:
        values: uint8 `[samples, steps, channels, places]`, flat.
        into: uint64, rows of words.
        recent: uint8 `[channels, places]`, all 0; left so.
        events: int64 `[channels, places]`, how often each was 1 so far; changed.
        edges: layout.EDGE.
        sizes: layout.PackSizes.
        rows: layout.Rows of `values`, in elements, and of `into`.
    """
    source, words, counts, edge = data(values), data(into), data(recent), data(edges)
    s, here, there = read(PackSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    samples, steps, channels, places, row = s.samples, s.steps, s.channels, s.places, s.row
    since = 0
    for n in range(samples):
        for t in range(steps):
            start = here.first + n * here.sample + t * here.step
            target = (there.first + n * there.sample + t * there.step) * row
            if channels > 2:
                for w in range(row):
                    poke(words, target + w, 0)
            for place in range(0, places, BYTES):
                even = 0
                for channel in range(channels):
                    bits = _line(
                        source,
                        start + channel * places,
                        place,
                        places,
                        counts,
                        channel * places,
                        edge,
                    )
                    if channels == 1:
                        poke(words, target + place // BYTES, bits)
                    elif channels > 2:
                        _put_bits(words, target, bits, place, channel, channels)
                    elif channel == 0:
                        even = bits
                    else:
                        at = target + 2 * place // BYTES
                        poke(words, at, _spaced(even) | _spaced(bits) << 1)
                        if places - place > BYTES // 2:
                            poke(words, at + 1, _spaced(even >> 32) | _spaced(bits >> 32) << 1)
            since += 1
            if since == OFTEN or (n == samples - 1 and t == steps - 1):
                for i in range(channels * places):
                    events[i] += recent[i]
                    recent[i] = 0
                since = 0


@inlined
def _put_bits(words: Any, target: Any, bits: Any, place: Any, channel: Any, channels: Any) -> None:
    """Set the bits of one of any number of channels."""
    while bits != 0:
        bit = (place + lowest_bit(bits)) * channels + channel
        poke(words, target + (bit >> 6), peek(words, target + (bit >> 6)) | (1 << (bit & 63)))
        bits &= bits - 1
