"""Inputs as kernels take them: bits or bytes, channels last."""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.compiled import compiled
from lehr.simulate.fast.lanes import lowest_bit, mask_word, unequal
from lehr.simulate.fast.vector import data, load_line, peek, poke


@compiled
def pack(values: Any, into: Any, events: Any, sizes: Any, rows: Any) -> None:
    """Turn bytes of 0 and 1 into bits.

    Args:
        values: uint8 `[samples, steps, channels, places]`, flat.
        into: uint64, rows of words.
        events: int64 `[places, channels]`, how often each was 1 so far; changed.
        sizes: samples, steps, channels, places, words in a row of `into`.
        rows: of `values` where the first sample's first step begins, how far from there to the next sample's and to the next step's; of
            `into` the row of the first sample's first step, from sample to sample, from step to step.
    """
    source, words, counts = data(values), data(into), data(events)
    channels, places, row = sizes[2], sizes[3], sizes[4]
    for n in range(sizes[0]):
        for t in range(sizes[1]):
            start = rows[0] + n * rows[1] + t * rows[2]
            target = (rows[3] + n * rows[4] + t * rows[5]) * row
            for w in range(row):
                poke(words, target + w, 0)
            for channel in range(channels):
                place = 0
                while place < places:
                    if place + 64 <= places:
                        found = mask_word(unequal(load_line(source, start + place), 0))
                    elif places >= 64:  # the last 64 bytes, of which some are known already
                        word = mask_word(unequal(load_line(source, start + places - 64), 0))
                        found = (word >> (place + 64 - places)) & ((1 << (places - place)) - 1)
                    else:
                        found = 0
                        for i in range(places - place):
                            found |= (peek(source, start + place + i) != 0) << i
                    while found != 0:
                        bit = (place + lowest_bit(found)) * channels + channel
                        poke(words, target + (bit >> 6), peek(words, target + (bit >> 6)) | (1 << (bit & 63)))
                        poke(counts, bit, peek(counts, bit) + 1)
                        found &= found - 1
                    place += 64
                start += places
