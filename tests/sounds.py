"""Sounds as files, and codes of sequences as plain loops: what tests compare lehr with."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.sequences.keys import Code

Floats = npt.NDArray[np.float64]
RATE = 8000


def plainly(values: list[float], threshold: float, code: Code) -> list[list[int]]:
    """Return events up and down of one channel, sample by sample, from the formulas."""
    events = [[0, 0] for _ in values]
    last = values[0]
    level = math.floor(values[0] / threshold + 0.5)
    for t, value in enumerate(values):
        if t == 0:
            continue
        if code == "delta":
            if value - last >= threshold:
                events[t][0], last = 1, value
            elif last - value >= threshold:
                events[t][1], last = 1, value
            continue
        while level + 1 <= value / threshold:
            level += 1
            events[t][0] += 1
        while level - 1 >= value / threshold:
            level -= 1
            events[t][1] += 1
    return events


def write_wav(path: Path, values: Floats, rate: int = RATE, width: int = 2) -> Path:
    """Write values of -1 to 1, `[T, channels]`, by Python's wave module."""
    whole = np.clip(np.rint(values * 2.0 ** (8 * width - 1)), -(2.0 ** (8 * width - 1)), None)
    whole = np.minimum(whole, 2.0 ** (8 * width - 1) - 1).astype(np.int64)
    numbers = whole + 128 if width == 1 else whole
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(
            b"".join(
                int(n).to_bytes(width, "little", signed=width > 1) for n in numbers.ravel().tolist()
            )
        )
    return path


def tone(hertz: float, samples: int, rate: int = RATE) -> Floats:
    return np.sin(2 * np.pi * hertz * np.arange(samples) / rate)[:, None]
