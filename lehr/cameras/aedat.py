"""iniVation's AEDAT 3.1, in packets.

Source: iniVation, "AEDAT 3.1" (file format).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lehr.cameras import events
from lehr.cameras.events import LATEST, Events
from lehr.errors import FileRefused

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
                for first in range(0, number, events.BLOCK):
                    words = (
                        np.frombuffer(stream.read(min(events.BLOCK, number - first) * width), "<u4")
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
