"""Files of event cameras, decoded block by block.

They are N-MNIST's events of 40 bits, AEDAT 3.1, and numpy's arrays of events.

Sources: Orchard, Jayawant, Cohen & Thakor 2015, "Converting static image datasets to spiking
neuromorphic datasets using saccades", and the reader on the data set's page; iniVation, "AEDAT 3.1"
(file format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.npyfile import read_header

BLOCK = 1 << 18
"""Events that are decoded at a time."""
_BITS_40, _OVERFLOW_ROW, _OVERFLOW = 5, 240, 1 << 13
_HEADER_END, _MAX_HEADER = b"#!END-HEADER\r\n", 1 << 16
_PACKET = np.dtype(
    [
        (n, f"<u{b}")
        for n, b in zip(
            ("type", "source", "size", "offset", "overflow", "capacity", "number", "valid"),
            (2, 2, *[4] * 6),
            strict=True,
        )
    ]
)
_POLARITY_EVENT, _EVENT_BYTES = 1, 8
_FIELDS = ("t", "x", "y", "p")
LATEST = 1 << 60
"""Microseconds, 36,000 years, that no time is beyond, before or after 0.

Differences of two are numbers of 64 bits, too.
"""


@dataclass(frozen=True)
class Events:
    """Events of a camera, int64 `[events]` each.

    They are time in microseconds, column, row, and polarity 0 (darker) or 1 (brighter).
    """

    time: Int64
    x: Int64
    y: Int64
    polarity: Int64

    @classmethod
    def joined(cls, blocks: Iterable[Events]) -> Self:
        """Return the events of all blocks, one after the other."""
        parts = [(block.time, block.x, block.y, block.polarity) for block in blocks]
        return (
            cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            if parts
            else cls(*[np.zeros(0, np.int64)] * 4)
        )

    def require_inside(self, path: Path, rows: int, columns: int, way_out: str) -> None:
        """Refuse events of the file `path` that lie outside a camera of some size.

        Raises:
            FileRefused: naming the first.
        """
        outside = np.flatnonzero(
            (self.x < 0) | (self.x >= columns) | (self.y < 0) | (self.y >= rows)
        )
        if len(outside):
            at = f"column {self.x[outside[0]]}, row {self.y[outside[0]]}"
            raise FileRefused(f"{path} has an event at {at} of {columns}x{rows} pixels; {way_out}")


def forty_bits(path: Path) -> Iterator[Events]:
    """Yield N-MNIST's events, with the clock's overflows undone.

    An event is five bytes: column, row, and big-endian 24 bits of which the highest is the polarity
    and the others the time in microseconds. Row 240 marks an overflow of the camera's clock: later
    events are 2^13 microseconds later than they say.

    Raises:
        FileRefused: when it is no list of 40-bit events.
    """
    size, overflows = path.stat().st_size, 0
    if size % _BITS_40 or not size:
        raise FileRefused(
            f"{path} has {size:,} bytes, which are no events of {_BITS_40} bytes; get it again"
        )
    with path.open("rb") as stream:
        while data := stream.read(BLOCK * _BITS_40):
            raw = np.frombuffer(data, np.uint8).reshape(-1, _BITS_40).astype(np.int64)
            marks = raw[:, 1] == _OVERFLOW_ROW
            passed = overflows + np.cumsum(marks)
            time = ((raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]) + passed * _OVERFLOW
            overflows = int(passed[-1])
            yield Events(time[~marks], raw[~marks, 0], raw[~marks, 1], raw[~marks, 2] >> 7)


def aedat(path: Path) -> Iterator[Events]:
    """Yield the polarity events of an AEDAT 3.1 file.

    A packet has a header of 28 bytes and then its events; a polarity event is two little-endian
    words: bit 0 tells whether it is valid, bit 1 the polarity, bits 2-16 the row, bits 17-31 the
    column; then the lower 31 bits of the time in microseconds.

    Raises:
        FileRefused: when it is no such file, or is cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_MAX_HEADER)
        end = head.find(_HEADER_END)
        if not head.startswith(b"#!AER-DAT3.1") or end < 0:
            raise FileRefused(
                f"{path} starts with {head[:12]!r}, not as an AEDAT 3.1 file; give one of that "
                "version"
            )
        at = stream.seek(end + len(_HEADER_END))
        while data := stream.read(_PACKET.itemsize):
            if len(data) < _PACKET.itemsize:
                raise FileRefused(f"{path} is cut short at byte {at:,}; get it again")
            packet, at = np.frombuffer(data, _PACKET)[0], at + _PACKET.itemsize
            kind, width, number, valid, overflow = (
                int(packet[name]) for name in ("type", "size", "number", "valid", "overflow")
            )
            if number * width > size - at:
                raise FileRefused(
                    f"{path} is cut short at byte {at:,}: a packet of {number:,} events begins "
                    "there; get it again"
                )
            if kind == _POLARITY_EVENT:
                if width != _EVENT_BYTES:
                    raise FileRefused(
                        f"{path} has polarity events of {width} bytes at byte {at:,}, not "
                        f"{_EVENT_BYTES}; get it again"
                    )
                for first in range(0, number, BLOCK):
                    words = (
                        np.frombuffer(stream.read(min(BLOCK, number - first) * width), "<u4")
                        .reshape(-1, 2)
                        .astype(np.int64)
                    )
                    # some writers leave the bit of each event 0 and count them in the packet alone
                    words = words if valid == number else words[words[:, 0] & 1 == 1]
                    address, time = words[:, 0], words[:, 1]
                    if overflow << 31 > LATEST or (time >> 31).any():
                        raise FileRefused(
                            f"{path} has a time beyond 31 bits, or {overflow:,} overflows of it, "
                            f"at byte {at:,}; get it again"
                        )
                    time += overflow << 31
                    yield Events(time, address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1)
            at = stream.seek(at + number * width)


