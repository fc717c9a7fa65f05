"""Networks as float graphs that other tools' importers of NIR take as they are.

    file = for_reader(net, "snntorch")
    Path("snn.nir").write_bytes(file.to_bytes())

`file.notes` says what the file does not say of the network.
"""

from lehr.export.readers.graph import ReaderFile, for_reader
from lehr.export.readers.importers import READERS, Reader

__all__ = ["READERS", "Reader", "ReaderFile", "for_reader"]
