"""Inputs that are stored as they are fed, by the end of their files' names."""

from __future__ import annotations

from pathlib import Path

from lehr.samples import Samples, open_samples
from lehr.shards.hdf5 import HDF5, Hdf5Samples
from lehr.shards.joined import Shards
from lehr.shards.names import shards_of
from lehr.shards.tars import TAR, TarSamples

STORED = (".npz", TAR, *HDF5)
"""Ends of the names of such files."""


def stored(path: Path, most: int) -> Samples:
    """Return the inputs of one file, to be read in pieces.

    Args:
        path: of the file; it is taken for an `.npz` file where its name ends otherwise.
        most: see `lehr.samples.open_samples`.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is not what its name says.
    """
    suffix = path.suffix.lower()
    if suffix == TAR and path.is_file():
        return TarSamples(path)
    if suffix in HDF5 and path.is_file():
        return Hdf5Samples(path)
    return open_samples(path, most)


def stored_samples(path: Path, most: int) -> Samples:
    """Return the inputs of one file, or of the shards that `path` names, see `shards_of`."""
    if several := shards_of(path, STORED):
        named, shards = several
        return Shards(named, [stored(each, most) for each in shards])
    return stored(path, most)
