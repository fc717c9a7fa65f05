"""The header of an `.npy` file, judged before a byte of its numbers is read.

Source: numpy.lib.format, "The NPY format", versions 1.0 to 3.0.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

MAX_HEADER = 1 << 14
"""Bytes of a header at most; numpy writes 128 for an array, some more for records."""
MAX_AXES = 32
MAX_BYTES = 1 << 62


@dataclass(frozen=True)
class Header:
    """The header of one array.

    Attributes:
        shape: whole numbers of at least 0.
        by_column: whether the first axis changes fastest.
        dtype: of numbers, or of records of them.
        start: where the numbers begin in the file.
    """

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def nbytes(self) -> int:
        """The bytes that the numbers take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def read_header(stream: IO[bytes]) -> Header:
    """Return the header of the `.npy` file that begins here.

    The stream is left at the first of the numbers.

    Raises:
        ValueError: when it is none, holds anything but numbers, or its shape is none.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its version is {version[0]}.{version[1]}, not 1.0 to 3.0")
    width = 2 if version == (1, 0) else 4
    size = stream.read(width)
    length = int.from_bytes(size, "little")
    if len(size) < width or length > MAX_HEADER:
        raise ValueError(f"its header is said to have {length:,} bytes, more than {MAX_HEADER:,}")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("its header ends early")
    shape, by_column, dtype = _parsed(version, size + text)
    _check(shape, dtype)
    return Header(shape, by_column, dtype, 6 + 2 + width + length)


def _parsed(version: tuple[int, int], text: bytes) -> tuple[Any, bool, np.dtype[Any]]:
    read: Any = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    try:
        shape, by_column, dtype = read(io.BytesIO(text), max_header_size=MAX_HEADER)
    except Exception as error:  # Python's parser and tokenizer raise a dozen kinds
        raise ValueError(
            f"its header is no description of an array ({type(error).__name__})"
        ) from None
    return shape, by_column, dtype


def _check(shape: Any, dtype: np.dtype[Any]) -> None:
    if len(shape) > MAX_AXES:
        raise ValueError(f"its shape has {len(shape)} axes, more than {MAX_AXES}")
    for length in shape:
        if type(length) is not int or length < 0:  # True is an int, too
            raise ValueError(f"its shape holds {length!r}, no length of an axis")
    if dtype.hasobject or dtype.itemsize == 0:
        raise ValueError(f"it holds {dtype}, no numbers")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES or any(length > MAX_BYTES for length in shape):
        raise ValueError(f"its shape {list(shape)} is more than any file holds")
