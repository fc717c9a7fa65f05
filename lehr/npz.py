"""The `.npz` files of the line: `in.npz` with inputs and labels, `out.npz` with what a simulation returned."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.artifact import zip_bytes
from lehr.errors import FileRefused, LehrError, UsageError


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An `.npz` archive that numpy.load reads, with the same bytes for the same arrays (numpy.savez writes the time of day)."""
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return zip_bytes(files)


def read_samples(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """Inputs and, if there, labels of an `in.npz`: uint8 `[N, *shape]` or `[N, T, *shape]`, int64 `[N]`.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz, or an array in it has not the type it should.
    """
    return check_samples(path, read_arrays(path, ("input", "labels")))


class Samples:
    """The inputs of an `in.npz`, read piece by piece, and its labels, if there.

    Attributes:
        path: of the file.
        shape: of all inputs, samples first.
        labels: int64 `[N]`, or None.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz, or an array in it has not the type it should.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        arrays = read_arrays(path, ("labels",))
        self._whole: npt.NDArray[np.uint8] | None = None
        self.shape, plain = self._header()
        if not plain:  # another type, or stored column by column: to be refused, or read at once
            self._whole, self.labels = read_samples(path)
            return
        like = np.broadcast_to(np.zeros((), np.uint8), self.shape)
        _, self.labels = check_samples(path, {"input": like, **arrays})

    def _header(self) -> tuple[tuple[int, ...], bool]:
        with _damage_refused(self.path), zipfile.ZipFile(self.path) as archive:
            if "input.npy" not in archive.namelist():
                return (0,), False
            with archive.open("input.npy") as stream:
                shape, by_column, dtype = _npy_header(stream)
        return shape, dtype == np.uint8 and not by_column and len(shape) > 1

    def pieces(self, size: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """The samples from `start` on, `size` at a time; a piece is in memory only while it is used."""
        count = self.shape[0]
        return self._read(start, ((min(size, count - first), *self.shape[1:]) for first in range(start, count, size)))

    def chunks(self, steps: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """The samples from `start` on, one after the other, `[1, steps, *shape]`: at most so many steps at a time."""
        count, every, *shape = self.shape
        return self._read(start, ((1, min(steps, every - t), *shape) for _ in range(start, count) for t in range(0, every, steps)))

    def _read(self, start: int, shapes: Iterable[tuple[int, ...]]) -> Iterator[npt.NDArray[np.uint8]]:
        """What follows sample `start`, cut into arrays of these shapes."""
        at = start * math.prod(self.shape[1:])
        if self._whole is not None:
            flat = self._whole.reshape(-1)
            for shape in shapes:
                size = math.prod(shape)
                yield flat[at : at + size].reshape(shape)
                at += size
            return
        with _damage_refused(self.path), zipfile.ZipFile(self.path) as archive, archive.open("input.npy") as stream:
            _npy_header(stream)
            while at > 0:
                at -= len(_exactly(stream, min(at, _SKIPPED)))
            for shape in shapes:
                yield np.frombuffer(_exactly(stream, math.prod(shape)), np.uint8).reshape(shape)


_SKIPPED = 1 << 24
"""Bytes that are read at a time to get past them: where they are compressed, there is no other way."""


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise ValueError("input ends early")
    return data


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (LehrError, GeneratorExit):
        raise
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a damaged archive
        raise FileRefused(f"{path} is not a whole .npz file ({type(error).__name__}); write it with numpy.savez") from None


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` file that have one of the names.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz.
    """
    if not path.is_file():
        raise UsageError(f"input {path} does not exist; give an .npz file with an array 'input'")
    with _damage_refused(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in names if name in file.files}


def check_samples(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], prefix: str = ""
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """The inputs and, if there, labels among the arrays of the file `path`, whose names begin with `prefix`.

    Raises:
        FileRefused: when the inputs are missing, or an array has not the type it should.
    """
    name = f"{prefix}input"
    if name not in arrays:
        raise FileRefused(f"{path} has no array '{name}'; save it as numpy.savez(path, {name}=..., {prefix}labels=...)")
    x, labels = arrays[name], arrays.get(f"{prefix}labels")
    if x.dtype != np.uint8 or x.ndim < 2:
        raise FileRefused(f"{path}: {name} is {x.dtype} {list(x.shape)}; save it as uint8 with the samples on the first axis")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != x.shape[:1]):
        told = f"{prefix}labels are {labels.dtype} {list(labels.shape)}"
        raise FileRefused(f"{path}: {told} for {len(x)} samples; give one integer per sample")
    return x, None if labels is None else labels.astype(np.int64)
