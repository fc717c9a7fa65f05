"""The `.npz` files of the line.

`in.npz` has inputs and labels, `out.npz` what a simulation returned.

They may come from anybody. The archive's directory and the headers of the arrays in it are judged
before memory is taken: how large an array is, whether its packed bytes can hold that at all, and
whether it may be read at once or only piece by piece.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from lehr.artifact import zip_entry
from lehr.atomic import writing
from lehr.errors import FileRefused, LehrError, UsageError
from lehr.leftovers import recover
from lehr.npyfile import Header, read_header
from lehr.text import shortened

AT_ONCE = 1 << 26
"""Bytes of an array that is read whole, such as labels, whatever it was packed to."""
RATIO = 64
"""Factor of its packed bytes that such an array may take beyond that."""
BLOCK = 1 << 18
"""Numbers that are written at a time."""
_DEFLATES = 1032
"""Bytes that deflate packs into one at most (zlib, "Maximum Compression Factor")."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return an `.npz` archive that numpy.load reads, with the same bytes for the same arrays.

    numpy.savez writes the time of day.
    """
    buffer = io.BytesIO()
    _pack(buffer, arrays)
    return buffer.getvalue()


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the same archive to a file, whole or not at all, without holding it in memory.

    Raises:
        FileRefused: when it cannot be written.
    """
    with writing(path) as part, part.open("wb") as file:
        _pack(file, arrays)


def _pack(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted((f"{name}.npy", array) for name, array in arrays.items()):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, np.lib.format.header_data_from_array_1_0(array)
            )
            entry = zip_entry(name)
            entry.file_size = len(header.getvalue()) + array.nbytes
            with archive.open(entry, "w") as member:
                member.write(header.getvalue())
                for block in blocks_of(array):
                    member.write(block)


def blocks_of(array: npt.NDArray[Any]) -> Iterator[bytes]:
    """Yield the numbers of an array as bytes, in the order of `.npy` files, some at a time.

    Of one that lies in a file (numpy.memmap) no more than these are resident.
    """
    of_file: Any = array.base if isinstance(array, np.memmap) and array.mode == "r" else None
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        array = array.T
    flat = array.reshape(-1)  # a view, but of an array with gaps
    for first in range(0, flat.size, BLOCK):
        yield flat[first : first + BLOCK].tobytes()
        if isinstance(of_file, mmap.mmap):
            of_file.madvise(mmap.MADV_DONTNEED)


class Archive:
    """An `.npz` file, open for reading; used in a `with`.

    Args:
        path: of the file.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no regular file or no archive, names an array twice, or packs one
            otherwise than numpy does.
    """

    def __init__(self, path: Path) -> None:
        recover(path)
        if not path.exists():
            raise UsageError(
                f"input {path} does not exist; give an .npz file with an array 'input'"
            )
        if not path.is_file():
            raise UsageError(
                f"input {path} is no regular file; give an .npz file with an array 'input'"
            )
        self.path = path
        with damage_refused(path):
            self._zip = zipfile.ZipFile(path)
        self._headers: dict[str, Header] = {}
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise FileRefused(f"{path} holds {name!r} twice; write it with numpy.savez")
            if member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED:
                raise FileRefused(
                    f"{path}: {name} is packed otherwise than numpy does it; write it with "
                    "numpy.savez_compressed"
                )
            self._members[name] = member

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """Names of all arrays."""
        return list(self._members)

    def header(self, name: str) -> Header:
        """Return the header of an array that is there.

        Raises:
            FileRefused: when it is none, or does not fit the bytes that are there.
        """
        if name not in self._headers:
            with self._stream(name) as stream:
                try:
                    header = read_header(stream)
                except ValueError as error:
                    raise FileRefused(
                        f"{self.path}: {name} is no array of numbers: {error}; write it with "
                        "numpy.savez"
                    ) from None
            member = self._members[name]
            held = member.compress_size * (
                _DEFLATES if member.compress_type == zipfile.ZIP_DEFLATED else 1
            )
            if (
                header.start + header.nbytes != member.file_size
                or member.file_size > held + _DEFLATES
            ):
                has = min(member.file_size, held + _DEFLATES) - header.start
                said = f"is said to be {header}, {header.nbytes:,} bytes"
                raise FileRefused(
                    f"{self.path}: {name} {said}, and has at most {has:,}; write it with "
                    "numpy.savez"
                )
            self._headers[name] = header
        return self._headers[name]

    def limit(self, name: str, least: int = AT_ONCE, ratio: int = RATIO) -> int:
        """Return the bytes that an array that is there may take at once.

        They are `least`, or `ratio` times its packed bytes.
        """
        return max(least, ratio * self._members[name].compress_size)

    def read(self, name: str, limit: int | None = None) -> npt.NDArray[Any]:
        """Return a whole array that is there.

        Args:
            name: of the array.
            limit: bytes that it may take; if None, 64 MiB, or 64 times its packed bytes.

        Raises:
            FileRefused: when it is none, or takes more.
        """
        header = self.header(name)
        limit = self.limit(name) if limit is None else limit
        if header.nbytes > limit:
            way_out = "give fewer, or save it unpacked by numpy.savez"
            raise FileRefused(
                f"{self.path}: {name} is {header}, {header.nbytes:,} bytes, more than {limit:,} at "
                f"once; {way_out}"
            )
        with self.numbers(name) as stream:
            flat = np.frombuffer(exactly(stream, header.nbytes), header.dtype)
            return flat.reshape(header.shape, order="F" if header.by_column else "C")

    @contextmanager
    def numbers(self, name: str) -> Iterator[IO[bytes]]:
        """Open the numbers of an array that is there, as bytes.

        Raises:
            FileRefused: when they are not whole.
        """
        header = self.header(name)
        with self._stream(name) as stream:
            stream.read(header.start)
            yield stream

    @contextmanager
    def _stream(self, name: str) -> Iterator[IO[bytes]]:
        with damage_refused(self.path), self._zip.open(self._members[name]) as stream:
            yield stream