def structured(path: Path) -> Iterator[Events]:
    """Yield an `.npy` file of records with integers t (microseconds), x, y and p.

    That is what tonic, expelliarmus and others decode a file to.

    Raises:
        FileRefused: when it is no such file.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream)
    except (OSError, ValueError) as error:
        raise FileRefused(
            f"{path} is not a whole .npy file ({error}); write it with numpy.save"
        ) from None
    names = header.dtype.names or ()
    if len(header.shape) != 1 or not all(
        name in names and header.dtype[name].kind in "iub" for name in _FIELDS
    ):
        raise FileRefused(f"{path} holds {header}; give records with integers {', '.join(_FIELDS)}")
    size, whole = path.stat().st_size, header.start + header.nbytes
    if size != whole:
        raise FileRefused(
            f"{path} has {size:,} bytes, and {whole:,} by its header; write it with numpy.save"
        )
    held: Any = (
        np.memmap(path, header.dtype, "r", header.start, header.shape) if header.shape[0] else []
    )
    for first in range(0, len(held), BLOCK):
        block = held[first : first + BLOCK]
        for name in _FIELDS:
            _require_small(path, name, block[name])
        time, x, y, polarity = (block[name].astype(np.int64) for name in _FIELDS)
        if len(wrong := np.flatnonzero(polarity & ~1)):
            raise FileRefused(
                f"{path} has an event of polarity {polarity[wrong[0]]}; give 0 for darker and 1 "
                "for brighter"
            )
        yield Events(time, x, y, polarity)


def _require_small(path: Path, name: str, values: npt.NDArray[Any]) -> None:
    """Refuse a number so large that 64 bits might not hold what becomes of it."""
    if values.dtype.kind == "b":
        return
    for worst in (int(values.min()), int(values.max())):
        if abs(worst) > LATEST:
            raise FileRefused(
                f"{path} has an event whose {name} is {worst:,}; give at most {LATEST:,}"
            )


FORMATS: Mapping[str, Callable[[Path], Iterator[Events]]] = {
    ".aedat": aedat,
    ".bin": forty_bits,
    ".bs2": forty_bits,
    ".npy": structured,
}
"""Readers of events by the ends of files' names."""
