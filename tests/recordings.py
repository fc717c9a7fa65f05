"""Event recordings in the official files' layouts, drawn at random.

Something moves, differently for each class.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

GESTURE_US = 600_000
Event = tuple[int, int, int, int]
"""Time in microseconds, column, row, polarity."""


def nmnist_bytes(*events: Event) -> bytes:
    """Return forty bits for each event: column, row, polarity and time."""
    return b"".join(bytes((x, y)) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in events)


def aedat_bytes(
    *packets: tuple[int, Iterable[Event]], valid: int = 1, kind: int = 1, width: int = 8
) -> bytes:
    """Return AEDAT 3.1 with one packet for each clock overflow and its events."""
    data = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for overflow, given in packets:
        events = list(given)
        data += struct.pack(
            "<HHIIIIII",
            kind,
            1,
            width,
            4,
            overflow,
            len(events),
            len(events),
            len(events) if valid else 0,
        )
        data += b"".join(
            struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t) for t, x, y, p in events
        )
    return data


def write_gestures(folder: Path, train: int, test: int, events: int = 24_000) -> None:
    """Write DVS128 Gesture with one recording a part: a disc circles, faster for a higher class.

    Args:
        folder: to make DvsGesture in.
        train: number of training gestures.
        test: likewise.
        events: of each gesture.
    """
    rng = np.random.default_rng(0)
    place = folder / "DvsGesture"
    place.mkdir()
    for part, count in (("train", train), ("test", test)):
        (place / f"trials_to_{part}.txt").write_text(f"{part}.aedat\n")
        data, rows = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n", ["class,startTime_usec,endTime_usec"]
        for number in range(count):
            label, start = number % 11, number * GESTURE_US
            time = np.sort(rng.integers(0, GESTURE_US, events))
            angle = 2 * np.pi * (1 + label) * time / GESTURE_US
            x, y = (
                64 + 40 * turn + rng.normal(0, 8, events) for turn in (np.cos(angle), np.sin(angle))
            )
            address = (
                x.clip(0, 127).astype(np.int64) << 17
                | y.clip(0, 127).astype(np.int64) << 2
                | rng.integers(0, 2, events) << 1
                | 1
            )
            data += np.array([1 | 1 << 16, 8, 4, 0, events, events, events], "<u4").tobytes()
            data += np.stack([address, start + time], 1).astype("<u4").tobytes()
            rows.append(f"{label + 1},{start},{start + GESTURE_US}")
        (place / f"{part}.aedat").write_bytes(data)
        (place / f"{part}_labels.csv").write_text("\n".join(rows) + "\n")


def write_speech(folder: Path, train: int, test: int, spikes: int = 6_000) -> None:
    """Write Spiking Heidelberg Digits: a band of channels rises, from its own place for each class.

    Args:
        folder: to write into.
        train: number of training samples.
        test: likewise.
        spikes: of each sample.
    """
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        labels = np.arange(count) % 20
        with h5py.File(folder / f"shd_{part}.h5", "w") as file:
            times = file.create_dataset(
                "spikes/times", (count,), h5py.vlen_dtype(np.dtype(np.float16))
            )
            units = file.create_dataset(
                "spikes/units", (count,), h5py.vlen_dtype(np.dtype(np.uint16))
            )
            for place, label in enumerate(labels):
                time = np.sort(rng.uniform(0, 0.9, spikes))
                times[place] = time.astype(np.float16)
                units[place] = (
                    (label * 30 + 100 * time + rng.normal(0, 40, spikes))
                    .clip(0, 699)
                    .astype(np.uint16)
                )
            file["labels"] = labels.astype(np.uint16)
