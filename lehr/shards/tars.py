"""Samples in a tar file, by the convention of WebDataset.

A sample is the files that stand next to each other and share a key: the name up to the first dot
after the last slash. What comes behind the dot says what a file holds: `.npy`, the input, uint8,
and `.cls`, the label in digits. Nothing is unpacked to the disk.

Source: WebDataset, `tariterators.base_plus_ext` and `group_by_keys` (release 1.0.2).
"""

from __future__ import annotations

import math
import os
import re
import tarfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.npyfile import Header, read_header
from lehr.npz import damage_refused
from lehr.reading import open_regular
from lehr.samples import INPUTS_AT_ONCE, Samples
from lehr.text import printable, shortened

TAR = ".tar"
_MOST_AT_ONCE = 1 << 20
"""Bytes of a header, names of any length included."""
_LABEL = re.compile(rb"\s*(-?[0-9]{1,18})\s*\Z")
_NAME = re.compile(r"((?:.*/|)[^./]+)[.]([^/]+)\Z", re.DOTALL)
_WAY_OUT = "write it with webdataset.TarWriter or tarfile"


class TarSamples(Samples):
    """The inputs of a tar file, stored as they are fed, and its labels, if there.

    The file is read through once, for the place of each sample.

    Args:
        path: of the file.

    Attributes:
        path: of the file.
        shape: of all inputs, samples first.
        labels: int64 `[N]`, or None.

    Raises:
        FileRefused: when it is no whole tar file, or holds anything else.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._whole, self._limit = path, None, INPUTS_AT_ONCE
        with (
            open_regular(path, _WAY_OUT) as file,
            damage_refused(path, "tar file", _WAY_OUT),
        ):
            index = _read_index(path, file)
        if index.header is None:
            raise FileRefused(f"{path} holds no sample; give a tar file of KEY.npy and KEY.cls")
        self._places, self.shape = index.places, (len(index.places), *index.header.shape)
        self.labels = np.array(index.labels, np.int64) if index.labels else None

    def _read(
        self, start: int, shapes: Iterable[tuple[int, ...]]
    ) -> Iterator[npt.NDArray[np.uint8]]:
        width, at = math.prod(self.shape[1:]), start * math.prod(self.shape[1:])
        with open_regular(self.path, _WAY_OUT) as file:
            for shape in shapes:
                values = np.empty(math.prod(shape), np.uint8)
                filled = 0
                while filled < len(values):
                    sample, offset = divmod(at, width)
                    count = min(width - offset, len(values) - filled)
                    file.seek(self._places[sample] + offset)
                    if file.readinto(values[filled : filled + count].data) != count:
                        raise FileRefused(
                            f"{self.path} ends within its sample {sample:,}; get it again"
                        )
                    filled, at = filled + count, at + count
                yield values.reshape(shape)


class _Bounded:
    """A file of which a header may not make tarfile read more than headers have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.tell, self.seek = file, file.tell, file.seek

    def read(self, count: int) -> bytes:
        if count > _MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header of {count:,} bytes")
        return self._file.read(count)


