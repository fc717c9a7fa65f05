"""Event files that lehr does not decode: whose they are, and what makes records of them.

lehr reads such records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lehr.errors import UsageError

_RECORDS = "save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"
FORMATS: Mapping[str, str] = {
    ".raw": "a Prophesee recording (EVT 2.0, 2.1 or 3.0): decode it, by expelliarmus for one",
    ".dat": "a Prophesee recording (DAT): decode it, by expelliarmus for one",
    ".aedat4": "an iniVation recording (AEDAT 4): decode it, by the package aedat for one",
    ".mat": "a file of MATLAB: read it by scipy.io.loadmat",
    ".h5": "an HDF5 file: read it by h5py",
    ".hdf5": "an HDF5 file: read it by h5py",
    ".bag": "a ROS bag: read it by the package rosbags",
    ".txt": "a text file: read it by numpy.loadtxt",
    ".csv": "a text file: read it by numpy.loadtxt",
}
"""Ways out by the ends of files' names."""


def refuse_undecoded(path: Path, decoded: str) -> None:
    """Refuse a file whose name says that lehr does not decode it, and say what to do with it.

    Args:
        path: of the file.
        decoded: the ends of names that are.

    Raises:
        UsageError: when it is one.
    """
    if path.is_file() and (way := FORMATS.get(path.suffix.lower())):
        raise UsageError(
            f"{path} is {way}, and {_RECORDS}; lehr itself decodes {decoded} (AEDAT 3.1, N-MNIST) "
            "and .npz"
        )
