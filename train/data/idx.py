"""The IDX files in which MNIST and Fashion-MNIST are published.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section on the
file format.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from lehr.errors import FileRefused, UsageError
from lehr.reading import open_regular
from lehr.train.data.source import Labels, Values

_UNSIGNED_BYTE = 0x08
_AGAIN = "get it again from its official source"
_MAX_BYTES, _MAX_AXES = 1 << 30, 4


def load_idx_folder(folder: Path, name: str) -> tuple[tuple[Values, Labels], tuple[Values, Labels]]:
    """Read both parts of a data set in MNIST's four files.

    Each is uint8 `[N, 1, H, W]` and int64 `[N]`.

    Raises:
        UsageError: when a file is not in `folder`.
        FileRefused: when a file is not what its name says.
    """
    train, test = (_load_pair(folder, name, part) for part in ("train", "t10k"))
    return train, test


def _load_pair(folder: Path, name: str, part: str) -> tuple[Values, Labels]:
    paths = [folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"]
    for path in paths:
        if not path.is_file():
            raise UsageError(
                f"data folder {folder} has no {path.name}; put the four official files of {name} "
                "there, or fetch them with --download"
            )
    images, labels = read_idx(paths[0]), read_idx(paths[1])
    if images.ndim != 3 or labels.shape != images.shape[:1] or not len(labels):
        raise FileRefused(
            f"{paths[1]} holds {labels.shape} labels for {images.shape} images; get both files "
            "from the same source"
        )
    if labels.max() > 9:
        raise FileRefused(
            f"{paths[1]} holds label {labels.max()}, more than the ten classes of {name}; get the "
            "official file"
        )
    return images[:, None], labels.astype(np.int64)


def read_idx(path: Path) -> Values:
    """One gzip-compressed IDX file of unsigned bytes.

    Raises:
        FileRefused: when it is not gzip, is cut short or too long, or holds something else than
            unsigned bytes.
    """
    try:
        with open_regular(path, _AGAIN) as packed, gzip.open(packed) as stream:
            mark = stream.read(4)
            if len(mark) < 4 or mark[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
                start = mark.hex() or "nothing"
                raise FileRefused(
                    f"{path} starts with {start}, not with the mark of an IDX file of bytes "
                    "(000008); get the official file"
                )
            axes = mark[3]
            if not 1 <= axes <= _MAX_AXES:
                raise FileRefused(
                    f"{path} has {axes} axes, the official files have 1 or 3; {_AGAIN}"
                )
            shape = tuple(
                int(n) for n in np.frombuffer(stream.read(4 * axes).ljust(4 * axes, b"\0"), ">u4")
            )
            size = math.prod(shape)
            if not 0 < size <= _MAX_BYTES:
                raise FileRefused(
                    f"{path} cannot hold what its header says, {size:,} bytes of data; {_AGAIN}"
                )
            data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileRefused(f"{path} is not a whole gzip file ({error}); {_AGAIN}") from None
    if len(data) != size:
        held = f"{len(data):,} bytes" if len(data) < size else f"more than {size:,} bytes"
        raise FileRefused(f"{path} holds {held} of data, its header says {size:,}; get it again")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()  # torch takes writable arrays only
