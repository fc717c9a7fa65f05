"""Words of Prophesee's encodings: their types, their masks of pixels, and what they leave held."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused

AGAIN = "get it again, or record it again"


def require_kinds(
    path: Path, at: int, width: int, kind: npt.NDArray[Any], kinds: Collection[int], encoding: str
) -> None:
    """Refuse words of a type that the encoding does not have.

    Args:
        path: of the file.
        at: where the first word begins.
        width: of a word, in bytes.
        kind: of each word, its type.
        kinds: the types that there are.
        encoding: by name.

    Raises:
        FileRefused: naming the first, and where it is.
    """
    if len(wrong := np.flatnonzero(~np.isin(kind, list(kinds)))):
        raise FileRefused(
            f"{path} has a word of type 0x{kind[wrong[0]]:X} at byte {at + int(wrong[0]) * width:,}"
            f", which {encoding} does not have; {AGAIN}"
        )


def held(sets: npt.NDArray[np.bool_], values: Int64, before: int) -> Int64:
    """Return what is held at each word: the last value set up to there.

    Args:
        sets: which words set a value.
        values: these values, one for each such word.
        before: what is held before the first.
    """
    return np.concatenate([[before], values])[np.cumsum(sets)]


def bits_of(mask: npt.NDArray[Any]) -> tuple[Int64, Int64]:
    """Return the places of words, and the numbers of the bits that are set in them, lowest first.

    Args:
        mask: of type uint16 or uint32.
    """
    wide = mask.astype(mask.dtype.newbyteorder("<"))
    octets = wide.view(np.uint8).reshape(len(mask), mask.itemsize)
    place, bit = np.nonzero(np.unpackbits(octets, axis=1, bitorder="little"))
    return place, bit
