"""Reading an HDF5 file that nobody vouches for, into plain dictionaries.

HDF5 can name other files as the place of its data, link groups into a circle, and declare terabytes in a kilobyte. So the whole
file is walked before any of its numbers are read, and what is found must be a tree of numbers and text of bounded size. A file may
still make libhdf5 itself fail; `read_tree` returns nothing but dictionaries, numpy arrays, numbers and text, which pass between
processes.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module

from lehr.errors import FileRefused, UsageError

Tree = dict[str, Any]

MAX_OBJECTS = 20_000
MAX_DEPTH = 16
MAX_CHUNKS = 65_536
MAX_TEXT = 4_096
MAX_ROWS = 1 << 20
_ROW_BYTES = 128  # what numpy needs for an array besides its numbers
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}\Z")
_DEFLATE, _SHUFFLE = 1, 2  # the numbers that HDF5 gives its filters


@dataclass(frozen=True)
class Limits:
    """What a file may hold, and what its reader is told to do about one that is too large or damaged.

    Attributes:
        file_bytes: of the file itself.
        unpacked_bytes: of everything in it, in memory.
        rows: whether data sets may have rows of variable length.
        skip: names at the top of the file whose contents are neither looked at nor read.
        remedy, smaller: the ways out.
    """

    file_bytes: int = 256 << 20
    unpacked_bytes: int = 512 << 20
    rows: bool = False
    skip: tuple[str, ...] = ()
    remedy: str = "export it again"
    smaller: str = "give a smaller graph"


GRAPH = Limits()


def read_tree(path: Path, limits: Limits = GRAPH) -> Tree:
    """Everything in an HDF5 file.

    Groups become dictionaries, data sets numpy arrays, numbers, text or nested lists of text; one whose rows are arrays of variable
    length becomes a list of arrays.

    Args:
        path: of the file.
        limits: what it may hold.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is not HDF5, is damaged, or holds anything but a bounded tree of numbers and text.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; give the path of a .nir file")
    try:
        with path.open("rb"):
            size = path.stat().st_size
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}; ask for the right to read it") from None
    if size > limits.file_bytes:
        raise FileRefused(f"{path} has {size:,} bytes, the limit is {limits.file_bytes:,}; give a smaller file")
    try:
        if not h5py.is_hdf5(path):
            raise FileRefused(f"is not an HDF5 file (empty, cut short or of another format); {limits.remedy}")
        with h5py.File(path, "r") as file:
            _Audit(path, size, limits).group(file, "", 0)
            return _group(file, limits.skip)
    except FileRefused as error:
        raise FileRefused(f"{path}: {error}") from None
    except Exception as error:  # h5py passes on whatever libhdf5 says about a damaged file, under many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileRefused(f"{path} is damaged ({reason}); {limits.remedy}") from None


