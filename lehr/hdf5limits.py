"""What a file in HDF5 may hold, and what its reader may take: in proportion to the bytes of the file.

It imports next to nothing: the process that reads such a file has to start quickly (lehr/hdf5walk.py).
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
_SECOND_BYTES = 1 << 20  # that may take a second to read: half a million objects a gigabyte are ten times quicker


class Limits(NamedTuple):
    """What a file may hold, and what its reader is told to do about one that is too large or damaged.

    Attributes:
        file_bytes: of the file itself.
        unpacked_bytes: of everything in it, in memory.
        objects: groups, data sets and texts.
        seconds: of processor time to read it in.
        rows: whether data sets may have rows of variable length.
        skip: names at the top of the file whose contents are neither looked at nor read.
        told_bytes: arrays of numbers larger than this are not read, but told by type and shape (`Declared`); None reads all.
        remedy, smaller: the ways out.
    """

    file_bytes: int = 256 << 20
    unpacked_bytes: int = 512 << 20
    objects: int = 200_000
    seconds: int = 60
    rows: bool = False
    skip: tuple[str, ...] = ()
    told_bytes: int | None = None
    remedy: str = "export it again"
    smaller: str = "give a smaller graph"

    def of(self, size: int) -> Limits:
        """These limits for a file of `size` bytes: a small one unpacks to little and is read in no time."""
        unpacked, seconds = min(self.unpacked_bytes, _PACKED * size), min(self.seconds, 1 + size // _SECOND_BYTES)
        return self._replace(unpacked_bytes=unpacked, seconds=seconds)
