"""Samples in an HDF5 file: data sets `input` and, maybe, `labels`, as in an `.npz` file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from lehr.cameras.apart import InputsHead, inputs
from lehr.errors import FileRefused
from lehr.npz import Stream, damage_refused, exactly
from lehr.samples import INPUTS_AT_ONCE, LARGEST, Samples

HDF5 = (".h5", ".hdf5")
_LABEL_BYTES = 8


class Hdf5Samples(Samples):
    """The inputs of an HDF5 file, stored as they are fed, and its labels, if there.

    A process that is kept apart reads it, from the start on.

    Args:
        path: of the file.

    Attributes:
        path: of the file.
        shape: of all inputs, samples first.
        labels: int64 `[N]`, or None.

    Raises:
        FileRefused: when it is no whole HDF5 file, or its inputs are none.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._whole, self._limit, self.labels = path, None, INPUTS_AT_ONCE, None
        with self._opened() as (head, stream):
            self.shape = head.shape
            if (size := math.prod(self.shape)) > LARGEST:
                raise FileRefused(
                    f"{path}: its input is {size:,} bytes, the limit is {LARGEST:,}; give fewer "
                    "samples or steps"
                )
            if head.labels:
                data = exactly(stream, _LABEL_BYTES * self.shape[0])
                self.labels = np.frombuffer(data, np.int64)

    @contextlib.contextmanager
    def _numbers(self) -> Iterator[Stream]:
        """Open the bytes of all samples."""
        with self._opened() as (head, stream):
            if head.labels:
                exactly(stream, _LABEL_BYTES * head.shape[0])
            yield stream

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[InputsHead, Stream]]:
        with (
            damage_refused(self.path, "HDF5 file", "get it again"),
            contextlib.closing(inputs(self.path)) as answers,
        ):
            head = next(answers)
            assert isinstance(head, InputsHead)
            yield head, _Joined(answers)


class _Joined:
    """Blocks of bytes, read as one stream."""

    def __init__(self, blocks: Generator[InputsHead | bytes, None, None]) -> None:
        self._blocks, self._held, self._at = blocks, b"", 0

    def read(self, count: int, /) -> bytes:
        """Return so many bytes, or those that are left."""
        parts, missing = list[bytes](), count
        while missing:
            if self._at == len(self._held):
                block = next(self._blocks, b"")
                if not isinstance(block, bytes) or not block:
                    break
                self._held, self._at = block, 0
            part = self._held[self._at : self._at + missing]
            self._at, missing = self._at + len(part), missing - len(part)
            parts.append(part)
        return b"".join(parts)
