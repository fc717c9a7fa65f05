"""The walk through an HDF5 file that nobody vouches for.

It runs in a process of its own (lehr/hdf5child.py).

HDF5 can name other files as the place of its data, link groups into a circle, and declare terabytes
in a kilobyte. So the whole file is walked before any of its numbers are read, and what is found
must be a tree of numbers and text of bounded size. A file may still make libhdf5 itself fail: hence
the process.
"""

from __future__ import annotations

import json
import math
import os
import resource
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, product
from typing import Any, NamedTuple

from lehr import libhdf5
from lehr.errors import FileRefused
from lehr.hdf5limits import MAX_CHUNKS, MAX_DEPTH, MAX_DOCUMENT, MAX_ROWS, MAX_TEXT, NAME, Limits
from lehr.libhdf5 import Library, Shape, Storage

Frame = tuple[dict[str, Any], Iterable[Any]]
"""The facts of a member, and the bytes of its numbers."""
_ROW_BYTES = 128  # what numpy needs for an array besides its numbers
_DEFLATE, _SHUFFLE = 1, 2  # the numbers that HDF5 gives its filters
_SMALL = 4_096  # bytes


class _Data(NamedTuple):
    """A data set that is open, and what is in it.

    That is numbers or rows of a numpy type, or text if it has no such type.
    """

    place: int
    kind: int
    space: int
    shape: Shape
    dtype: str | None
    width: int

    @property
    def members(self) -> int:
        """The number of its numbers, rows or texts."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The bytes that they take."""
        return self.members * self.width


def lower_limit(what: int, amount: int, more: int = 0) -> None:
    """Give this process no more of a resource than `amount`, and no way back.

    At `amount + more` the system ends it.
    """
    hard = resource.getrlimit(what)[1]
    high = amount + more if hard == resource.RLIM_INFINITY else min(amount + more, hard)
    with suppress(ValueError, OSError):  # a system that does not know one limit keeps the others
        resource.setrlimit(what, (min(amount, high), high))


def walk(handle: int, library: str, limits: Limits) -> Iterator[Frame]:
    """Yield every member of the HDF5 file that is open at `handle`.

    All are looked at before the first is given.

    Raises:
        FileRefused: when it holds anything but a bounded tree of numbers and text.
        Damaged: when the library cannot read it.
    """
    lib = Library(library)
    file = lib.file(f"/dev/fd/{handle}".encode())
    try:
        # nothing that the walk may overlook opens another file
        lower_limit(resource.RLIMIT_NOFILE, 0)
        audit = _Audit(lib, file, handle, limits)
        audit.group(lib.Oopen(file, b"/", 0), "", 0)
        yield from audit.frames
    finally:
        lib.Fclose(file)


