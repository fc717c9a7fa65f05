"""Prophesee's DAT files, version 2, of which N-CARS is made.

Source: Prophesee, "DAT File Format" (documentation of the Metavision SDK).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from lehr.cameras import events
from lehr.cameras.events import Clock, Events, Size, words
from lehr.cameras.header import keywords, size_of
from lehr.errors import FileRefused

_AGAIN = "get it again"
_TYPES, _BYTES = (0x00, 0x0C), 8
"""Events of a pixel, which early and late files number so; and the bytes of one."""


def dat(path: Path) -> Iterator[Events]:
    """Yield the events of a DAT file, with the clock's overflows undone.

    An event is two little-endian words: the time in microseconds, which begins anew after 2^32;
    then 14 bits of the column, 14 of the row, and the polarity.

    Raises:
        FileRefused: when the header is none of version 2, or the events are no pixels'.
    """
    clock = Clock(32)
    with path.open("rb") as stream:
        _require_pixels(path, stream, keywords(path, stream))
        for at, pairs in words(path, stream, "(2,)<u4", events.BLOCK, _AGAIN):
            time, word = (pairs[:, column].astype(np.int64) for column in range(2))
            polarity = word >> 28
            if len(wrong := np.flatnonzero(polarity > 1)):
                raise FileRefused(
                    f"{path} has an event of polarity {polarity[wrong[0]]} at byte "
                    f"{at + int(wrong[0]) * _BYTES:,}, not 0 or 1; {_AGAIN}"
                )
            yield Events(clock.through(time), word & 0x3FFF, word >> 14 & 0x3FFF, polarity)


def dat_size(path: Path) -> Size | None:
    """Return rows and columns of the camera, by the file's header; None if it lacks them."""
    with path.open("rb") as stream:
        said = keywords(path, stream)
    return size_of(said.get("width"), said.get("height"))


def _require_pixels(path: Path, stream: IO[bytes], said: Mapping[str, str]) -> None:
    """Refuse other versions, and other events than those of pixels."""
    if (version := said.get("version", "")) != "2":
        says = f"says version {version}" if version else "says no version"
        raise FileRefused(
            f"{path} has a header that {says}; lehr decodes DAT of version 2, as Metavision's "
            "metavision_file_to_dat writes it"
        )
    kind = stream.read(2)
    if len(kind) < 2:
        raise FileRefused(f"{path} is cut short at byte {stream.tell():,}, in its header; {_AGAIN}")
    if kind[0] not in _TYPES or kind[1] != _BYTES:
        raise FileRefused(
            f"{path} has events of type {kind[0]} and {kind[1]} bytes, by byte "
            f"{stream.tell() - 2:,}; give one with events of pixels, of type 0 or 12 and {_BYTES} "
            "bytes"
        )
