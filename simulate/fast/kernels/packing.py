"""Inputs as kernels take them, channels last: bits, or bytes as they are.

An input is checked, counted and packed in one pass.
"""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    above,
    add,
    both,
    either,
    filled,
    lower_alternating,
    lowest_bit,
    mask_word,
    spread,
    sub,
    unequal,
    upper_alternating,
)
from lehr.simulate.fast.kernels.layout import BYTES, PackSizes, Rows
from lehr.simulate.fast.kernels.vector import data, fetch, load_line, peek, poke, read, store

OFTEN = 255
"""Steps that a byte counts."""
AHEAD = 4096
"""Bytes by which an input is asked for before it is read; a processor by itself looks ahead no
further than to the end of a page."""


@compiled
def pack(
    values: Any, into: Any, recent: Any, events: Any, edges: Any, wrong: Any, sizes: Any, rows: Any
) -> None:
    """Turn bytes of 0 and 1 into bits.

    Args:
        values: uint8 `[samples, steps, channels, places]`, flat.
        into: uint64, rows of words.
        recent: uint8 `[channels, places]`, all 0; left so.
        events: int64 `[channels, places]`, how often each was 1 so far; changed.
        edges: layout.EDGE.
        wrong: int64 `[1]`; not 0 from then on if a value is neither 0 nor 1. What comes out means
            nothing then.
        sizes: layout.PackSizes.
        rows: layout.Rows of `values`, in elements, and of `into`; those of `values` move on.
    """
    source, words, counts, edge = data(values), data(into), data(recent), data(edges)
    s, here, there = read(PackSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    samples, steps, channels, places, row = s.samples, s.steps, s.channels, s.places, s.row
    whole, since, found = places // BYTES * BYTES, 0, load_line(edge, 0)
    in_lines = channels * whole // BYTES if channels <= 2 else 0
    for n in range(samples):
        for t in range(steps):
            start = here.first + n * here.sample + t * here.step
            target = (there.first + n * there.sample + t * there.step) * row
            for w in range(in_lines, row):
                poke(words, target + w, 0)
            if channels == 2:
                for place in range(0, whole, BYTES):
                    line = _counted(source, start + place, counts, place)
                    other = _counted(source, start + places + place, counts, places + place)
                    found = either(found, either(line, other))
                    at = target + 2 * place // BYTES
                    poke(words, at, mask_word(unequal(lower_alternating(line, other), 0)))
                    poke(words, at + 1, mask_word(unequal(upper_alternating(line, other), 0)))
            else:
                for channel in range(channels):
                    for place in range(0, whole, BYTES):
                        at = channel * places + place
                        line = _counted(source, start + at, counts, at)
                        found, bits = either(found, line), mask_word(unequal(line, 0))
                        if channels == 1:
                            poke(words, target + place // BYTES, bits)
                        else:
                            _put_bits(words, target, bits, place, channel, channels)
            if whole < places:
                for channel in range(channels):
                    at = channel * places
                    bits, line = _rest(source, start + at, counts, at, whole, places, edge)
                    found = either(found, line)
                    _put_bits(words, target, bits, whole, channel, channels)
            since += 1
            if since == OFTEN or (n == samples - 1 and t == steps - 1):
                _settle(counts, data(events), channels * places)
                since = 0
    poke(data(wrong), 0, peek(data(wrong), 0) | mask_word(above(found, 1)))
    poke(data(rows), 0, here.first + steps * here.step)


@inlined
def _counted(source: Any, at: Any, counts: Any, counted: Any) -> Any:
    """Return 64 bytes, each of which has been added to its count."""
    fetch(source, at + AHEAD)
    line = load_line(source, at)
    store(counts, counted, add(load_line(counts, counted), line))
    return line


@inlined
def _rest(
    source: Any, start: Any, counts: Any, counted: Any, whole: Any, places: Any, edge: Any
) -> Any:
    """Return the bits of the places behind all whole lines, and bytes of them that were found."""
    if places < BYTES:
        bits = found = 0
        for i in range(places):
            value = peek(source, start + i)
            bits, found = bits | (value != 0) << i, found | value
            poke(counts, counted + i, peek(counts, counted + i) + value)
        return bits, spread(found, load_line(edge, 0))
    at, count = places - BYTES, places - whole  # the last 64, of which some are known already
    line = both(load_line(source, start + at), load_line(edge, count))
    store(counts, counted + at, add(load_line(counts, counted + at), line))
    return mask_word(unequal(line, 0)) >> (BYTES - count) & ((1 << count) - 1), line


@inlined
def _put_bits(words: Any, target: Any, bits: Any, place: Any, channel: Any, channels: Any) -> None:
    """Set the bits from a place on of one of any number of channels."""
    if channels == 1:
        poke(words, target + (place >> 6), bits)
        return
    while bits != 0:
        bit = (place + lowest_bit(bits)) * channels + channel
        poke(words, target + (bit >> 6), peek(words, target + (bit >> 6)) | (1 << (bit & 63)))
        bits &= bits - 1


@inlined
def _settle(counts: Any, events: Any, size: Any) -> None:
    """Add the counts in bytes to those that nothing overflows; they begin anew."""
    for i in range(size):
        poke(events, i, peek(events, i) + peek(counts, i))
        poke(counts, i, 0)


@compiled
def take(values: Any, into: Any, recent: Any, events: Any, sizes: Any, rows: Any) -> None:
    """Take bytes as they are.

    Args:
        values: uint8 `[samples, steps, channels, places]`, flat.
        into: uint8, rows of `[places, channels]` and padding.
        recent: uint8 `[channels, places]`, all 0; left so.
        events: int64 `[channels, places]`, how often each was not 0 so far; changed.
        sizes: layout.PackSizes.
        rows: layout.Rows of `values`, in elements, and of `into`; those of `values` move on.
    """
    source, put, counts = data(values), data(into), data(recent)
    s, here, there = read(PackSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    samples, steps, channels, places = s.samples, s.steps, s.channels, s.places
    whole, since = places // BYTES * BYTES, 0
    for n in range(samples):
        for t in range(steps):
            start = here.first + n * here.sample + t * here.step
            target = (there.first + n * there.sample + t * there.step) * s.row
            for channel in range(channels):
                first = channel * places
                for place in range(0, whole, BYTES):
                    line, before = (
                        load_line(source, start + first + place),
                        load_line(counts, first + place),
                    )
                    store(counts, first + place, sub(before, filled(unequal(line, 0), line)))
                    if channels == 1:
                        store(put, target + place, line)
                for i in range(whole, places):
                    seen = peek(source, start + first + i) != 0
                    poke(counts, first + i, peek(counts, first + i) + seen)
                for i in range(whole if channels == 1 else 0, places):
                    poke(put, target + i * channels + channel, peek(source, start + first + i))
            since += 1
            if since == OFTEN or (n == samples - 1 and t == steps - 1):
                _settle(counts, data(events), channels * places)
                since = 0
    poke(data(rows), 0, here.first + steps * here.step)
