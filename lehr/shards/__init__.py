"""Inputs in several files, which are read one after the other as one: shards."""

from lehr.shards.joined import Shards
from lehr.shards.names import shards_of
from lehr.shards.tars import TAR, TarSamples

__all__ = ["TAR", "Shards", "TarSamples", "shards_of"]
