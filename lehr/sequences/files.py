"""Files of sequences: WAV, CSV and NumPy arrays, rows are samples in time, columns channels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lehr.errors import FileRefused
from lehr.npyfile import read_header
from lehr.reading import read_bytes, read_text
from lehr.sequences.wav import MAX_BYTES, Floats, read_wav

ENDS = (".wav", ".npy", ".csv")
_FINITE = "mend it or leave it out"


class Sequence(NamedTuple):
    """A sequence of values.

    Attributes:
        name: by which messages call it.
        values: float64 `[T, channels]`, finite, at least two samples of one channel.
        rate: of the samples, in hertz; None where the file does not say.
    """

    name: str
    values: Floats
    rate: int | None = None


def read_sequence(path: Path) -> Sequence:
    """Read a file by the end of its name.

    Raises:
        FileRefused: when it is no such file, or no sequence.
    """
    match path.suffix.lower():
        case ".wav":
            return checked(Sequence(str(path), *read_wav(path)))
        case ".npy":
            return checked(Sequence(str(path), _npy(path)))
        case _:
            return checked(Sequence(str(path), _csv(path)))


def checked(sequence: Sequence) -> Sequence:
    """Return the sequence, one of `[T]` as one of one channel.

    Raises:
        FileRefused: when it has other axes, no channel, fewer than two samples, or a value that is
            not finite.
    """
    name, values, rate = sequence
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not values.shape[1]:
        raise FileRefused(
            f"{name} is an array {list(values.shape)}; give samples as rows and channels, one at "
            "least, as columns"
        )
    if len(values) < 2:
        raise FileRefused(f"{name} has {len(values)} samples, and changes need two; leave it out")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise FileRefused(
            f"{name}: sample {row:,} of channel {column} is {values[row, column]}, not finite; "
            f"{_FINITE}"
        )
    return Sequence(name, values, rate)


def _npy(path: Path) -> Floats:
    data = read_bytes(path, MAX_BYTES, "give fewer samples")
    stream = io.BytesIO(data)
    try:
        header = read_header(stream)
        if header.dtype.kind not in "iuf":
            raise ValueError(f"it holds {header.dtype}")
        if header.start + header.nbytes != len(data):
            raise ValueError(f"it is said to be {header}, and has {len(data):,} bytes")
    except ValueError as error:
        raise FileRefused(
            f"{path} is no array of numbers: {error}; write it with numpy.save"
        ) from None
    flat = np.frombuffer(data[header.start :], header.dtype).astype(np.float64)
    return flat.reshape(header.shape, order="F" if header.by_column else "C")


def _csv(path: Path) -> Floats:
    lines = read_text(path, MAX_BYTES, "save it in UTF-8, in pieces if it is large").splitlines()
    names = bool(lines) and not any(_is_number(cell) for cell in lines[0].split(","))
    rows: list[list[float]] = []
    for number, line in enumerate(lines[names:], 1 + names):
        if not line.strip():
            continue
        try:
            rows.append([float(cell) for cell in line.split(",")])
        except ValueError:
            raise FileRefused(
                f"{path}, line {number}: it is not numbers between commas; {_FINITE}"
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise FileRefused(
                f"{path}, line {number}: it has {len(rows[-1])} numbers, and the first row "
                f"{len(rows[0])}; {_FINITE}"
            )
    return np.array(rows, np.float64).reshape(len(rows), -1) if rows else np.zeros((0, 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
