"""The HDF5 library in C, as far as the walk through a file needs it (lehr/hdf5walk.py).

It is the one that h5py brings along, called without h5py: to import that and numpy takes three
times as long as everything else that is done to refuse a file. No number is converted: what is read
are the bytes as they are stored.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from ctypes import (
    POINTER,
    Structure,
    Union,
    byref,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ubyte,
    c_uint,
    c_uint64,
    c_void_p,
)
from typing import TYPE_CHECKING, Any, NamedTuple

Shape = tuple[int, ...]

HARD = 0  # of the kinds of links
LINKS = {1: "SoftLink", 64: "ExternalLink"}
GROUP, TYPE, DATA_SET = 2, 3, 5  # kinds of objects
INTEGER, FLOAT, TEXT, ENUM, ROWS = 0, 1, 3, 8, 9  # classes of types
CLASSES = {
    2: "times",
    4: "bit fields",
    5: "opaque",
    6: "compound",
    7: "references",
    9: "ragged",
    10: "arrays",
    11: "complex numbers",
}
COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = range(4)  # layouts
NOWHERE = 2**64 - 1  # the place of what is not stored contiguously
NO_VALUE = 2  # class of a data space
_CLOSE_ALL = 3
MAX_AXES = 32
_ALL = _DEFAULT = 0
_DOWNWARD = 1


class Damaged(Exception):
    """Refusal of the library to go on; the message is its own."""


class Token(Structure):
    """The place of an object in its file."""

    _fields_ = (("bytes", c_ubyte * 16),)


class _Target(Union):
    _fields_ = (("token", Token), ("size", c_size_t))


class _Link(Structure):
    _fields_ = (
        ("kind", c_int),
        ("ordered", c_ubyte),
        ("order", c_int64),
        ("letters", c_int),
        ("target", _Target),
    )


class _Problem(Structure):
    _fields_ = (
        ("owner", c_int64),
        ("major", c_int64),
        ("minor", c_int64),
        ("line", c_uint),
        ("function", c_char_p),
        ("file", c_char_p),
        ("what", c_char_p),
    )


class _Row(Structure):
    _fields_ = (("length", c_size_t), ("numbers", c_void_p))


class Link(NamedTuple):
    """A member of a group: its name, its kind and, of a hard link, the object."""

    name: bytes
    kind: int
    token: bytes


class Storage(NamedTuple):
    """The storage of a data set.

    It is its layout, the shape of its chunks, the numbers of its filters, and the other file that
    holds it.
    """

    layout: int = CONTIGUOUS
    chunk: Shape = ()
    filters: tuple[int, ...] = ()
    file: str | None = None


class Chunk(NamedTuple):
    """A stored piece of a data set.

    It is where it begins, which of its filters it skips, and its bytes in the file.
    """

    offset: Shape
    skipped: int
    size: int


_ID = c_int64
_ON_LINK = ctypes.CFUNCTYPE(c_int, _ID, c_char_p, POINTER(_Link), c_void_p)
_ON_CHUNK = ctypes.CFUNCTYPE(c_int, POINTER(c_uint64), c_uint, c_uint64, c_uint64, c_void_p)
_ON_PROBLEM = ctypes.CFUNCTYPE(c_int, c_uint, POINTER(_Problem), c_void_p)
# Result and arguments. A negative result is an error, also of a function that answers with an
# identifier or a number.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "H5open": (c_int,),
    "H5Eset_auto2": (c_int, _ID, c_void_p, c_void_p),
    "H5Pcreate": (_ID, _ID),
    "H5Pset_fclose_degree": (c_int, _ID, c_int),
    "H5Fopen": (_ID, c_char_p, c_uint, _ID),
    "H5Fclose": (c_int, _ID),
    "H5Literate2": (c_int, _ID, c_int, c_int, POINTER(c_uint64), _ON_LINK, c_void_p),
    "H5Oopen": (_ID, _ID, c_char_p, _ID),
    "H5Oopen_by_token": (_ID, _ID, Token),
    "H5Iget_type": (c_int, _ID),
    "H5Idec_ref": (c_int, _ID),
    "H5Dget_space": (_ID, _ID),
    "H5Dget_type": (_ID, _ID),
    "H5Dget_create_plist": (_ID, _ID),
    "H5Dchunk_iter": (c_int, _ID, _ID, _ON_CHUNK, c_void_p),
    "H5Dread": (c_int, _ID, _ID, _ID, _ID, _ID, c_void_p),
    "H5Screate": (_ID, c_int),
    "H5Sget_simple_extent_type": (c_int, _ID),
    "H5Sget_simple_extent_dims": (c_int, _ID, POINTER(c_uint64), POINTER(c_uint64)),
    "H5Sselect_elements": (c_int, _ID, c_int, c_size_t, POINTER(c_uint64)),
    "H5Pget_layout": (c_int, _ID),
    "H5Pget_chunk": (c_int, _ID, c_int, POINTER(c_uint64)),
    "H5Pget_external_count": (c_int, _ID),
    "H5Pget_external": (
        c_int,
        _ID,
        c_uint,
        c_size_t,
        c_char_p,
        POINTER(c_int64),
        POINTER(c_uint64),
    ),
    "H5Pget_nfilters": (c_int, _ID),
    "H5Pget_filter2": (
        c_int,
        _ID,
        c_uint,
        c_void_p,
        c_void_p,
        c_void_p,
        c_size_t,
        c_void_p,
        c_void_p,
    ),
    "H5Tget_class": (c_int, _ID),
    "H5Tget_sign": (c_int, _ID),
    "H5Tget_order": (c_int, _ID),
    "H5Tequal": (c_int, _ID, _ID),
    "H5Tget_size": (c_uint64, _ID),
    "H5Dget_offset": (c_uint64, _ID),
    "H5Dget_storage_size": (c_uint64, _ID),
    "H5Tget_super": (_ID, _ID),
    "H5Tis_variable_str": (c_int, _ID),
    "H5Treclaim": (c_int, _ID, _ID, _ID, c_void_p),
}


class Library:
    """Functions of the library by name, without the `H5`.

    Each raises `Damaged` if it answers with an error.
    """

    def __init__(self, path: str) -> None:
        self._lib = ctypes.CDLL(path)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
            if result is not c_uint64:
                function.errcheck = self._checked
            setattr(self, name[2:], function)
        self.open()
        # it would write what it says to the error stream as well
        self.Eset_auto2(_DEFAULT, None, None)
        self._types: dict[tuple[int, int, int, int], int] = {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., int]: ...

    def _checked(self, result: int, _function: object, _arguments: object) -> int:
        if result < 0:
            raise Damaged(self._problem())
        return result

    def _problem(self) -> str:
        """Return what the library says of its last error.

        It is of the outermost and the innermost of the functions that gave up.
        """
        said: list[str] = []

        def note(_number: int, problem: Any, _data: None) -> int:
            said.append((problem.contents.what or b"").decode(errors="replace"))
            return 0

        self._lib.H5Ewalk2(c_int64(_DEFAULT), c_int(_DOWNWARD), _ON_PROBLEM(note), None)
        return ": ".join(dict.fromkeys((said[0], said[-1]))) if said else ""

    def constant(self, name: str) -> int:
        """Return an identifier that the library defines."""
        return c_int64.in_dll(self._lib, name).value

    def file(self, name: bytes) -> int:
        """Open a file to read; whatever is open in it is closed together with it."""
        access = self.Pcreate(self.constant("H5P_CLS_FILE_ACCESS_ID_g"))
        self.Pset_fclose_degree(access, _CLOSE_ALL)
        return self.Fopen(name, 0, access)

    def links(self, group: int, most: int) -> list[Link]:
        """Return the members of a group by name; at most one more than `most`."""
        members: list[Link] = []

        def note(_group: int, name: bytes, link: Any, _data: None) -> int:
            members.append(Link(name, link.contents.kind, bytes(link.contents.target.token)))
            return len(members) > most

        self.Literate2(group, 0, 0, None, _ON_LINK(note), None)
        return members

    def object(self, file: int, token: bytes) -> int:
        """Open an object by its place."""
        return self.Oopen_by_token(file, Token.from_buffer_copy(token))

    def shape(self, space: int) -> Shape:
        """Return the axes of a data space."""
        axes = (c_uint64 * MAX_AXES)()
        return tuple(axes[: self.Sget_simple_extent_dims(space, axes, None)])

    def numbers(self, kind: int) -> str | None:
        """Return a type of numbers as numpy writes it, such as `<f8`; None where numpy has none."""
        family, width = self.Tget_class(kind), self.Tget_size(kind)
        if family == ENUM:  # truth values, as h5py writes them, are the numbers 0 and 1
            base = self.Tget_super(kind)
            named = self.numbers(base)
            self.Idec_ref(base)
            return named
        if family not in (INTEGER, FLOAT) or width not in (1, 2, 4, 8):
            return None
        order = self.Tget_order(kind)
        signed = family == FLOAT or self.Tget_sign(kind)
        key = family, width, order, int(signed)
        if key not in self._types:
            name = (
                f"H5T_IEEE_F{8 * width}"
                if family == FLOAT
                else f"H5T_STD_{'I' if signed else 'U'}{8 * width}"
            )
            if order not in (0, 1) or (family == FLOAT and width == 1):
                return None
            self._types[key] = self.constant(f"{name}{'BE' if order else 'LE'}_g")
        if not self.Tequal(kind, self._types[key]):  # of another precision, for example
            return None
        byte_order = "|" if width == 1 else ">" if order else "<"
        letter = "f" if family == FLOAT else "i" if signed else "u"
        return f"{byte_order}{letter}{width}"

    def storage(self, data: int) -> Storage:
        """Return how a data set is stored."""
        plist, chunk, name = (
            self.Dget_create_plist(data),
            (c_uint64 * MAX_AXES)(),
            ctypes.create_string_buffer(1024),
        )
        layout = self.Pget_layout(plist)
        axes = self.Pget_chunk(plist, MAX_AXES, chunk) if layout == CHUNKED else 0
        elsewhere = self.Pget_external_count(plist)
        if elsewhere:
            self.Pget_external(plist, 0, len(name) - 1, name, byref(c_int64()), byref(c_uint64()))
        numbers = range(self.Pget_nfilters(plist))
        filters = tuple(
            self.Pget_filter2(plist, number, None, byref(c_size_t(0)), None, 0, None, None)
            for number in numbers
        )
        self.Idec_ref(plist)
        return Storage(
            layout,
            tuple(chunk[:axes]),
            filters,
            name.value.decode(errors="replace") if elsewhere else None,
        )

    def chunks(self, data: int, ndim: int) -> list[Chunk]:
        """Return the pieces that were written."""
        pieces: list[Chunk] = []

        def note(offset: Any, skipped: int, _address: int, size: int, _data: None) -> int:
            pieces.append(Chunk(tuple(offset[:ndim]), skipped, size))
            return 0

        self.Dchunk_iter(data, _DEFAULT, _ON_CHUNK(note), None)
        return pieces

    def chunk_bytes(self, data: int, chunk: Chunk) -> bytes:
        """Return a piece as it is stored, packed."""
        stored = ctypes.create_string_buffer(chunk.size)
        read = getattr(self._lib, "H5Dread_chunk1", None) or self._lib.H5Dread_chunk
        read.argtypes = (_ID, _ID, POINTER(c_uint64), POINTER(c_uint), c_void_p)
        self._checked(
            read(
                data,
                _DEFAULT,
                (c_uint64 * len(chunk.offset))(*chunk.offset),
                byref(c_uint()),
                stored,
            ),
            None,
            None,
        )
        return stored.raw

    def read(self, data: int, kind: int, size: int) -> memoryview:
        """Read all of a data set, `size` bytes as they are stored."""
        into = ctypes.create_string_buffer(max(size, 1))
        self.Dread(data, kind, _ALL, _ALL, _DEFAULT, into)
        return memoryview(into)[:size]

    def text(self, data: int, kind: int, space: int, index: Shape) -> bytes:
        """Read one of the texts of variable length."""
        one, held = self.Screate(0), c_char_p()
        if index:
            self.Sselect_elements(space, 0, 1, (c_uint64 * len(index))(*index))
        self.Dread(data, kind, one, space if index else _ALL, _DEFAULT, byref(held))
        text = held.value or b""
        self.Treclaim(kind, one, _DEFAULT, byref(held))
        self.Idec_ref(one)
        return text

    def rows(
        self, data: int, kind: int, space: int, lengths: list[int], width: int
    ) -> Iterator[bytes]:
        """Yield the rows of variable length, one after another, of numbers of `width` bytes.

        Their number has to be that in `lengths`.
        """
        held = (_Row * len(lengths))()
        self.Dread(data, kind, _ALL, _ALL, _DEFAULT, held)
        for row, length in zip(held, lengths, strict=True):
            if row.length != length:
                raise Damaged(f"a row of {row.length:,} numbers is stored as one of {length:,}")
            yield ctypes.string_at(row.numbers, length * width) if length else b""
        self.Treclaim(kind, space, _DEFAULT, held)
