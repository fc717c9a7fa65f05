"""Limits of a file in HDF5, and of its reader, in proportion to the bytes of the file.

It imports next to nothing: the process that reads such a file has to start quickly
(lehr/hdf5walk.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_DEPTH = 16
MAX_TEXT = 4_096  # bytes of one among several
MAX_DOCUMENT = 16 << 20  # of one that stands alone
MAX_ROWS = 1 << 20
MAX_CHUNKS = 65_536
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}\Z")

_PACKED = 1_040  # deflate makes no more than 1,032 bytes out of one
# What may take a second: of a file of small members, 3,000 of them, a fifth is usual; to inflate as
# much twice takes half as long.
_STORED, _UNPACKED = 1 << 20, 64 << 20


class Limits(NamedTuple):
    """Limits of a file, and ways out for one that is too large or damaged.

    Attributes:
        file_bytes: of the file itself.
        unpacked_bytes: of everything in it, in memory.
        objects: groups, data sets and texts.
        seconds: of processor time to read it in.
        rows: whether data sets may have rows of variable length.
        skip: names at the top of the file whose contents are neither looked at nor read.
        array_bytes: arrays of numbers larger than this are not read, but stated by type and shape
            (`Declared`); None reads all.
        remedy, smaller: the ways out.
    """

    file_bytes: int = 256 << 20
    unpacked_bytes: int = 512 << 20
    objects: int = 200_000
    seconds: int = 60
    rows: bool = False
    skip: tuple[str, ...] = ()
    array_bytes: int | None = None
    remedy: str = "export it again"
    smaller: str = "give a smaller graph"

    def of(self, size: int) -> Limits:
        """Return these limits for a file of `size` bytes.

        A small one unpacks to little and is read in no time.
        """
        unpacked = min(self.unpacked_bytes, _PACKED * size)
        return self._replace(
            unpacked_bytes=unpacked,
            seconds=min(self.seconds, 1 + size // _STORED + unpacked // _UNPACKED),
        )
