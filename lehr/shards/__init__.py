"""Inputs in several files, which are read one after the other as one: shards."""

from lehr.shards.hdf5 import HDF5, Hdf5Samples
from lehr.shards.joined import Shards
from lehr.shards.names import LIST, shards_of
from lehr.shards.stored import STORED, stored, stored_samples
from lehr.shards.tars import TarSamples

__all__ = [
    "HDF5",
    "LIST",
    "STORED",
    "Hdf5Samples",
    "Shards",
    "TarSamples",
    "shards_of",
    "stored",
    "stored_samples",
]
