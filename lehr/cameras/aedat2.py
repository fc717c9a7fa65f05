"""AEDAT 2.0, as jAER writes it: addresses that mean what the camera's chip makes of them.

Sources: iniVation, "AEDAT 2.0" (file format); jAER, whose chip classes turn columns round and count
rows from the bottom. Here a row is counted from the top, as in all other files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lehr.arithmetic import Int64
from lehr.cameras import events
from lehr.cameras.events import Clock, Events, Size, words
from lehr.cameras.header import header_lines
from lehr.errors import FileRefused

_VERSION, _END = "!AER-DAT2", "End Of ASCII Header"
_CHIP = re.compile(r"(?:\w+\.)*(\w+)")


@dataclass(frozen=True)
class _Chip:
    """Bits of an address, and the camera's size.

    Attributes:
        rows: of the camera.
        columns: of it.
        x: lowest bit of the column, and the bits that it has.
        y: likewise of the row.
        polarity: its bit.
        brighter: its value for a brighter pixel.
        others: bits of which one is set where it is no event of a pixel.
    """

    rows: int
    columns: int
    x: tuple[int, int]
    y: tuple[int, int]
    polarity: int
    brighter: int
    others: int

    def events(self, time: Int64, address: Int64) -> Events:
        """Return events, their pixels upright."""
        x, y = (address >> low & (1 << bits) - 1 for low, bits in (self.x, self.y))
        bright = (address >> self.polarity & 1) == self.brighter
        return Events(time, self.columns - 1 - x, self.rows - 1 - y, bright.astype(np.int64))


def _davis(rows: int, columns: int) -> _Chip:
    return _Chip(rows, columns, (12, 10), (22, 9), 11, 1, 1 << 31 | 1 << 10)


_CHIPS = {
    "dvs128": _Chip(128, 128, (1, 7), (8, 7), 0, 0, ~0x7FFF),
    "davis240": _davis(180, 240),
    "davis346": _davis(260, 346),
    "davis640": _davis(480, 640),
}
"""Chips by the beginnings of their names in small letters."""


def aedat2(path: Path) -> Iterator[Events]:
    """Yield the events of an AEDAT 2.0 file, with the clock's overflows undone.

    An event is two big-endian words, an address and the time in microseconds, which begins anew
    after 2^32. What is no event of a pixel (frames, motion, signals from outside) is left out.

    Raises:
        FileRefused: when the header names no camera that is known, or the file is cut short.
    """
    clock = Clock(32)
    with path.open("rb") as stream:
        chip = _chip(path, stream)
        for at, pairs in words(path, stream, "(2,)>u4", events.BLOCK, "get it again"):
            address, time = (pairs[:, column].astype(np.int64) for column in range(2))
            time, pixel = clock.through(time), (address & chip.others & 0xFFFFFFFF) == 0
            found = chip.events(time[pixel], address[pixel])
            outside = np.flatnonzero((found.x < 0) | (found.y < 0))
            if len(outside):
                place = int(np.flatnonzero(pixel)[outside[0]])
                raise FileRefused(
                    f"{path} has an address of no pixel of {chip.columns}x{chip.rows} at byte "
                    f"{at + place * 8:,}; get it again"
                )
            yield found


def aedat2_size(path: Path) -> Size | None:
    """Return rows and columns of the camera that the file's header names."""
    with path.open("rb") as stream:
        chip = _chip(path, stream)
    return chip.rows, chip.columns


def _chip(path: Path, stream: IO[bytes]) -> _Chip:
    """Read the header, and return what it says the camera is."""
    lines = header_lines(path, stream, b"#")
    if not next(lines, "").startswith(_VERSION):
        raise FileRefused(f"{path} does not start as an AEDAT 2.0 file; give one of that version")
    name = ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == "aechip" and (named := _CHIP.fullmatch(value.strip())):
            name = named[1]
        if line.startswith(_END):
            break
    for known, chip in _CHIPS.items():
        if name.lower().startswith(known):
            return chip
    says = f"the camera {name}" if name else "no camera (# AEChip)"
    raise FileRefused(
        f"{path} has a header that names {says}; lehr knows the addresses of {', '.join(_CHIPS)}: "
        "export it from jAER or DV as AEDAT 3.1 or 4"
    )
