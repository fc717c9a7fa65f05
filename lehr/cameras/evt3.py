"""Prophesee's EVT 3.0: words of 16 bits, of which each changes a part of what is held.

Sources: Prophesee, "EVT 3.0 Format" (documentation of the Metavision SDK), and OpenEB's decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.cameras import events
from lehr.cameras.events import Clock, Events, words
from lehr.cameras.kinds import AGAIN, bits_of, held, require_kinds

_ROW, _OTHER_ROW, _PIXEL, _BASE, _TWELVE, _EIGHT, _LOW, _HIGH = 0, 1, 2, 3, 4, 5, 6, 8
_KINDS = (_ROW, _OTHER_ROW, _PIXEL, _BASE, _TWELVE, _EIGHT, _LOW, 7, _HIGH, 0xA, 0xE, 0xF)
_CLOCK_BITS, _NONE, _WIDEST = 12, -1, 12


@dataclass
class _Held:
    """What the words so far have set: -1 where none has.

    Attributes:
        high: upper part of the time, with all overflows.
        low: lower 12 bits of the time.
        row: of the next events; -1 after a word of another kind of events.
        base: column of the next vector's first pixel; `based` says whether there is one.
        polarity: of the next vector.
    """

    high: int = _NONE
    low: int = 0
    row: int = _NONE
    base: int = 0
    based: int = 0
    polarity: int = 0


def evt3(path: Path, stream: IO[bytes], _: bool) -> Iterator[Events]:
    """Yield the events of words of 16 bits, of which the upper 4 are the type.

    A row, the lower and the upper 12 bits of the time are held until others come. A pixel is an
    event; a base is a column, from which vectors of 12 or 8 pixels go on one after another.

    Raises:
        FileRefused: when a word's type is none, or the last word is not whole.
    """
    state, clock = _Held(), Clock(_CLOCK_BITS)
    for at, word in words(path, stream, "<u2", events.BLOCK // _WIDEST or 1, AGAIN):
        kind = word >> 12
        require_kinds(path, at, word.itemsize, kind, _KINDS, "EVT 3.0")
        yield _block(kind, word & 0xFFF, state, clock)


def _block(kind: npt.NDArray[Any], content: npt.NDArray[Any], state: _Held, clock: Clock) -> Events:
    """Return the events of some words, and leave in `state` what holds after them."""
    wide = content.astype(np.int64)
    ticks = kind == _HIGH
    high = held(ticks, clock.through(wide[ticks]), state.high)
    # a new upper part begins with a lower one of 0, until the word that tells it comes
    anew = ticks & (np.diff(high, prepend=state.high) != 0)
    lows = anew | (kind == _LOW)
    low = held(lows, np.where(anew, 0, wide)[lows], state.low)
    rows = (kind == _ROW) | (kind == _OTHER_ROW)
    row = held(rows, np.where(kind == _ROW, wide & 0x7FF, _NONE)[rows], state.row)
    width = np.where(kind == _TWELVE, 12, np.where(kind == _EIGHT, 8, 0))
    passed = np.cumsum(width) - width  # pixels of the vectors before each word
    bases = kind == _BASE
    base = held(bases, (wide & 0x7FF)[bases] - passed[bases], state.base) + passed
    based = held(bases, np.ones(int(bases.sum()), np.int64), state.based)
    polarity = held(bases, wide[bases] >> 11, state.polarity)

    single = kind == _PIXEL
    mask = np.where(width > 0, wide & (1 << width) - 1, 0) * based + single
    mask[(high < 0) | (row < 0)] = 0
    some = np.flatnonzero(mask)
    place, bit = bits_of(mask[some].astype(np.uint16))
    place = some[place]
    alone = single[place]
    found = Events(
        high[place] << _CLOCK_BITS | low[place],
        np.where(alone, wide[place] & 0x7FF, base[place] + bit),
        row[place],
        np.where(alone, wide[place] >> 11, polarity[place]),
    )
    if len(kind):
        state.high, state.low, state.row = int(high[-1]), int(low[-1]), int(row[-1])
        state.base, state.based = int(base[-1] + width[-1]), int(based[-1])
        state.polarity = int(polarity[-1])
    return found
