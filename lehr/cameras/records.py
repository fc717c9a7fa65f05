"""Events in arrays of numpy: records, the columns of POKER-DVS, or a list each of t, x, y and p."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.cameras import events
from lehr.cameras.events import LATEST, Events
from lehr.errors import FileRefused
from lehr.npyfile import Header, read_header
from lehr.npz import Archive, exactly
from lehr.text import shortened

_FIELDS = ("t", "x", "y", "p")
Unit = Literal["us", "ms", "ns", "s"]
_IN_SECOND = {"ns": 10**9, "us": 10**6, "ms": 10**3, "s": 1}
UNITS: tuple[Unit, ...] = ("us", "ms", "ns", "s")
"""Units of times, the usual one first."""
_LATEST_NS = 1 << 62  # 146 years


def structured(path: Path, unit: Unit = "us") -> Iterator[Events]:
    """Yield the events of an `.npy` file.

    That is records with integers t, x, y and p, as tonic, expelliarmus and others decode a file
    to, or integers `[events, 4]` of which the columns are those, as in POKER-DVS.

    Args:
        path: of the file.
        unit: of t, which may be a floating-point number if it is not microseconds; what is finer
            than a microsecond is cut off.

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
    columns = _columns(header, _of_time(unit))
    if columns is None:
        raise FileRefused(
            f"{path} holds {header}; give records with integers {', '.join(_FIELDS)}, or integers "
            "[events, 4] in that order"
        )
    size, whole = path.stat().st_size, header.start + header.nbytes
    if size != whole:
        raise FileRefused(
            f"{path} has {size:,} bytes, and {whole:,} by its header; write it with numpy.save"
        )
    order: Literal["F", "C"] = "F" if header.by_column else "C"
    array: Any = (
        np.memmap(path, header.dtype, "r", header.start, header.shape, order)
        if header.shape[0]
        else []
    )
    for first in range(0, len(array), events.BLOCK):
        block = array[first : first + events.BLOCK]
        values = [block[name] if columns == _FIELDS else block[:, name] for name in columns]
        yield _events(path, values, first, unit)
        array.base.madvise(mmap.MADV_DONTNEED)  # no more than a block is resident


def archived(path: Path, unit: Unit = "us") -> Iterator[Events]:
    """Yield the events of an `.npz` file with a list each of integers t, x, y and p.

    Args:
        path: of the file.
        unit: of t, as for `structured`.

    Raises:
        FileRefused: when it is no such file.
    """
    with Archive(path) as archive, ExitStack() as stack:
        headers = [archive.header(name) if name in archive else None for name in _FIELDS]
        kinds = [each.dtype.kind if each and len(each.shape) == 1 else "" for each in headers]
        if not _fit(kinds, _of_time(unit)) or len({each.shape for each in headers if each}) != 1:
            held = ", ".join(f"{name} {archive.header(name)}" for name in archive.names)
            raise FileRefused(
                f"{path} holds {shortened(held) or 'nothing'}; give lists of integers "
                f"{', '.join(_FIELDS)}, all of one length"
            )
        columns = [
            (stack.enter_context(archive.numbers(name)), header.dtype)
            for name, header in zip(_FIELDS, headers, strict=True)
            if header
        ]
        total = headers[0].shape[0] if headers[0] else 0
        for first in range(0, total, events.BLOCK):
            many = min(events.BLOCK, total - first)
            values = [
                np.frombuffer(exactly(stream, many * dtype.itemsize), dtype)
                for stream, dtype in columns
            ]
            yield _events(path, values, first, unit)


def _events(path: Path, values: list[npt.NDArray[Any]], first: int, unit: Unit) -> Events:
    """Return a block of events from t, x, y and p; `first` is the number of the first."""
    for name, column in zip(_FIELDS, values, strict=True):
        _require_small(path, name, column, _IN_SECOND[unit] if name == "t" else None)
    x, y, polarity = (column.astype(np.int64) for column in values[1:])
    require_polarity(path, polarity, first)
    return Events(microseconds(values[0], unit), x, y, polarity)


def microseconds(time: npt.NDArray[Any], unit: Unit) -> Int64:
    """Return times in whole microseconds, int64.

    What is finer is cut off; a floating-point number is taken to the nearest nanosecond first, so
    that 0.000029 s is 29.
    """
    many = _IN_SECOND[unit]
    if time.dtype.kind == "f" and many <= 10**6:
        whole = np.floor(time.astype(np.float64))
        fine = np.rint((time - whole) * (10**9 // many)).astype(np.int64) // 1000
        found: Int64 = whole.astype(np.int64) * (10**6 // many) + fine
        return found
    ticks: Int64 = time.astype(np.int64)
    return ticks // (many // 10**6) if many > 10**6 else ticks * (10**6 // many)


def require_polarity(path: Path, polarity: Int64, first: int) -> None:
    """Refuse polarities that are not 0 or 1; `first` is the number of the first event."""
    if len(wrong := np.flatnonzero(polarity & ~1)):
        raise FileRefused(
            f"{path} has an event of polarity {polarity[wrong[0]]}, number "
            f"{first + int(wrong[0]):,}; give 0 for darker and 1 for brighter"
        )


def _columns(header: Header, of_time: str) -> tuple[Any, ...] | None:
    """Return the names, or the numbers, of t, x, y and p; None if it does not have them."""
    dtype = header.dtype
    if dtype.names is None:
        rows_of_four = len(header.shape) == 2 and header.shape[1] == len(_FIELDS)
        return (0, 1, 2, 3) if rows_of_four and dtype.kind in "iu" else None
    kinds = [dtype[name].kind if name in dtype.names else "" for name in _FIELDS]
    return _FIELDS if _fit(kinds, of_time) and len(header.shape) == 1 else None


def _of_time(unit: Unit) -> str:
    """Return the kinds of numbers that t may be."""
    return "iub" if unit == "us" else "iubf"


def _fit(kinds: list[str], of_time: str) -> bool:
    """Return whether t, x, y and p are of kinds that they may be; "" is none."""
    return all(kind and kind in of for kind, of in zip(kinds, (of_time, *["iub"] * 3), strict=True))


def _require_small(path: Path, name: str, values: npt.NDArray[Any], in_second: int | None) -> None:
    """Refuse a number so large that 64 bits might not hold what becomes of it, or that is none."""
    if values.dtype.kind == "b":
        return
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise FileRefused(f"{path} has an event whose {name} is no finite number; leave it out")
    limit = LATEST if in_second is None else LATEST * min(in_second, 10**6) // 10**6
    if values.dtype.kind == "f" and in_second is not None:
        limit = _LATEST_NS * in_second // 10**9
    for worst in (values.min(), values.max()):
        if abs(int(worst)) > limit:
            raise FileRefused(
                f"{path} has an event whose {name} is {int(worst):,}; give at most {limit:,}"
            )
