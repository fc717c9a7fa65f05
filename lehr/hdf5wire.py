"""What passes between the process that reads an HDF5 file and the one that asked: limits one way, a tree the other.

The tree travels as frames: a line of JSON that says what follows, then that many bytes. The
receiving side believes none of it: whoever has taken over the reader through a crafted file can
send what he likes, and gets no further than a tree of numbers and text within the limits, or a
refusal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.hdf5limits import MAX_DEPTH, MAX_DOCUMENT, MAX_ROWS, MAX_TEXT, NAME, Limits
from lehr.text import printable

Tree = dict[str, Any]

_MAX_HEAD = 16_384
_NUMBERS = re.compile(r"[<>|][fiub][1248]\Z")
_WIDTH = 8  # bytes of the length of a row


@dataclass(frozen=True)
class Declared:
    """An array that was not read: what the file says of it.

    Attributes:
        dtype: as numpy's `dtype.str`.
        shape: its axes.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """What it would take in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def receive(sent: IO[bytes], limits: Limits) -> Tree:
    """Return the tree that was sent: groups as dictionaries, data sets as arrays, numbers, text or (nested) lists of text or of arrays.

    Raises:
        FileRefused: with the message that was sent in its place.
        ValueError: when it is cut short, is not what is sent there, or is more than the limits
            allow.
    """
    incoming, tree = (
        _Incoming(sent, 2 * limits.unpacked_bytes, limits.told_bytes is not None),
        Tree(),
    )  # text grows in JSON
    for _ in range(limits.objects + 1):
        match incoming.head():
            case {"kind": "end"}:
                return tree
            case {"kind": "refused", "message": str(message)}:
                raise FileRefused(printable(message))
            case {"at": str(at), **told}:
                _put(tree, at, incoming.value(told))
            case _:
                raise ValueError("a frame of another kind")
    raise ValueError("more objects than allowed")


def _put(tree: Tree, at: str, value: Any) -> None:
    *groups, name = at.split("/")
    if len(groups) > MAX_DEPTH or not NAME.match(name):
        raise ValueError("a place that is none")
    for group in groups:
        tree = tree[group] if isinstance(tree.get(group), dict) else _no_group()
    if name in tree:
        raise ValueError("a place sent twice")
    tree[name] = value


def _check_array(dtype: str, shape: Iterable[Any]) -> None:
    if not _NUMBERS.match(dtype) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("an array that is none")


def _no_group() -> Tree:
    raise ValueError("a place in no group")


class _Incoming:
    """Frames as they come in, each number of bytes counted before memory is asked for."""

    def __init__(self, sent: IO[bytes], limit: int, declares: bool) -> None:
        self._sent, self._left, self._declares = sent, limit, declares

    def head(self) -> Any:
        line = self._sent.readline(_MAX_HEAD)
        if not line.endswith(b"\n"):
            raise ValueError("a frame cut short")
        return json.loads(line)

    def value(self, told: dict[Any, Any]) -> Any:
        match told:
            case {"kind": "group"}:
                return {}
            case {"kind": "numbers", "dtype": str(dtype), "shape": list(shape)}:
                return self._numbers(dtype, tuple(shape))[()]
            case {"kind": "declared", "dtype": str(dtype), "shape": list(shape)} if self._declares:
                _check_array(dtype, shape)
                return Declared(dtype, tuple(shape))
            case {"kind": "text", "shape": list(shape), "bytes": int(length)}:
                return self._texts(tuple(shape), length)
            case {"kind": "rows", "dtype": str(dtype), "rows": int(rows), "numbers": int(numbers)}:
                return self._rows(dtype, rows, numbers)
            case _:
                raise ValueError("a frame of another kind")

    def _numbers(self, dtype: str, shape: tuple[Any, ...]) -> npt.NDArray[Any]:
        _check_array(dtype, shape)
        width = np.dtype(dtype).itemsize
        self._left -= math.prod(shape) * width
        if self._left < 0:
            raise ValueError("more bytes than allowed")
        array = np.empty(shape, dtype)
        buffer = array.reshape(-1).view(np.uint8).data
        if array.size and self._sent.readinto(buffer) != array.nbytes:  # type: ignore[attr-defined]
            raise ValueError("an array cut short")
        return array

    def _texts(self, shape: tuple[Any, ...], length: int) -> Any:
        texts, longest = (
            json.loads(self._numbers("|u1", (length,)).tobytes()),
            MAX_TEXT if shape else MAX_DOCUMENT,
        )
        if not isinstance(texts, list) or not all(
            isinstance(text, str) and len(text) <= longest for text in texts
        ):
            raise ValueError("texts that are none")
        return np.array(texts, dtype=object).reshape(shape).tolist()

    def _rows(self, dtype: str, rows: int, numbers: int) -> list[npt.NDArray[Any]]:
        lengths = self._numbers("<i8", (min(rows, MAX_ROWS + 1),))
        if (
            len(lengths) > MAX_ROWS
            or lengths.min(initial=0) < 0
            or lengths.max(initial=0) > numbers
            or int(lengths.sum()) != numbers
        ):
            raise ValueError("rows that are none")
        return np.split(self._numbers(dtype, (numbers,)), np.cumsum(lengths)[:-1]) if rows else []
