"""A data set as lehr trains on it, and the list of those it can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lehr.errors import UsageError
from lehr.nodes import InputKind, Shape
from lehr.sequences.encoding import Encoding
from lehr.train.data.digits import load_digits
from lehr.train.data.encode import encode
from lehr.train.data.eventfiles import load_event_files
from lehr.train.data.gesture import load_gestures
from lehr.train.data.idx import load_idx_folder
from lehr.train.data.nmnist import load_nmnist
from lehr.train.data.series import load_series
from lehr.train.data.source import (
    BLOCK,
    IN_MEMORY,
    VALIDATION_SHARE,
    Labels,
    Source,
    Sources,
    Values,
    in_memory,
    split_off,
    together,
)
from lehr.train.data.speech import load_speech
from lehr.train.data.temporal import load_temporal
from lehr.train.data.user import load_npz
from lehr.train.data.vowels import load_vowels
from lehr.train.keys.data import DataRecipe, data_contradictions


@dataclass(frozen=True)
class Split:
    """Samples and their labels.

    Samples are uint8 `[N, *shape]` (held for all steps) or `[N, T, *shape]` (one slice per step),
    labels int64 `[N]`.
    """

    x: Values
    y: Labels

    def __len__(self) -> int:
        return len(self.y)

    def take(self, count: int | None) -> Split:
        """Return the first `count` samples, all if None."""
        return self if count is None else Split(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no sample: to train on, to choose by, to report.

    Attributes:
        classes: number of labels.
        kind: what the values of x are, as in `lehr.network.Input`.
        steps: T of training inputs that change from step to step; None where a sample is held.
        encoding: how sequences became x; None for other data.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    kind: InputKind = "u8"
    steps: int | None = None
    encoding: Encoding | None = None

    @property
    def test_steps(self) -> int | None:
        """T of validation and test inputs, which may be longer than those trained on.

        None where a sample is held.
        """
        return None if self.steps is None else self.test.x.shape[1]

    @property
    def shape(self) -> Shape:
        """Shape of one sample, or of one step of it."""
        return self.train.x.shape[1 if self.steps is None else 2 :]


def load_dataset(recipe: DataRecipe, folder: Path | None) -> Dataset:
    """Read the data set that a recipe names, and of it no more than the recipe asks for.

    Args:
        recipe: name, limits, encoding.
        folder: where the official files are, directly or in a folder of the data set's name.

    Raises:
        UsageError: when the name is unknown, the folder or a file is missing, or a key of the
            recipe does not go with the data set.
        FileRefused: when a file is not what it should be.
    """
    if wrong := data_contradictions(recipe):
        raise UsageError(*wrong)
    reader = _READERS[recipe.name]
    place = folder if reader.folders is None else _official(recipe.name, reader.folders, folder)
    sources = measured = reader.load(recipe, place)
    if recipe.test_steps is not None:
        measured = reader.load(recipe.model_copy(update={"steps": recipe.test_steps}), place)
    train, validation, test = sources.train, measured.validation, measured.test
    if validation is None:
        rest, kept_back = split_off(len(train.labels), VALIDATION_SHARE, recipe.seed)
        train, validation = train.pick(rest), measured.train.pick(kept_back)
    limits = (recipe.train_samples, None, recipe.test_samples)
    first, second, third = (
        _split(source, limit, recipe, number)
        for number, (source, limit) in enumerate(
            zip((train, validation, test), limits, strict=True)
        )
    )
    kind, steps = sources.kind, sources.steps
    if recipe.encoding != "current":
        kind, steps = "spikes", recipe.steps
    data = Dataset(first, second, third, sources.classes, kind, steps, sources.encoding)
    return _in_rows(data) if recipe.row else data


def _in_rows(data: Dataset) -> Dataset:
    """Return the samples as maps of one row, `[C, 1, L]`, of `[L]` (one channel) or `[C, L]`.

    Raises:
        UsageError: when they have other axes.
    """
    if len(data.shape) == 3 and data.shape[1] == 1:
        return data
    if len(data.shape) > 2:
        raise UsageError(
            f"data.row is true, but a sample has shape {data.shape}, with rows of its own; use "
            "'conv' layers, or leave it out"
        )
    shape = (1, 1, *data.shape) if len(data.shape) == 1 else (data.shape[0], 1, data.shape[1])
    first, second, third = (
        replace(split, x=split.x.reshape(*split.x.shape[: -len(data.shape)], *shape))
        for split in (data.train, data.validation, data.test)
    )
    return replace(data, train=first, validation=second, test=third)


def _split(source: Source, limit: int | None, recipe: DataRecipe, number: int) -> Split:
    """Read the first `limit` samples, all if None, and encode them if the recipe says so.

    `number` is the split's.
    """
    chosen = np.arange(len(source.labels))[:limit]

    def read(first: int, count: int) -> Values:
        x = source.read(chosen[first : first + count])
        if recipe.encoding == "current":
            return x
        assert recipe.steps is not None
        return encode(x, recipe.encoding, recipe.steps, (recipe.seed, number), first)

    size = len(chosen) * read(0, 1).nbytes
    if size <= IN_MEMORY:
        return Split(read(0, len(chosen)), source.labels[chosen])
    parts = (read(first, BLOCK) for first in range(0, len(chosen), BLOCK))
    return Split(together(parts, size), source.labels[chosen])


@dataclass(frozen=True)
class _Reader:
    """Reader of one data set.

    Attributes:
        load: reads it, from the folder of its official files or, where it has none, from what
            --data names.
        folders: names that the folder of the official files may have within --data; None where it
            has none.
    """

    load: Callable[[DataRecipe, Any], Sources]
    folders: tuple[str, ...] | None


def _official(name: str, inner: tuple[str, ...], folder: Path | None) -> Path:
    """Return the folder of the official files: `folder`, or one in it of the data set's name."""
    if folder is None:
        raise UsageError(
            f"data set {name} is read from its official files; give their folder with --data DIR, "
            "or in LEHR_DATA"
        )
    if not folder.is_dir():
        raise UsageError(
            f"data folder {folder} does not exist; give the folder that holds the {name} files "
            "with --data DIR, or in LEHR_DATA"
        )
    return next((folder / part for part in inner if (folder / part).is_dir()), folder)