class _Audit:
    """A walk through a file that refuses what is not a bounded tree.

    Of its numbers, only a few at a time are read on the way.

    To open a data set is most of what a small one costs: what is large is opened again, once all
    the rest has been seen.
    """

    def __init__(self, lib: Library, file: int, handle: int, limits: Limits) -> None:
        self.frames: list[Frame] = []
        self._lib, self._file, self._handle, self._limits = lib, file, handle, limits
        self._file_bytes = os.fstat(handle).st_size
        self._unpacked = 0
        self._seen: set[bytes] = set()

    def group(self, group: int, where: str, depth: int) -> None:
        """Check everything below `group`, which is at the path `where`."""
        if depth > MAX_DEPTH:
            raise FileRefused(f"{where} lies deeper than {MAX_DEPTH} groups; a graph needs no more")
        for link in self._lib.links(group, self._limits.objects):
            name = link.name.decode(errors="replace")
            if not where and name in self._limits.skip:
                continue
            if not NAME.match(name):
                raise FileRefused(
                    f"{where or 'the file'} holds the name {name!r}; use letters, digits, '_', '-' "
                    "and '.'"
                )
            here = f"{where}/{name}" if where else name
            if link.kind != libhdf5.HARD:
                kind = libhdf5.LINKS.get(link.kind, f"kind {link.kind}")
                raise FileRefused(
                    f"{here} is a link to another place ({kind}); put what it points to into the "
                    "file"
                )
            self._member(link.token, here, depth)

    def _member(self, token: bytes, here: str, depth: int) -> None:
        if token in self._seen:
            raise FileRefused(f"{here} is linked twice; store it once in each place")
        self._seen.add(token)
        if len(self._seen) > self._limits.objects:
            raise FileRefused(
                f"{here} is object {len(self._seen):,}, the limit is {self._limits.objects:,}; "
                f"{self._limits.smaller}"
            )
        opened = self._lib.object(self._file, token)
        kind = self._lib.Iget_type(opened)
        if kind == libhdf5.GROUP:
            self.frames.append(({"at": here, "kind": "group"}, ()))
            self.group(opened, here, depth + 1)
        elif kind == libhdf5.DATA_SET:
            self.frames.append(self._data_set(opened, token, here))
        else:
            raise FileRefused(f"{here} is a named type, neither group nor data set; remove it")
        self._lib.Idec_ref(opened)

    def _data_set(self, place: int, token: bytes, here: str) -> Frame:
        lib = self._lib
        kind, space = lib.Dget_type(place), lib.Dget_space(place)
        shape, family, width = lib.shape(space), lib.Tget_class(kind), lib.Tget_size(kind)
        stored = Storage() if lib.Dget_offset(place) != libhdf5.NOWHERE else lib.storage(place)
        if stored.file is not None:
            raise FileRefused(
                f"{here} keeps its numbers in another file ({stored.file}); store them in this one"
            )
        if stored.layout == libhdf5.VIRTUAL:
            raise FileRefused(
                f"{here} is a virtual data set, made of other files; store its numbers in this one"
            )
        if not shape and lib.Sget_simple_extent_type(space) == libhdf5.NO_VALUE:
            raise FileRefused(f"{here} holds no value; store one or remove it")
        if family == libhdf5.ROWS and self._limits.rows:
            frame = self._rows(place, kind, shape, stored, token, here)
        else:
            dtype = None if family == libhdf5.TEXT else lib.numbers(kind)
            if dtype is None and family != libhdf5.TEXT:
                name = libhdf5.CLASSES.get(family, f"numbers of {width} bytes")
                raise FileRefused(
                    f"{here} holds {name}, neither numbers of at most 8 bytes nor text; store it "
                    "as numbers"
                )
            data = _Data(place, kind, space, shape, dtype, width)
            self._check(data, stored, here)
            frame = self._frame(data, token, here)
        lib.Idec_ref(kind)
        lib.Idec_ref(space)
        return frame

    def _check(self, data: _Data, stored: Storage, here: str) -> None:
        """Check what a data set unpacks to."""
        text = data.dtype is None
        chunk = stored.chunk or (1,) * len(data.shape)
        # A partly used chunk is unpacked whole.
        self._unpack(
            math.prod(-(-n // c) * c for n, c in zip(data.shape, chunk, strict=True)) * data.width,
            here,
        )
        if text and data.members > self._limits.objects:
            raise FileRefused(
                f"{here} holds {data.members:,} texts, the limit is {self._limits.objects:,}; "
                f"{self._limits.smaller}"
            )
        if stored.filters not in ([()] if text else [(), (_DEFLATE,), (_SHUFFLE, _DEFLATE)]):
            raise FileRefused(
                f"{here} is packed with HDF5 filters {[*stored.filters]}; use gzip for numbers and "
                "none for text"
            )
        if stored.filters and not self._only_declared(data):
            self._chunks(data, math.prod(chunk) * data.width, here)

    def _unpack(self, count: int, here: str) -> None:
        self._unpacked += count
        limit = self._limits.unpacked_bytes
        if self._unpacked > limit:
            raise FileRefused(
                f"{here} brings the file to {self._unpacked:,} bytes unpacked, the limit for one "
                f"of {self._file_bytes:,} bytes is "
                f"{limit:,}; {self._limits.smaller}"
            )

    def _chunks(self, data: _Data, chunk_bytes: int, here: str) -> None:
        """Inflate each chunk, but never beyond the size it declares.

        libhdf5 itself would go on to the end of the stream.
        """
        chunks = self._lib.chunks(data.place, len(data.shape))
        if len(chunks) > MAX_CHUNKS:
            raise FileRefused(
                f"{here} has {len(chunks):,} chunks, the limit is {MAX_CHUNKS:,}; use larger chunks"
            )
        for chunk in chunks:
            if chunk.skipped or chunk.size > self._file_bytes:
                raise FileRefused(
                    f"{here} has a chunk of {chunk.size:,} bytes that skips a filter or exceeds "
                    "the file; write it again"
                )
            inflated = zlib.decompressobj().decompress(
                self._lib.chunk_bytes(data.place, chunk), chunk_bytes + 1
            )
            if len(inflated) != chunk_bytes:
                more = "more" if len(inflated) > chunk_bytes else "fewer"
                raise FileRefused(
                    f"{here} has a chunk that inflates to {more} than its {chunk_bytes:,} bytes; "
                    "write it again"
                )

    def _only_declared(self, data: _Data) -> bool:
        """Return whether numbers are stated by their type and shape, and not read."""
        return (
            self._limits.array_bytes is not None
            and data.dtype is not None
            and data.bytes > self._limits.array_bytes
        )

    def _frame(self, data: _Data, token: bytes, here: str) -> Frame:
        lib, head = (
            self._lib,
            {"at": here, "kind": "numbers", "dtype": data.dtype, "shape": data.shape},
        )
        if data.dtype is None:
            texts = json.dumps(list(self._texts(data, here)), ensure_ascii=False).encode()
            return {"at": here, "kind": "text", "shape": data.shape, "bytes": len(texts)}, (texts,)
        if self._only_declared(data):
            return {**head, "kind": "declared"}, ()
        if data.bytes <= _SMALL:
            return head, (lib.read(data.place, data.kind, data.bytes),)
        return head, self._later(
            token, lambda place, kind, _space: iter((lib.read(place, kind, data.bytes),))
        )

    def _later(self, token: bytes, read: Callable[[int, int, int], Iterator[Any]]) -> Iterator[Any]:
        """Yield from `read` of a data set that is opened when it is sent."""
        lib = self._lib
        place = lib.object(self._file, token)
        kind, space = lib.Dget_type(place), lib.Dget_space(place)
        yield from read(place, kind, space)
        for opened in (kind, space, place):
            lib.Idec_ref(opened)

    def _texts(self, data: _Data, here: str) -> Iterator[str]:
        """Yield texts; those of variable length one by one.

        Many short references to one long text would otherwise be multiplied in memory.
        """
        lib, limit = self._lib, MAX_TEXT if data.shape else MAX_DOCUMENT
        varies = bool(lib.Tis_variable_str(data.kind))
        if varies:
            stored: Iterable[bytes] = (
                lib.text(data.place, data.kind, data.space, at)
                for at in product(*map(range, data.shape))
            )
        else:
            whole = bytes(lib.read(data.place, data.kind, data.bytes))
            stored = (
                whole[start : start + data.width].rstrip(b"\0")
                for start in range(0, data.bytes, data.width)
            )
        for text in stored:
            if len(text) > limit:
                raise FileRefused(
                    f"{here} holds a text of {len(text):,} bytes, the limit is {limit:,}; shorten "
                    "it"
                )
            if varies:
                self._unpack(len(text), here)
            yield text.decode()

    # ---------------------------------------------------------------- rows of variable length
    def _rows(
        self, place: int, kind: int, shape: Shape, stored: Storage, token: bytes, here: str
    ) -> Frame:
        """Check rows by the lengths that are stored for them.

        libhdf5 reserves memory for whatever they say.
        """
        lib = self._lib
        base = lib.Tget_super(kind)
        dtype, width = lib.numbers(base), lib.Tget_size(base)
        lib.Idec_ref(base)
        if dtype is None:
            raise FileRefused(f"{here} has rows that are no numbers; store them as numbers")
        if len(shape) != 1 or shape[0] > MAX_ROWS:
            raise FileRefused(
                f"{here} has rows in the shape {shape}; store them in one axis of at most "
                f"{MAX_ROWS:,}"
            )
        if stored.filters:
            raise FileRefused(
                f"{here} has packed rows; store rows of variable length without a filter"
            )
        lengths = self._row_lengths(place, stored.layout, shape[0], lib.Tget_size(kind), here)
        if len(lengths) < shape[0]:  # one long fill value would be read for each of the others
            raise FileRefused(
                f"{here} has {shape[0]:,} rows, of which {len(lengths):,} were written; write them "
                "all"
            )
        if max(lengths, default=0) * width > self._file_bytes:
            raise FileRefused(
                f"{here} has a row of {max(lengths):,} numbers, more than the file holds; write it "
                "again"
            )
        # no number is stored but in its row, so that many rows that name one place are counted as
        # often as they will be read
        self._unpack(sum(lengths) * width + shape[0] * _ROW_BYTES, here)
        head = {
            "at": here,
            "kind": "rows",
            "dtype": dtype,
            "rows": shape[0],
            "numbers": sum(lengths),
        }
        rows = self._later(
            token, lambda place, kind, space: lib.rows(place, kind, space, lengths, width)
        )
        return head, chain((b"".join(length.to_bytes(8, "little") for length in lengths),), rows)

    def _row_lengths(self, place: int, layout: int, rows: int, width: int, here: str) -> list[int]:
        """Return the lengths of rows as stored.

        A row is its length in four bytes, and then the place of its numbers.
        """
        lib = self._lib
        if layout == libhdf5.CHUNKED:
            chunks = sorted(
                chunk for chunk in lib.chunks(place, 1) if chunk.size <= self._file_bytes
            )
            stored = b"".join(lib.chunk_bytes(place, chunk) for chunk in chunks)[: rows * width]
        elif lib.Dget_storage_size(place) == 0:
            stored = b""  # never written
        elif layout == libhdf5.COMPACT:
            raise FileRefused(
                f"{here} keeps its rows in the object header; store them contiguously or in chunks"
            )
        else:
            stored = os.pread(self._handle, rows * width, lib.Dget_offset(place))
        return [
            int.from_bytes(stored[at : at + 4], "little")
            for at in range(0, len(stored) // width * width, width)
        ]
