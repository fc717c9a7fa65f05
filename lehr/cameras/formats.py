"""The formats of event files: the one place that a format is added to.

A format is told by the end of a file's name and, where several share it, by the bytes that the file
begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from lehr.cameras import apart
from lehr.cameras.aedat import aedat
from lehr.cameras.aedat2 import aedat2, aedat2_size
from lehr.cameras.dat import dat, dat_size
from lehr.cameras.events import Events, Size
from lehr.cameras.evt import raw, raw_size
from lehr.cameras.nmnist import forty_bits
from lehr.cameras.records import UNITS, Unit, archived, structured
from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.reading import open_regular

EXTRA = "events"
"""The extra that brings the packages of all formats."""
_HEAD = 16


class _InUnit(Protocol):
    def __call__(self, path: Path, unit: Unit) -> Iterator[Events]: ...


@dataclass(frozen=True)
class Format:
    """A format of event files.

    Attributes:
        name: as people know it.
        suffixes: ends of files' names, in small letters.
        decode: yields the events of a file, block by block, times in microseconds; it refuses what
            is no such file by `FileRefused`, with the file's name and a place in it.
        begins: with which bytes a file begins; empty where any may.
        size: returns the camera's rows and columns where a file says them.
        in_unit: decodes a file whose times are in another unit; None where the format has its own.
        package: that decodes it, as Python imports it; None if lehr does.
    """

    name: str
    suffixes: tuple[str, ...]
    decode: Callable[[Path], Iterator[Events]]
    begins: bytes = b""
    size: Callable[[Path], Size | None] | None = None
    in_unit: _InUnit | None = None
    package: str | None = None


def _kept(name: str, suffixes: tuple[str, ...], begins: bytes, package: str) -> Format:
    """Return a format that a package decodes, in a process of its own."""
    size = partial(apart.camera_size, package)
    return Format(name, suffixes, partial(apart.decoded, package), begins, size, package=package)


FORMATS: tuple[Format, ...] = (
    Format("Prophesee RAW (EVT 2.0, 2.1, 3.0)", (".raw",), raw, size=raw_size),
    Format("Prophesee DAT", (".dat",), dat, size=dat_size),
    Format("AEDAT 2.0", (".aedat",), aedat2, b"#!AER-DAT2.", aedat2_size),
    Format("AEDAT 3.1", (".aedat",), aedat, b"#!AER-DAT3.1"),
    _kept("AEDAT 4", (".aedat4", ".aedat"), b"#!AER-DAT4.", "aedat"),
    Format("N-MNIST", (".bin", ".bs2"), forty_bits),
    Format("numpy", (".npy",), structured, in_unit=structured),
    Format("numpy archive", (".npz",), archived, b"PK", in_unit=archived),
    _kept("ST-MNIST", (".mat",), b"", "scipy"),
    _kept("ROS bag", (".bag",), b"#ROSBAG V2.0", "rosbags"),
    _kept("ROS 2 bag", (".mcap", ".db3"), b"", "rosbags"),
    _kept("HDF5 of Prophesee and DSEC", (".h5", ".hdf5"), b"", "h5py"),
)
SUFFIXES: tuple[str, ...] = tuple(dict.fromkeys(end for each in FORMATS for end in each.suffixes))
"""The ends of names of all files that are read."""
NAMES = ", ".join(f"{each.name} ({', '.join(each.suffixes)})" for each in FORMATS)
"""All formats, as a message names them."""


def decoded(path: Path, unit: Unit = "us") -> Iterator[Events]:
    """Yield the events of a file, block by block.

    Args:
        path: of the file, with one of `SUFFIXES`.
        unit: of its times, where the format does not say it.

    Raises:
        UsageError: when the format has a unit of its own and another is given.
        ToolMissing: when the package that decodes it is not installed.
        FileRefused: when the file is not what it should be.
    """
    form = format_of(path)
    if form.package is not None and find_spec(form.package) is None:
        raise ToolMissing(
            f"{path} is {form.name}, which {form.package} decodes: it is not installed; "
            f"pip install 'lehr[{EXTRA}]'"
        )
    if unit == UNITS[0]:
        return form.decode(path)
    if form.in_unit is None:
        raise UsageError(
            f"{path} has times in the unit of its format, {form.name}, not in {unit}; leave the "
            "unit out"
        )
    return form.in_unit(path, unit)


def camera_size(path: Path) -> Size | None:
    """Return the rows and columns of the camera, where the file says them.

    Raises:
        FileRefused: when the file is not what it should be.
    """
    size = format_of(path).size
    return None if size is None else size(path)


def format_of(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        FileRefused: when the file begins as none of those that its name may be of.
    """
    fits = [each for each in FORMATS if path.suffix.lower() in each.suffixes]
    with open_regular(path, "give a recording of events") as file:
        head = file.read(_HEAD)
    for each in fits:
        if head.startswith(each.begins):
            return each
    raise FileRefused(
        f"{path} starts with {head[:12]!r}, as none of {', '.join(each.name for each in fits)} "
        "does; give one of these"
    )