class _Audit:
    """Walks a file without reading its numbers, and refuses what is not a bounded tree."""

    def __init__(self, path: Path, file_bytes: int, limits: Limits) -> None:
        self._path, self._file_bytes, self._limits = path, file_bytes, limits
        self._unpacked = 0
        self._seen: set[int] = set()

    def group(self, group: h5py.Group, where: str, depth: int) -> None:
        """Check everything below `group`, which is at the path `where`."""
        if depth > MAX_DEPTH:
            raise FileRefused(f"{where} lies deeper than {MAX_DEPTH} groups; a graph needs no more")
        for name in group:
            if not where and name in self._limits.skip:
                continue
            if not isinstance(name, str) or not _NAME.match(name):
                raise FileRefused(f"{where or 'the file'} holds the name {name!r}; use letters, digits, '_', '-' and '.'")
            here = f"{where}/{name}".lstrip("/")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise FileRefused(f"{here} is a link to another place ({type(link).__name__}); put what it points to into the file")
            member = group[name]
            self._count(member, here)
            if isinstance(member, h5py.Group):
                self.group(member, here, depth + 1)
            elif isinstance(member, h5py.Dataset):
                self._data_set(member, here)
            else:
                raise FileRefused(f"{here} is a {type(member).__name__}, neither group nor data set; remove it")

    def _count(self, member: Any, here: str) -> None:
        address = int(h5o.get_info(member.id).addr)
        if address in self._seen:
            raise FileRefused(f"{here} is linked twice; store it once in each place")
        self._seen.add(address)
        if len(self._seen) > MAX_OBJECTS:
            raise FileRefused(f"{here} is object {len(self._seen):,}, the limit is {MAX_OBJECTS:,}; give a smaller graph")

    def _data_set(self, data: h5py.Dataset, here: str) -> None:
        if data.external:
            raise FileRefused(f"{here} keeps its numbers in another file ({data.external[0][0]}); store them in this one")
        if data.is_virtual:
            raise FileRefused(f"{here} is a virtual data set, made of other files; store its numbers in this one")
        if data.shape is None:
            raise FileRefused(f"{here} holds no value; store one or remove it")
        text = h5py.check_string_dtype(data.dtype) is not None
        row = h5py.check_vlen_dtype(data.dtype)
        if row is not None and not text and self._limits.rows:
            self._rows(data, row, here)
            return
        if not text and (data.dtype.kind not in "fiub" or data.dtype.itemsize > 8):
            raise FileRefused(f"{here} holds {data.dtype}, neither numbers nor text; store it as numbers")
        width = int(data.id.get_type().get_size())
        chunk = data.chunks or (1,) * len(data.shape)
        # A partly used chunk is unpacked whole.
        self._unpack(math.prod(-(-n // c) * c for n, c in zip(data.shape, chunk, strict=True)) * width, here)
        if text and math.prod(data.shape) > MAX_OBJECTS:
            raise FileRefused(f"{here} holds {math.prod(data.shape):,} texts, the limit is {MAX_OBJECTS:,}; give a smaller graph")
        made = data.id.get_create_plist()
        filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
        if filters not in ([[]] if text else [[], [_DEFLATE], [_SHUFFLE, _DEFLATE]]):
            raise FileRefused(f"{here} is packed with HDF5 filters {filters}; use gzip for numbers and none for text")
        if filters:
            self._chunks(data, here, math.prod(chunk) * width)

    def _unpack(self, count: int, here: str) -> None:
        self._unpacked += count
        limit = self._limits.unpacked_bytes
        if self._unpacked > limit:
            raise FileRefused(
                f"{here} brings the file to {self._unpacked:,} bytes unpacked, the limit is {limit:,}; {self._limits.smaller}"
            )

    def _rows(self, data: h5py.Dataset, row: Any, here: str) -> None:
        """Check rows of variable length by the lengths that are stored for them: libhdf5 reserves memory for whatever they say."""
        if not isinstance(row, np.dtype) or row.kind not in "fiub" or row.itemsize > 8:
            raise FileRefused(f"{here} has rows of {row}, which are no numbers; store them as numbers")
        if data.ndim != 1 or len(data) > MAX_ROWS:
            raise FileRefused(f"{here} has rows in the shape {data.shape}; store them in one axis of at most {MAX_ROWS:,}")
        if data.id.get_create_plist().get_nfilters():
            raise FileRefused(f"{here} has packed rows; store rows of variable length without a filter")
        lengths = self._row_lengths(data, here)
        if len(lengths) < len(data):  # one long fill value would be read for each of the others
            raise FileRefused(f"{here} has {len(data):,} rows, of which {len(lengths):,} were written; write them all")
        if len(lengths) and int(lengths.max()) * row.itemsize > self._file_bytes:
            raise FileRefused(f"{here} has a row of {lengths.max():,} numbers, more than the file holds; write it again")
        # no number is stored but in its row, so that many rows that name one place are counted as often as they will be read
        self._unpack(int(lengths.sum()) * row.itemsize + len(data) * _ROW_BYTES, here)

    def _row_lengths(self, data: h5py.Dataset, here: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """As stored: a row is its length in four bytes, and then the place of its numbers."""
        width = int(data.id.get_type().get_size())
        if data.chunks:
            stored = b"".join(data.id.read_direct_chunk(chunk.chunk_offset)[1] for chunk in _stored_chunks(data))
        elif data.id.get_storage_size() == 0:
            stored = b""  # never written
        elif data.id.get_offset() is None:
            raise FileRefused(f"{here} keeps its rows in the object header; store them contiguously or in chunks")
        else:
            with self._path.open("rb") as file:
                file.seek(data.id.get_offset())
                stored = file.read(len(data) * width)
        words = np.frombuffer(stored[: len(stored) // width * width], np.uint8).reshape(-1, width)
        return np.ascontiguousarray(words[:, :4]).view("<u4").astype(np.int64).ravel()

    def _chunks(self, data: h5py.Dataset, here: str, chunk_bytes: int) -> None:
        """Inflate each chunk, but never beyond the size it declares: libhdf5 itself would go on to the end of the stream."""
        if data.id.get_num_chunks() > MAX_CHUNKS:
            raise FileRefused(f"{here} has {data.id.get_num_chunks():,} chunks, the limit is {MAX_CHUNKS:,}; use larger chunks")
        for chunk in _stored_chunks(data):
            if chunk.filter_mask or chunk.size > self._file_bytes:
                raise FileRefused(f"{here} has a chunk of {chunk.size:,} bytes that skips a filter or exceeds the file; write it again")
            inflated = zlib.decompressobj().decompress(data.id.read_direct_chunk(chunk.chunk_offset)[1], chunk_bytes + 1)
            if len(inflated) != chunk_bytes:
                more = "more" if len(inflated) > chunk_bytes else "fewer"
                raise FileRefused(f"{here} has a chunk that inflates to {more} than its {chunk_bytes:,} bytes; write it again")


def _stored_chunks(data: h5py.Dataset) -> list[Any]:
    found: list[Any] = []
    data.id.chunk_iter(found.append)
    return found


def _group(group: h5py.Group, skip: tuple[str, ...] = ()) -> Tree:
    wanted = {name: group[name] for name in group if name not in skip}
    return {name: _group(member) if isinstance(member, h5py.Group) else _value(member) for name, member in wanted.items()}


def _value(data: h5py.Dataset) -> Any:
    if h5py.check_vlen_dtype(data.dtype) not in (None, str, bytes):
        return list(data[()])
    if h5py.check_string_dtype(data.dtype) is None:
        return data[()]
    texts = np.array(list(_texts(data)), dtype=object)
    return texts.reshape(data.shape).tolist()


def _texts(data: h5py.Dataset) -> Iterator[str]:
    """One by one: many short references to one long text would otherwise be multiplied in memory."""
    for index in np.ndindex(data.shape):
        raw = data[index]
        if len(raw) > MAX_TEXT:
            raise FileRefused(f"{data.name} holds a text of {len(raw):,} bytes, the limit is {MAX_TEXT:,}; shorten it")
        yield raw.decode()