def _digits(recipe: DataRecipe, folder: Path | None) -> Sources:  # noqa: ARG001
    (x, y), (first, second) = load_digits()
    train, validation, test = (
        in_memory(x[part], y[part])
        for part in (slice(first), slice(first, second), slice(second, None))
    )
    return Sources(train, test, 10, validation)


def _idx(recipe: DataRecipe, folder: Path) -> Sources:
    train, test = (in_memory(*part) for part in load_idx_folder(folder, recipe.name))
    return Sources(train, test, 10)


_READERS = {
    "digits": _Reader(_digits, None),
    "mnist": _Reader(_idx, ("mnist",)),
    "fashion-mnist": _Reader(_idx, ("fashion-mnist",)),
    "nmnist": _Reader(load_nmnist, ("nmnist",)),
    "dvs-gesture": _Reader(load_gestures, ("dvs-gesture", "DvsGesture")),
    "shd": _Reader(load_speech, ("shd",)),
    "ssc": _Reader(load_speech, ("ssc",)),
    "fsdd": _Reader(load_speech, ("fsdd", "fsdd-spikes")),
    "japanese-vowels": _Reader(load_vowels, None),
    "temporal": _Reader(load_temporal, None),
    "events": _Reader(load_event_files, None),
    "npz": _Reader(load_npz, None),
    "series": _Reader(load_series, None),
}
"""By the names of `lehr.train.keys.data.DATA_SETS`, which has their keys."""
