"""N-MNIST: MNIST's digits seen by a moving event camera of 34x34 pixels.

A sample is one file of 40-bit events.

Source: Orchard, Jayawant, Cohen & Thakor 2015, "Converting static image datasets to spiking
neuromorphic datasets using saccades".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lehr.cameras.nmnist import forty_bits
from lehr.errors import FileRefused, UsageError
from lehr.train.data.frames import CameraEvents, camera_frames, camera_shape, kind_of
from lehr.train.data.source import Indices, Labels, Source, Sources, Values
from lehr.train.data.table import read_table
from lehr.train.recipe import DataRecipe

SIZE = 34
CLASSES = 10
_MAX_BYTES = 16 << 20


def load_nmnist(recipe: DataRecipe, folder: Path) -> Sources:
    """Training and test samples, in MNIST's order.

    Args:
        recipe: with frames and their length.
        folder: either holds `Train/DIGIT/NUMBER.bin` and `Test/DIGIT/NUMBER.bin`, as published, or
            all samples as `NUMBER.bs2` (the same bytes) and their labels in one `train*.txt` and
            one `test*.txt`.

    Raises:
        UsageError: when the files are not there.
        FileRefused: when a file is not what it should be; a sample's own when it is read.
    """
    official = (folder / "Train").is_dir()
    train, test = (
        _official(folder / part.capitalize()) if official else _listed(folder, part)
        for part in ("train", "test")
    )
    first, second = (_source(paths, labels, recipe) for paths, labels in (train, test))
    return Sources(first, second, CLASSES, kind=kind_of(recipe), steps=recipe.steps)


def read_events(path: Path) -> CameraEvents:
    """Return the events of one sample, with the clock's overflows undone.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no list of 40-bit events of a camera of 34x34 pixels.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist, but is listed; get all samples of nmnist")
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise FileRefused(
            f"{path} has {size:,} bytes, a sample of N-MNIST at most {_MAX_BYTES:,}; get it again "
            "from its official source"
        )
    events = CameraEvents.joined(forty_bits(path))
    events.require_inside(path, SIZE, SIZE, lambda: "get it again")
    return events


def _source(paths: list[Path], labels: Labels, recipe: DataRecipe) -> Source:
    def read(indices: Indices) -> Values:
        frames = np.zeros(
            (len(indices), recipe.steps or 0, *camera_shape((SIZE, SIZE), recipe.downsample)),
            np.uint8,
        )
        for place, index in enumerate(indices):
            frames[place] = camera_frames(read_events(paths[index]), recipe, (SIZE, SIZE))
        return frames

    return Source(labels, read)


def _official(folder: Path) -> tuple[list[Path], Labels]:
    files = sorted(
        (path.stem, path)
        for digit in range(CLASSES)
        for path in (folder / str(digit)).glob("*.bin")
    )
    if not files:
        raise UsageError(
            f"data folder {folder} has no DIGIT/NUMBER.bin; unpack nmnist's {folder.name}.zip there"
        )
    return [path for _, path in files], np.array(
        [int(path.parent.name) for _, path in files], np.int64
    )


def _listed(folder: Path, part: str) -> tuple[list[Path], Labels]:
    lists = sorted(folder.glob(f"{part}*.txt"))
    if len(lists) != 1:
        raise UsageError(
            f"data folder {folder} has no folder Train, and {len(lists)} lists {part}*.txt; unpack "
            "nmnist's Train.zip and Test.zip there, "
            "or fetch them with --download"
        )
    table = read_table(lists[0], 2, "sample and class")
    if table[:, 1].min() < 0 or table[:, 1].max() >= CLASSES:
        raise FileRefused(
            f"{lists[0]} has a class that is not 0 to {CLASSES - 1}; get it again from its "
            "official source"
        )
    return [folder / f"{sample}.bs2" for sample in table[:, 0]], table[:, 1]
