"""Arrays that are made part by part: in memory, or, where that is too small, in a file."""

from __future__ import annotations

import tempfile
import weakref
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.npz import blocks_of

Value = TypeVar("Value", bound=np.generic)


class Grown(Generic[Value]):
    """An array that grows along an axis, in memory.

    Args:
        axis: 0, or 1 where the first has a length of 1.
    """

    def __init__(self, axis: int = 0) -> None:
        self._axis = axis
        self._parts: list[npt.NDArray[Value]] = []

    def add(self, part: npt.NDArray[Value]) -> None:
        """Append a part."""
        self._parts.append(part)

    def array(self, length: int | None = None, *, writable: bool = False) -> npt.NDArray[Value]:  # noqa: ARG002
        """Return all parts, side by side, or so much of them."""
        return np.concatenate(self._parts, self._axis)[:length]


class Filed(Grown[Value]):
    """The same in a file without a name, in the folder for temporary ones (TMPDIR).

    The file ends with the array that reads it.
    """

    def __init__(self, axis: int = 0) -> None:
        super().__init__(axis)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._length = 0

    def add(self, part: npt.NDArray[Value]) -> None:
        """Append a part.

        Raises:
            FileRefused: when the file does not take it.
        """
        try:
            for block in blocks_of(part):
                self._file.write(block)
            self._file.flush()
        except OSError as error:
            raise FileRefused(
                "what is larger than memory does not fit the folder for temporary files, "
                f"{tempfile.gettempdir()}: {error.strerror}; free space there, or name another "
                "folder in TMPDIR"
            ) from None
        self._length += part.shape[self._axis]
        self._parts = [part[:0]]  # its type and the other axes

    def array(self, length: int | None = None, *, writable: bool = False) -> npt.NDArray[Value]:
        """Return all parts, or so much of them, to be read from the file as they are asked for.

        What is written to a writable one is kept in memory.
        """
        shape = list(self._parts[0].shape)
        held = self._length if length is None else length
        shape[: self._axis + 1] = [1] * self._axis + [held]
        mode: Literal["c", "r"] = "c" if writable else "r"
        return np.memmap(self._file, self._parts[0].dtype, mode, shape=tuple(shape))