@dataclass
class _Index:
    """Where the samples of a tar file are.

    Attributes:
        path: of the file.
        size: of it, in bytes.
        places: of the first value of each sample.
        labels: of each; empty if there are none.
        header: of every sample; None before the first.
    """

    path: Path
    size: int
    places: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    header: Header | None = None
    _start: bytes = b""
    _keys: set[str] = field(default_factory=set)
    _key: str | None = None
    _ends: set[str] = field(default_factory=set)

    def take(self, file: IO[bytes], member: tarfile.TarInfo) -> None:
        """Take in the next file."""
        name = _NAME.match(member.name)
        if not member.isreg() or member.issparse() or name is None:
            raise FileRefused(
                f"{self.path} holds {shortened(member.name)!r}, which is no file KEY.npy or "
                "KEY.cls; leave it out"
            )
        key, end = name[1], name[2].lower()
        if key != self._key:
            self.end()
            if key in self._keys:
                raise FileRefused(
                    f"{self.path} holds sample {shortened(key)!r} twice; give each key once, its "
                    "files next to each other"
                )
            self._keys.add(key)
            self._key = key
        if end in self._ends:
            raise FileRefused(f"{self.path} holds {shortened(member.name)!r} twice; leave one out")
        self._ends.add(end)
        if member.offset_data + member.size > self.size:
            raise FileRefused(
                f"{self.path} is cut short within {shortened(member.name)!r}; get it again"
            )
        file.seek(member.offset_data)
        if end == "npy":
            self._take_input(file, member)
        elif end == "cls":
            self._take_label(file, member)
        else:
            raise FileRefused(
                f"{self.path} holds {shortened(member.name)!r}, and lehr reads .npy (the input, "
                "uint8) and .cls (the label) alone; decode it to such, and leave others out"
            )

    def end(self) -> None:
        """End the last sample: it has an input, and a label where others have."""
        if self._key is None:
            return
        if "npy" not in self._ends:
            raise FileRefused(f"{self.path}: sample {shortened(self._key)!r} has no .npy; add it")
        if self.labels and len(self.labels) != len(self.places):
            raise FileRefused(
                f"{self.path}: sample {shortened(self._key)!r} "
                f"{'has a' if 'cls' in self._ends else 'has no'} .cls, and the first "
                f"{'has none' if 'cls' in self._ends else 'has'}; give all samples labels, or none"
            )
        self._ends.clear()

    def _take_input(self, file: IO[bytes], member: tarfile.TarInfo) -> None:
        start = file.read(min(len(self._start), member.size))
        if self.header is not None and start == self._start:  # as nearly all are
            header = self.header
        else:
            file.seek(member.offset_data)
            try:
                header = read_header(file)
            except ValueError as error:
                raise FileRefused(
                    f"{self.path}: {_name(member)} is no array of numbers: {error}; write "
                    "it with numpy.save"
                ) from None
            self._require_input(member, header)
            if self.header is None:
                file.seek(member.offset_data)
                self.header, self._start = header, file.read(header.start)
        if member.size != header.start + header.nbytes:
            raise FileRefused(
                f"{self.path}: {_name(member)} is said to be {header}, "
                f"{header.nbytes:,} bytes, and has {member.size - header.start:,}; write it with "
                "numpy.save"
            )
        self.places.append(member.offset_data + header.start)

    def _require_input(self, member: tarfile.TarInfo, header: Header) -> None:
        name, first = _name(member), self.header
        if header.dtype != np.uint8 or header.by_column or not header.shape:
            order = ", the first axis fastest" if header.by_column else ""
            raise FileRefused(
                f"{self.path}: {name} is {header}{order}; save it as uint8, the last axis fastest"
            )
        if first is not None and header.shape != first.shape:
            raise FileRefused(
                f"{self.path}: {name} is {header}, and the first sample {first}; give samples of "
                "one shape"
            )

    def _take_label(self, file: IO[bytes], member: tarfile.TarInfo) -> None:
        text = _LABEL.match(file.read(min(member.size, 64)))
        if text is None or member.size > 64:
            raise FileRefused(
                f"{self.path}: {_name(member)} is no label; write a whole number in digits"
            )
        self.labels.append(int(text[1]))


def _name(member: tarfile.TarInfo) -> str:
    return printable(shortened(member.name))


def _read_index(path: Path, file: IO[bytes]) -> _Index:
    """Read all headers of a tar file, and those of its arrays."""
    index = _Index(path, os.fstat(file.fileno()).st_size)
    bounded: Any = _Bounded(file)
    with tarfile.open(fileobj=bounded, mode="r:", encoding="utf-8") as tar:
        kept: Any = tar
        while (member := tar.next()) is not None:
            kept.members = []  # a kilobyte each
            if not member.isdir():
                index.take(file, member)
        # tarfile takes a damaged header, or the end of the file, for the end of the archive
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise FileRefused(
                f"{path} is damaged or cut short at byte {tar.offset:,}, behind "
                f"{len(index.places):,} samples; get it again"
            )
        index.end()
    return index
