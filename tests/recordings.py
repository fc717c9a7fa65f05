"""Event recordings in the official files' layouts, drawn at random.

Those of whole data sets have something that moves, differently for each class.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from lehr.network import Input

GESTURE_US = 600_000
SHAPE = (2, 6, 5)
SPIKES, BYTES = Input(SHAPE, "spikes"), Input(SHAPE, "u8")
RECORDS = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]
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


def drawn(seed: int = 0, count: int = 400, until: int = 20_000) -> list[Event]:
    """Draw time, column, row and polarity of events of a camera of 5x6 pixels, by time."""
    rng = np.random.default_rng(seed)
    columns = (
        np.sort(rng.integers(3, until, count)),
        rng.integers(0, 5, count),
        rng.integers(0, 6, count),
        rng.integers(0, 2, count),
    )
    return [(int(t), int(x), int(y), int(p)) for t, x, y, p in zip(*columns, strict=True)]


def written(path: Path, events: list[Event]) -> Path:
    match path.suffix:
        case ".npy":
            np.save(path, np.array(events, RECORDS))
        case ".aedat":
            cuts = [0, 1, 1, len(events) // 2, len(events)]
            path.write_bytes(aedat_bytes(*((0, events[a:b]) for a, b in pairwise(cuts))))
        case _:
            # the clock runs over every 8,192 us; the camera says so by an event in row 240
            marked = [(t % 8192, *rest) for t, *rest in events]
            for turn in range(1, events[-1][0] // 8192 + 1):
                marked.insert(
                    turn - 1 + next(i for i, e in enumerate(events) if e[0] >= turn * 8192),
                    (0, 0, 240, 0),
                )
            path.write_bytes(nmnist_bytes(*marked))  # type: ignore[arg-type]
    return path


def dense(
    events: list[Event], step_us: int, start: int, steps: int, factor: int = 1, most: int = 1
) -> npt.NDArray[np.uint8]:
    """Return the frames, counted one event after another."""
    counts = np.zeros((1, steps, *SHAPE), np.uint8)
    for t, x, y, p in events:
        if t - start >= 0 and (t - start) // step_us < steps:
            place = (0, (t - start) // step_us, p, y // factor, x // factor)
            counts[place] = min(int(counts[place]) + 1, most)
    return counts
