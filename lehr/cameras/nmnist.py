"""N-MNIST's events of 40 bits; N-Caltech101 has the same.

Source: Orchard, Jayawant, Cohen & Thakor 2015, "Converting static image datasets to spiking
neuromorphic datasets using saccades", and the reader on the data set's page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lehr.cameras import events
from lehr.cameras.events import Events
from lehr.errors import FileRefused

_BITS_40, _OVERFLOW_ROW, _OVERFLOW = 5, 240, 1 << 13


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
        while data := stream.read(events.BLOCK * _BITS_40):
            raw = np.frombuffer(data, np.uint8).reshape(-1, _BITS_40).astype(np.int64)
            marks = raw[:, 1] == _OVERFLOW_ROW
            passed = overflows + np.cumsum(marks)
            time = ((raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]) + passed * _OVERFLOW
            overflows = int(passed[-1])
            yield Events(time[~marks], raw[~marks, 0], raw[~marks, 1], raw[~marks, 2] >> 7)
