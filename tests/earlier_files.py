"""Files that earlier versions wrote, kept as they were: `fixed-point-net/1`.

Its blocks are groups at the nodes.
"""

from __future__ import annotations

import gzip
from pathlib import Path

FOLDER = Path(__file__).parent / "core" / "files"
DIGESTS = {
    "small": "f36bde71fd8834b891f4c26cbef96f8c4631078b5c9cc6fe1a7fa13ea2c81d3c",
    "recurrent": "f6941e9a797f5b50fad7616012cf1d1047d347969f1bd3193b4fd9e682e439e2",
    "delayed": "9e083c0fba3f64f7b2056f50fe1336f85fe7ddab98f0f06e72f0f06fd8d1459e",
    "two_states": "22b6b1b04503cc8dcb4410563e43eae1b7d6d7ad2b91ef50d92da8e40446b753",
}


def earlier_file(name: str, folder: Path) -> Path:
    """Unpack one of them into `folder`."""
    path = folder / f"{name}.nir"
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.nir.gz").read_bytes()))
    return path
