"""Events of a camera, and what every decoder of its files needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused

BLOCK = 1 << 18
"""Events that are decoded at a time."""
LATEST = 1 << 60
"""Microseconds, 36,000 years, that no time is beyond, before or after 0.

Differences of two are numbers of 64 bits, too.
"""
Size = tuple[int, int]
"""Rows and columns of a camera."""


@dataclass(frozen=True)
class Events:
    """Events of a camera, int64 `[events]` each.

    They are time in microseconds, column, row, and polarity 0 (darker) or 1 (brighter).
    """

    time: Int64
    x: Int64
    y: Int64
    polarity: Int64

    @classmethod
    def joined(cls, blocks: Iterable[Events]) -> Self:
        """Return the events of all blocks, one after the other."""
        parts = [(block.time, block.x, block.y, block.polarity) for block in blocks]
        return (
            cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            if parts
            else cls(*[np.zeros(0, np.int64)] * 4)
        )

    def require_inside(
        self, path: Path, rows: int, columns: int, way_out: Callable[[], str]
    ) -> None:
        """Refuse events of the file `path` that lie outside a camera of some size.

        Args:
            path: of the file.
            rows: of the camera.
            columns: of it.
            way_out: returns what the user can do.

        Raises:
            FileRefused: naming the first.
        """
        outside = np.flatnonzero(
            (self.x < 0) | (self.x >= columns) | (self.y < 0) | (self.y >= rows)
        )
        if len(outside):
            at = f"column {self.x[outside[0]]}, row {self.y[outside[0]]}"
            raise FileRefused(
                f"{path} has an event at {at} of {columns}x{rows} pixels; {way_out()}"
            )


class Clock:
    """A counter of so many bits that begins anew after its highest value.

    A value lower than the one before by more than half of what the counter holds has begun anew; a
    smaller step back is an event out of order, and stays one.

    Args:
        bits: of the counter.
    """

    def __init__(self, bits: int) -> None:
        self._span, self._last, self._turns = 1 << bits, 0, 0

    def through(self, counted: Int64) -> Int64:
        """Return what the next values stand for, with all turns until then."""
        back = np.diff(counted, prepend=self._last) < -(self._span >> 1)
        turns = self._turns + np.cumsum(back)
        if len(counted):
            self._last, self._turns = int(counted[-1]), int(turns[-1])
        return counted + turns * self._span


def words(
    path: Path, stream: IO[bytes], dtype: str, count: int, remedy: str
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield what is left of a file as words, some at a time, each with the place of its first byte.

    Args:
        path: of the file.
        stream: of it, at the first word.
        dtype: of a word or a record.
        count: of them at a time.
        remedy: what to do with a file that is cut short.

    Raises:
        FileRefused: when its last word is not whole.
    """
    width, at = np.dtype(dtype).itemsize, stream.tell()
    while data := stream.read(count * width):
        whole = len(data) // width * width
        yield at, np.frombuffer(data[:whole], dtype)
        if whole < len(data):
            raise FileRefused(
                f"{path} is cut short at byte {at + whole:,}, in the middle of an event of {width} "
                f"bytes; {remedy}"
            )
        at += whole
