"""The IDX files in which MNIST and Fashion-MNIST are published.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section on the file format.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, UsageError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
_UNSIGNED_BYTE = 0x08
_MAX_BYTES = 1 << 30


def load_idx_folder(folder: Path, name: str) -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Training and test part of a data set in MNIST's four files: uint8 `[N, 1, H, W]` and int64 `[N]` each.

    Raises:
        UsageError: when a file is not in `folder`.
        FileRefused: when a file is not what its name says.
    """
    train, test = (_load_pair(folder, name, part) for part in ("train", "t10k"))
    return train, test


def _load_pair(folder: Path, name: str, part: str) -> tuple[Images, Labels]:
    paths = [folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"]
    for path in paths:
        if not path.is_file():
            raise UsageError(
                f"data folder {folder} has no {path.name}; put the four official files of {name} there, or fetch them with --download"
            )
    images, labels = read_idx(paths[0]), read_idx(paths[1])
    if images.ndim != 3 or labels.shape != images.shape[:1] or not len(labels):
        raise FileRefused(f"{paths[1]} holds {labels.shape} labels for {images.shape} images; get both files from the same source")
    if labels.max() > 9:
        raise FileRefused(f"{paths[1]} holds label {labels.max()}, more than the ten classes of {name}; get the official file")
    return images[:, None], labels.astype(np.int64)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """One gzip-compressed IDX file of unsigned bytes.

    Raises:
        FileRefused: when it is not gzip, is cut short or too long, or holds something else than unsigned bytes.
    """
    try:
        with gzip.open(path) as stream:
            data = stream.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileRefused(f"{path} is not a whole gzip file ({error}); get it again from its official source") from None
    if len(data) > _MAX_BYTES:
        raise FileRefused(f"{path} unpacks to more than {_MAX_BYTES >> 20} MiB; get it again from its official source")
    if len(data) < 4 or data[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
        raise FileRefused(
            f"{path} starts with {data[:4].hex() or 'nothing'}, not with the mark of an IDX file of bytes (000008); get the official file"
        )
    axes = data[3]
    start = 4 + 4 * axes
    shape = tuple(int(n) for n in np.frombuffer(data[4:start].ljust(4 * axes, b"\0"), ">u4"))
    if len(data) - start != math.prod(shape):
        raise FileRefused(f"{path} holds {max(0, len(data) - start):,} bytes of data, its header says {math.prod(shape):,}; get it again")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()  # torch takes writable arrays only
