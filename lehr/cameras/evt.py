"""Prophesee's RAW files: events in the camera's own words, EVT 2.0, 2.1 and 3.0.

Sources: Prophesee, "RAW File Format", "EVT 2.0 Format", "EVT 2.1 Format" (documentation of the
Metavision SDK), and the decoders of OpenEB, by which a clock that begins anew is told from one that
goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.cameras import events
from lehr.cameras.events import Clock, Events, Size, words
from lehr.cameras.evt3 import evt3
from lehr.cameras.header import keywords, size_of
from lehr.cameras.kinds import AGAIN, bits_of, held, require_kinds
from lehr.errors import FileRefused

_NEGATIVE, _POSITIVE, _TIME_HIGH = 0x0, 0x1, 0x8
_KINDS = (_NEGATIVE, _POSITIVE, _TIME_HIGH, 0xA, 0xE, 0xF)  # triggers, others, continued
_HIGH_BITS, _LOW_BITS, _PIXELS = 28, 6, 32
_OURS, _FIRST_LITTLE = "Prophesee", 0x37  # SYSTEM_EVK2_SAPHIR
_CONVERT = "convert it with Metavision's metavision_file_to_dat and give the .dat file"


def raw(path: Path) -> Iterator[Events]:
    """Yield the events of a RAW file, in the encoding that its header names.

    Events before the first time of the camera's clock have none, and are left out, as the
    Metavision SDK does; triggers and counts of events are as well.

    Raises:
        FileRefused: when the header names no encoding that is read, or the words are not its own.
    """
    with path.open("rb") as stream:
        encoding, said = _encoding(path, stream)
        order = said.get("endianness", _order_of(said)).lower()
        if order not in ("little", "legacy"):
            raise FileRefused(f"{path} has words in the byte order {order!r}; {_CONVERT}")
        yield from _ENCODINGS[encoding](path, stream, order == "legacy")


def raw_size(path: Path) -> Size | None:
    """Return rows and columns of the camera, by the header of a RAW file; None if it lacks them."""
    with path.open("rb") as stream:
        said = _spread(keywords(path, stream))
    width, _, height = said.get("geometry", "").partition("x")
    return size_of(said.get("width", width), said.get("height", height))


def _spread(said: Mapping[str, str]) -> Mapping[str, str]:
    """Return a header with what its format says, as `EVT3;height=720;width=1280`, taken apart."""
    name, *settings = said.get("format", "").split(";")
    pairs = (setting.partition("=") for setting in settings)
    return {**said, "format": name.strip(), **{key.strip().lower(): v for key, _, v in pairs}}


def _encoding(path: Path, stream: IO[bytes]) -> tuple[str, Mapping[str, str]]:
    """Return the encoding's name, as EVT3, and what the header says."""
    said = _spread(keywords(path, stream))
    version = {"2.0": "EVT2", "2.1": "EVT21", "3.0": "EVT3"}
    named = said["format"].upper() or version.get(said.get("evt", ""), said.get("evt", ""))
    if named not in _ENCODINGS:
        says = f"names the encoding {named!r}" if named else "names no encoding (% evt, % format)"
        raise FileRefused(
            f"{path} has a header that {says}; lehr decodes EVT 2.0, 2.1 and 3.0: {_CONVERT}"
        )
    return named, said


def _order_of(said: Mapping[str, str]) -> str:
    """Return the byte order of EVT 2.1 where a header does not say it, as OpenEB tells it.

    Prophesee's cameras before the GenX320 turn the halves of words; those that say no number are
    among them.
    """
    names = {said.get(key, "") for key in ("plugin_integrator_name", "camera_integrator_name")}
    names = names if names != {""} else {said.get("integrator_name", "") or _OURS}
    number = said.get("system_id", "")
    old = not number.isdecimal() or 0 < int(number) < _FIRST_LITTLE
    return "legacy" if old and names == {_OURS} else "little"


def _evt2(path: Path, stream: IO[bytes], _: bool) -> Iterator[Events]:
    """Yield the events of words of 32 bits.

    Type, then the lower 6 bits of the time, 11 of the column and 11 of the row; the upper 28 bits
    of the time are a word of their own.
    """
    clock = _HighClock()
    for at, word in words(path, stream, "<u4", events.BLOCK, AGAIN):
        kind = word >> 28
        require_kinds(path, at, word.itemsize, kind, _KINDS, "EVT 2.0")
        here, time = clock.times(kind, word, word & 0xFFFFFFF)
        yield _events(word[here], time, np.zeros(int(here.sum()), np.int64))


def _evt21(path: Path, stream: IO[bytes], legacy: bool) -> Iterator[Events]:
    """Yield the events of words of 64 bits.

    The upper 32 are as in EVT 2.0; each of the lower 32 is one pixel of a row, the lowest bit the
    column that the word names. Where the halves are stored the other way round the header says so,
    as `endianness legacy`, or by the camera that it names.
    """
    clock = _HighClock()
    for at, halves in words(path, stream, "(2,)<u4", events.BLOCK // _PIXELS or 1, AGAIN):
        high, mask = (halves[:, 0], halves[:, 1]) if legacy else (halves[:, 1], halves[:, 0])
        kind = high >> 28
        require_kinds(path, at, halves.itemsize * 2, kind, _KINDS, "EVT 2.1")
        here, time = clock.times(kind, high, high & 0xFFFFFFF)
        place, offset = bits_of(mask[here])
        yield _events(high[here][place], time[place], offset)


def _events(word: npt.NDArray[Any], time: Int64, offset: Int64) -> Events:
    """Return events of words that name a pixel, and of pixels beside it."""
    wide = word.astype(np.int64)
    return Events(time, (wide >> 11 & 0x7FF) + offset, wide & 0x7FF, wide >> 28)


class _HighClock:
    """The upper 28 bits of the time, which words of their own tell."""

    def __init__(self) -> None:
        self._clock, self._high = Clock(_HIGH_BITS), -1

    def times(
        self, kind: npt.NDArray[Any], word: npt.NDArray[Any], content: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.bool_], Int64]:
        """Return which words are events with a time, and these times."""
        ticks = kind == _TIME_HIGH
        high = held(ticks, self._clock.through(content[ticks].astype(np.int64)), self._high)
        self._high = int(high[-1]) if len(high) else self._high
        here = (kind <= _POSITIVE) & (high >= 0)
        return here, high[here] << _LOW_BITS | (word[here] >> 22 & 0x3F).astype(np.int64)


_ENCODINGS: Mapping[str, Callable[[Path, IO[bytes], bool], Iterator[Events]]] = {
    "EVT2": _evt2,
    "EVT21": _evt21,
    "EVT3": evt3,
}
