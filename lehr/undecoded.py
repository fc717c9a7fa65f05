"""Event files that lehr does not decode: whose they are, and what makes records of them.

lehr reads such records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lehr.errors import UsageError

RECORDS = "save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"
"""What to do with events that no decoder of lehr reads."""
_ROS_2 = (
    "a ROS 2 bag: convert it by rosbags-convert --src FOLDER --dst FILE.bag, which comes with the "
    "package rosbags, or read it by that"
)
FORMATS: Mapping[str, str] = {
    ".es": "an Event Stream file: read it by the package event_stream",
    ".mcap": _ROS_2,
    ".db3": _ROS_2,
    ".txt": "a text file: read it by numpy.loadtxt",
    ".csv": "a text file: read it by numpy.loadtxt",
}
"""Ways out by the ends of files' names."""


def refuse_undecoded(path: Path, decoded: str) -> None:
    """Refuse a file whose name says that lehr does not decode it, and say what to do with it.

    Args:
        path: of the file, or of the folder of a ROS 2 bag.
        decoded: the formats that it does decode.

    Raises:
        UsageError: when it is one.
    """
    bag = path.is_dir() and (path / "metadata.yaml").is_file()
    if way := _ROS_2 if bag else path.is_file() and FORMATS.get(path.suffix.lower()):
        raise UsageError(f"{path} is {way}, and {RECORDS}; lehr reads {decoded} and .npz")
