"""The walk through an HDF5 file that nobody vouches for; it runs in a process of its own (lehr/hdf5.py).

HDF5 can name other files as the place of its data, link groups into a circle, and declare terabytes in a kilobyte. So the whole
file is walked before any of its numbers are read, and what is found must be a tree of numbers and text of bounded size. A file may
still make libhdf5 itself fail: hence the process, with limits of its own on memory, time and files.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import resource
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py
import numpy as np
from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module

from lehr.errors import FileRefused
from lehr.hdf5wire import MAX_DEPTH, MAX_ROWS, MAX_TEXT, NAME, Declared, Limits, Member, send, send_refusal

MAX_CHUNKS = 65_536
_ROW_BYTES = 128  # what numpy needs for an array besides its numbers
_DEFLATE, _SHUFFLE = 1, 2  # the numbers that HDF5 gives its filters
_BASE_BYTES = 1 << 30  # of address space, for the interpreter and its libraries
_COPIES = 3  # of the largest data set: stored, unpacked, sent


def main() -> None:
    """Read the HDF5 file on standard input and send it to standard output; the only argument is the limits, as JSON."""
    told = json.loads(sys.argv[1])
    limits = Limits(**told | {"skip": tuple(told["skip"])})
    confine(limits)
    out = os.fdopen(1, "wb", closefd=False)
    try:
        send(walk(0, limits), out)
    except FileRefused as error:
        send_refusal(str(error), out)
    except MemoryError:
        send_refusal(f"takes more memory to read than {limits.unpacked_bytes:,} unpacked bytes should; {limits.remedy}", out)
    except BrokenPipeError:
        return
    except Exception as error:  # h5py passes on whatever libhdf5 says about a damaged file, under many types
        reason = " ".join(str(error).split()) or type(error).__name__
        send_refusal(f"is damaged ({reason}); {limits.remedy}", out)
    out.flush()


def confine(limits: Limits) -> None:
    """Give this process no more memory and processor time than such a file takes, no child, no core, and no byte of any file to write.

    Linux holds every one of these limits; macOS does not hold the one on memory.
    """
    _limit(resource.RLIMIT_AS, _BASE_BYTES + limits.file_bytes + _COPIES * limits.unpacked_bytes)
    _limit(resource.RLIMIT_CPU, limits.seconds, more=1)  # at the lower limit the signal tells why, at the upper one it is SIGKILL
    for what in (resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        _limit(what, 0)


def _limit(what: int, amount: int, more: int = 0) -> None:
    hard = resource.getrlimit(what)[1]
    high = amount + more if hard == resource.RLIM_INFINITY else min(amount + more, hard)
    with suppress(ValueError, OSError):  # a system that does not know one limit keeps the others
        resource.setrlimit(what, (min(amount, high), high))


def walk(handle: int, limits: Limits) -> Iterator[Member]:
    """Every member of the HDF5 file that is open at `handle`: all are looked at before the first is given.

    Raises:
        FileRefused: when it is not HDF5, or holds anything but a bounded tree of numbers and text.
    """
    name = f"/dev/fd/{handle}"
    if not h5py.is_hdf5(name):
        raise FileRefused(f"is not an HDF5 file (empty, cut short or of another format); {limits.remedy}")
    with h5py.File(name, "r") as file:
        codecs.lookup("ascii")  # h5py's, which is a file until it is wanted
        _limit(resource.RLIMIT_NOFILE, 0)  # nothing that the walk may overlook opens another file
        for at in list(_Audit(handle, limits).group(file, "", 0)):
            member = file[at]
            if not isinstance(member, h5py.Dataset):
                yield at, None
            elif _told(member, limits):
                yield at, Declared(member.dtype.str, member.shape)
            else:
                yield at, _value(member)


class _Audit:
    """Walks a file without reading its numbers, and refuses what is not a bounded tree."""

    def __init__(self, handle: int, limits: Limits) -> None:
        self._handle, self._file_bytes, self._limits = handle, os.fstat(handle).st_size, limits
        self._unpacked = 0
        self._seen: set[int] = set()

    def group(self, group: h5py.Group, where: str, depth: int) -> Iterator[str]:
        """Check everything below `group`, which is at the path `where`, and give the place of each member."""
        if depth > MAX_DEPTH:
            raise FileRefused(f"{where} lies deeper than {MAX_DEPTH} groups; a graph needs no more")
        for name in group:
            if not where and name in self._limits.skip:
                continue
            if not isinstance(name, str) or not NAME.match(name):
                raise FileRefused(f"{where or 'the file'} holds the name {name!r}; use letters, digits, '_', '-' and '.'")
            here = f"{where}/{name}".lstrip("/")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise FileRefused(f"{here} is a link to another place ({type(link).__name__}); put what it points to into the file")
            member = group[name]
            self._count(member, here)
            yield here
            if isinstance(member, h5py.Group):
                yield from self.group(member, here, depth + 1)
            elif isinstance(member, h5py.Dataset):
                self._data_set(member, here)
            else:
                raise FileRefused(f"{here} is a {type(member).__name__}, neither group nor data set; remove it")

    def _count(self, member: Any, here: str) -> None:
        address = int(h5o.get_info(member.id).addr)
        if address in self._seen:
            raise FileRefused(f"{here} is linked twice; store it once in each place")
        self._seen.add(address)
        if len(self._seen) > self._limits.objects:
            raise FileRefused(f"{here} is object {len(self._seen):,}, the limit is {self._limits.objects:,}; {self._limits.smaller}")

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
        if text and (texts := math.prod(data.shape)) > self._limits.objects:
            raise FileRefused(f"{here} holds {texts:,} texts, the limit is {self._limits.objects:,}; {self._limits.smaller}")
        made = data.id.get_create_plist()
        filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
        if filters not in ([[]] if text else [[], [_DEFLATE], [_SHUFFLE, _DEFLATE]]):
            raise FileRefused(f"{here} is packed with HDF5 filters {filters}; use gzip for numbers and none for text")
        if filters and not _told(data, self._limits):
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
            stored = os.pread(self._handle, len(data) * width, data.id.get_offset())
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


def _told(data: h5py.Dataset, limits: Limits) -> bool:
    """Whether numbers are told by their type and shape, and not read."""
    return limits.told_bytes is not None and data.dtype.kind in "fiub" and data.nbytes > limits.told_bytes


def _stored_chunks(data: h5py.Dataset) -> list[Any]:
    found: list[Any] = []
    data.id.chunk_iter(found.append)
    return found


def _value(data: h5py.Dataset) -> Any:
    """Its rows, numbers or texts."""
    if h5py.check_vlen_dtype(data.dtype) not in (None, str, bytes):
        return list(data[()])
    if h5py.check_string_dtype(data.dtype) is None:
        return np.asarray(data[()])
    return np.array(list(_texts(data)), dtype=object).reshape(data.shape)


def _texts(data: h5py.Dataset) -> Iterator[str]:
    """One by one: many short references to one long text would otherwise be multiplied in memory."""
    for index in np.ndindex(data.shape):
        raw = data[index]
        if len(raw) > MAX_TEXT:
            raise FileRefused(f"{data.name} holds a text of {len(raw):,} bytes, the limit is {MAX_TEXT:,}; shorten it")
        yield raw.decode()
