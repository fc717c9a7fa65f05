"""Inputs in several files, which are read one after the other as one: shards."""

from lehr.shards.hdf5 import HDF5, Hdf5Samples
from lehr.shards.joined import Shards
from lehr.shards.names import shards_of
from lehr.shards.tars import TAR, TarSamples

__all__ = ["HDF5", "TAR", "Hdf5Samples", "Shards", "TarSamples", "shards_of"]
