"""A data set as lehr trains on it, and the list of those it can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.nodes import InputKind, Shape
from lehr.train.data.digits import load_digits
from lehr.train.data.idx import load_idx_folder
from lehr.train.recipe import DataRecipe


@dataclass(frozen=True)
class Split:
    """Samples and their labels: uint8 `[N, *shape]` (held for all steps) and int64 `[N]`."""

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, count: int | None) -> Split:
        """The first `count` samples, all if None."""
        return self if count is None else Split(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no sample: to train on, to choose by, to report.

    Attributes:
        classes: number of labels.
        kind: what the values of x are, as in `lehr.network.Input`.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    kind: InputKind = "u8"

    @property
    def shape(self) -> Shape:
        """Shape of one sample."""
        return self.train.x.shape[1:]


VALIDATION_SHARE = 1 / 12
"""Of the official training data of MNIST and its kin: 5,000 of 60,000."""


def load_dataset(recipe: DataRecipe, folder: Path | None) -> Dataset:
    """Read the data set that a recipe names.

    Args:
        recipe: name and limits.
        folder: where the official files are, directly or in a folder of the data set's name.

    Raises:
        UsageError: when the name is unknown, or the folder is missing or not given.
        FileRefused: when a file in it is not what it should be.
    """
    if recipe.name not in _LOADERS:
        raise UsageError(f"data set {recipe.name!r} is unknown; use one of {', '.join(_LOADERS)}")
    data = _LOADERS[recipe.name](recipe.name, folder)
    return replace(data, train=data.train.take(recipe.train_samples), test=data.test.take(recipe.test_samples))


def _digits(name: str, folder: Path | None) -> Dataset:  # noqa: ARG001
    (x, y), cuts = load_digits()
    first, second = cuts
    return Dataset(Split(x[:first], y[:first]), Split(x[first:second], y[first:second]), Split(x[second:], y[second:]), 10)


def _idx(name: str, folder: Path | None) -> Dataset:
    if folder is None:
        raise UsageError(f"data set {name} is read from its official files; give their folder with --data DIR")
    if not folder.is_dir():
        raise UsageError(f"data folder {folder} does not exist; give the folder that holds the {name} files with --data DIR")
    train, test = load_idx_folder(folder / name if (folder / name).is_dir() else folder, name)
    kept = len(train[1]) - round(len(train[1]) * VALIDATION_SHARE)
    order = np.random.default_rng(0).permutation(len(train[1]))
    kept_back = order[kept:]
    order = order[:kept]
    return Dataset(Split(train[0][order], train[1][order]), Split(train[0][kept_back], train[1][kept_back]), Split(*test), 10)


_LOADERS: dict[str, Callable[[str, Path | None], Dataset]] = {"digits": _digits, "fashion-mnist": _idx, "mnist": _idx}
