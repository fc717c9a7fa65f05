"""A user's own sequences that are no events: sounds, and arrays of sensors such as ECG and IMU.

`lehr.sequences` codes them as spikes; what it takes from the data is fitted to the samples trained
on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lehr.errors import FileRefused, UsageError
from lehr.npz import Archive, read_labels
from lehr.samples import inputs_limit
from lehr.sequences.encoding import Encoding
from lehr.sequences.files import ENDS, Sequence, checked, read_sequence
from lehr.sequences.wav import Floats
from lehr.train.data.frames import kind_of, most_of
from lehr.train.data.labelled import labelled_files
from lehr.train.data.source import (
    LEAST,
    TEST_SHARE,
    VALIDATION_SHARE,
    Indices,
    Labels,
    Source,
    Sources,
    Values,
    split_off,
)
from lehr.train.keys.data import DataRecipe


@dataclass(frozen=True)
class Part:
    """Samples of a split, or of all: int64 labels `[N]`, and what reads one by its number."""

    labels: Labels
    read: Callable[[int], Sequence]

    def pick(self, chosen: Indices) -> Part:
        """Return the samples `chosen`, in that order."""
        return Part(self.labels[chosen], lambda number: self.read(int(chosen[number])))


def load_series(recipe: DataRecipe, folder: Path | None) -> Sources:
    """Read `data.path`, within `folder` where one is given, as spikes `[N, T, 2 * channels]`.

    It is a folder of files by class (`lehr.train.data.labelled`), or an .npz with `input`
    `[N, samples, channels]` (or `[N, samples]` of one channel) and `labels` `[N]`, or with two of
    each, whose names begin with `train_` and `test_`. Where the author did not split it, a sixth
    is drawn as the test split; all splits are shuffled, by the recipe's seed.

    Raises:
        UsageError: when there is no such place.
        FileRefused: when a file is not what it should be, or not like the others.
        ToolMissing: when bands are asked for, and scipy is not installed.
    """
    assert recipe.path is not None
    path = (folder or Path()) / recipe.path
    parts, classes = _folder(path) if path.is_dir() else _archive(path)
    for part in parts:
        if len(part.labels) < LEAST:
            raise FileRefused(
                f"{path}: a part has {len(part.labels)} samples, too few to split; give at least "
                f"{LEAST}"
            )
    rest, test = split_off(len(parts[0].labels), TEST_SHARE, recipe.seed)
    if len(parts) == 1:
        parts = [parts[0].pick(rest), parts[0].pick(test)]
    else:
        order = np.random.default_rng(recipe.seed).permutation(len(parts[1].labels))
        parts = [parts[0], parts[1].pick(order)]
    rest, kept_back = split_off(len(parts[0].labels), VALIDATION_SHARE, recipe.seed)
    train = parts[0].pick(rest)
    encoding, like = fitted(recipe, train), train.read(0).name
    first, second, third = (
        _encoded(part, encoding, like) for part in (train, parts[0].pick(kept_back), parts[1])
    )
    return Sources(first, third, classes, second, kind_of(recipe), recipe.steps, encoding=encoding)


def fitted(recipe: DataRecipe, train: Part) -> Encoding:
    """Return the encoding that a recipe says, with what it takes from the samples trained on.

    Args:
        recipe: with steps, code and threshold.
        train: the training split. All sequences must be like its first one, in rate and channels;
            spreads of channels are those of its first `recipe.train_samples`, all if None.

    Raises:
        UsageError: when bands do not go with the files.
        FileRefused: when a file is not what it should be, or a channel has no spread.
    """
    encoding = Encoding.of(recipe, train.read(0), recipe.steps, most_of(recipe), "data.")
    if recipe.threshold_in == "value":
        return encoding
    count = min(recipe.train_samples or len(train.labels), len(train.labels))
    return encoding.scaled(_spread(encoding, train, count))


def _spread(encoding: Encoding, train: Part, count: int) -> Floats:
    """Return the standard deviations of the coded channels over the first `count` samples."""
    like, total, mean, squares = train.read(0).name, 0, np.zeros(1), np.zeros(1)
    with np.errstate(over="ignore", invalid="ignore"):
        for number in range(count):
            values = encoding.coded_channels(train.read(number), like)
            here, shift = len(values), values.mean(axis=0) - mean
            squares = squares + ((values - values.mean(axis=0)) ** 2).sum(axis=0)
            squares = squares + shift**2 * total * here / (total + here)
            total, mean = total + here, mean + shift * here / (total + here)
        spread: Floats = np.sqrt(squares / total)
    if not np.isfinite(spread).all():
        raise FileRefused(
            f"channel {int(np.argmin(np.isfinite(spread)))} has values so far apart that their "
            "spread is no number of 64 bits; give them in a larger unit"
        )
    if not (spread > 0).all():
        raise FileRefused(
            f"channel {int(np.argmin(spread))} is {mean[np.argmin(spread)]:g} in all samples "
            "trained on, and has no spread; leave it out, or set data.threshold_in to 'value'"
        )
    return spread


def _encoded(part: Part, encoding: Encoding, like: str) -> Source:
    """Return the samples of a part, read and encoded when they are asked for.

    `like` names the sequence that all are to be like.
    """

    def read(indices: Indices) -> Values:
        steps, places = encoding.steps or 0, 2 * len(encoding.thresholds)
        stacked = np.zeros((len(indices), steps, places), np.uint8)
        for place, index in enumerate(indices):
            stacked[place] = encoding.encode(part.read(int(index)), like)
        return stacked

    return Source(part.labels, read)


def _folder(path: Path) -> tuple[list[Part], int]:
    """Return the parts of a folder, and how many classes there are."""
    listed, classes = labelled_files(path, _require_sequence)

    def part(paths: list[Path], labels: Labels) -> Part:
        return Part(labels, lambda number: read_sequence(paths[number]))

    return [part(*each) for each in listed], classes


def _require_sequence(path: Path) -> None:
    """Refuse a file that is no sequence, by its name."""
    if path.suffix.lower() not in ENDS:
        raise FileRefused(
            f"{path} is none of {', '.join(ENDS)}; convert it to one of these, or move it away"
        )


def _archive(path: Path) -> tuple[list[Part], int]:
    """Return the parts of an .npz, and how many classes there are."""
    if not path.exists():
        raise UsageError(
            f"data.path {path} does not exist; give a folder of files by class, or an .npz"
        )
    with Archive(path) as archive:
        prefixes = ("train_", "test_") if "train_input" in archive else ("",)
        parts = [_read_part(archive, prefix) for prefix in prefixes]
    return parts, 1 + max(int(part.labels.max(initial=0)) for part in parts)


def _read_part(archive: Archive, prefix: str) -> Part:
    path, name = archive.path, f"{prefix}input"
    header = archive.header(name) if name in archive else None
    if header is None or header.dtype.kind not in "iuf" or len(header.shape) not in (2, 3):
        raise FileRefused(
            f"{path}: {name} is {header or 'missing'}; save numbers [N, samples, channels] there"
        )
    labels = read_labels(archive, f"{prefix}labels", header.shape[0])
    if labels is None or (labels < 0).any():
        raise FileRefused(
            f"{path}: {prefix}labels are {'missing' if labels is None else 'below 0'}; save one "
            "integer per sample there, from 0 on"
        )
    x = archive.read(name, inputs_limit(archive, name))

    def read(number: int) -> Sequence:
        return checked(Sequence(f"{path}: sample {number} of {name}", x[number].astype(np.float64)))

    return Part(labels, read)
