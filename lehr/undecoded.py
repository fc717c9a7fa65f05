"""Event files that lehr does not decode: whose they are, and what makes records of them.

lehr reads such records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lehr.errors import UsageError

RECORDS = "save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"
"""What to do with events that no decoder of lehr reads."""
FORMATS: Mapping[str, str] = {
    ".es": "an Event Stream file: read it by the package event_stream",
    ".txt": "a text file: read it by numpy.loadtxt",
    ".csv": "a text file: read it by numpy.loadtxt",
}
"""Ways out by the ends of files' names."""
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst")
"""Ends of names of packed files, of which a tar may be one."""


def refuse_undecoded(path: Path, decoded: str) -> None:
    """Refuse a file whose name says that lehr does not decode it, and say what to do with it.

    Args:
        path: of the file, or of the folder of a ROS 2 bag.
        decoded: the formats that it does decode.

    Raises:
        UsageError: when it is one.
    """
    if path.is_dir() and (path / "metadata.yaml").is_file():
        raise UsageError(f"{path} is the folder of a ROS 2 bag; give the .mcap or .db3 file in it")
    if path.is_file() and path.suffix.lower() in PACKED:
        raise UsageError(f"{path} is packed, so that it is read from its start alone; unpack it")
    if way := path.is_file() and FORMATS.get(path.suffix.lower()):
        raise UsageError(f"{path} is {way}, and {RECORDS}; lehr reads {decoded} and .npz")