@contextmanager
def damage_refused(
    path: Path, kind: str = ".npz file", way_out: str = "write it with numpy.savez"
) -> Iterator[None]:
    """Turn all that numpy and zipfile, or tarfile, raise inside into one sentence on damage."""
    try:
        yield
    except (LehrError, GeneratorExit):
        raise
    except Exception as error:  # they raise a dozen kinds
        raise FileRefused(
            f"{path} is not a whole {kind} ({type(error).__name__}); {way_out}"
        ) from None


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, count: int, /) -> bytes:
        """Return so many bytes, or those that are left."""
        ...


def exactly(stream: Stream, count: int) -> bytes:
    """Read so many bytes.

    Raises:
        ValueError: when there are fewer.
    """
    data = stream.read(count)
    if len(data) != count:
        raise ValueError("input ends early")
    return data


def checked_samples(
    archive: Archive, prefix: str = "", *, by_step: bool = False
) -> tuple[Header, npt.NDArray[np.int64] | None]:
    """Return the header of the inputs in an archive and, if there, the labels.

    Their names begin with `prefix`. With `by_step` there may be a label for each step, `[N, T]`.

    Raises:
        FileRefused: when the inputs are missing, or an array has not the type it should.
    """
    path, name, labels = archive.path, f"{prefix}input", f"{prefix}labels"
    if name not in archive:
        others = ", ".join(archive.names)
        raise FileRefused(
            f"{path} has no array '{name}', but {shortened(others) or 'nothing'}; save it as "
            f"numpy.savez(path, {name}=..., {labels}=...)"
        )
    header = archive.header(name)
    if header.dtype != np.uint8 or len(header.shape) < 2:
        raise FileRefused(
            f"{path}: {name} is {header}; save it as uint8 with the samples on the first axis"
        )
    return header, read_labels(archive, labels, header.shape[0], by_step=by_step)


def read_labels(
    archive: Archive, name: str, samples: int, *, by_step: bool = False
) -> npt.NDArray[np.int64] | None:
    """Return the labels of so many samples; None if an archive has none.

    Raises:
        FileRefused: when they are not one integer for each, or with `by_step` for each step.
    """
    if name not in archive:
        return None
    header = archive.header(name)
    shape = header.shape[: -1 if by_step and len(header.shape) == 2 else None]
    if header.dtype.kind not in "iu" or shape != (samples,) or 0 in header.shape[1:]:
        raise FileRefused(
            f"{archive.path}: {name} are {header} for {samples} samples; give one integer per "
            "sample"
        )
    labels = archive.read(name)
    if labels.size and int(labels.max()) > np.iinfo(np.int64).max:
        raise FileRefused(f"{archive.path}: {name} hold {labels.max()}; number the classes from 0")
    return labels.astype(np.int64)
