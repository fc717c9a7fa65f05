"""Headers of text before the events of a camera: lines that begin with a mark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from lehr.cameras.events import Size
from lehr.errors import FileRefused

MAX_HEADER = 1 << 20
"""Bytes of all lines together; jAER writes a camera's settings there."""
_SIDE = re.compile(r"[0-9]{1,5}")


def header_lines(path: Path, stream: IO[bytes], mark: bytes) -> Iterator[str]:
    """Yield the lines that begin with a mark, without it; the stream is left behind the last.

    Raises:
        FileRefused: when they are more than a header has.
    """
    while True:
        at = stream.tell()
        line = stream.readline(MAX_HEADER + 1)
        if at + len(line) > MAX_HEADER:
            raise FileRefused(
                f"{path} has a header of more than {MAX_HEADER:,} bytes; get it again"
            )
        if not line.startswith(mark) or not line.endswith(b"\n"):
            stream.seek(at)
            return
        yield line[len(mark) :].decode(errors="replace").strip()


def keywords(path: Path, stream: IO[bytes]) -> Mapping[str, str]:
    """Return what the header of a file of Prophesee says, by keywords in small letters.

    Its lines are `% KEYWORD VALUE`; `% end` may end them.

    Raises:
        FileRefused: when it is too long.
    """
    said = {}
    for line in header_lines(path, stream, b"% "):
        key, _, value = line.partition(" ")
        if key == "end":
            break
        said[key.lower()] = value.strip()
    return said


def size_of(width: str | None, height: str | None) -> Size | None:
    """Return rows and columns from two texts; None if they are no numbers."""
    sides = [side.strip() for side in (height or "", width or "")]
    if not all(map(_SIDE.fullmatch, sides)):
        return None
    return int(sides[0]), int(sides[1])
