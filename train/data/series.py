"""A user's own sequences that are no events: sounds, and arrays of sensors such as ECG and IMU.

They become spikes by a code of `lehr.train.data.crossings`; sounds are parted into bands before,
where the recipe says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lehr.errors import FileRefused, UsageError
from lehr.npz import Archive, read_labels
from lehr.samples import inputs_limit
from lehr.train.data.bands import HIGHEST_SHARE, band_edges, band_envelopes
from lehr.train.data.crossings import coded, gathered
from lehr.train.data.frames import kind_of, most_of
from lehr.train.data.labelled import labelled_files
from lehr.train.data.sequences import ENDS, Sequence, checked, read_sequence
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
from lehr.train.data.wav import Floats
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
    coder = Coder(recipe, train)
    return Sources(
        coder.source(train),
        coder.source(parts[1]),
        classes,
        validation=coder.source(parts[0].pick(kept_back)),
        kind=kind_of(recipe),
        steps=recipe.steps,
    )


class Coder:
    """Coder of sequences as a recipe says, with what it takes from the samples trained on.

    Args:
        recipe: with steps, code and threshold.
        train: the training split. All sequences must be like its first one, in rate and channels;
            spreads of channels are those of its first `recipe.train_samples`, all if None.

    Attributes:
        thresholds: of the channels that are coded, float64 `[channels]`, in units of their values.

    Raises:
        UsageError: when bands do not go with the files.
        FileRefused: when a file is not what it should be, or a channel has no spread.
    """

    def __init__(self, recipe: DataRecipe, train: Part) -> None:
        assert recipe.threshold is not None
        self._recipe = recipe
        self._like = train.read(0)
        self._edges = None if recipe.bands is None else _edges(recipe, self._like)
        channels = self._channels(self._like).shape[1]
        self.thresholds = np.full(channels, recipe.threshold, np.float64)
        if recipe.threshold_in == "spread":
            count = min(recipe.train_samples or len(train.labels), len(train.labels))
            self.thresholds *= self._spread(train, count)

    def source(self, part: Part) -> Source:
        """Return the samples of a part, read and coded when they are asked for."""

        def read(indices: Indices) -> Values:
            steps, places = self._recipe.steps or 0, 2 * len(self.thresholds)
            stacked = np.zeros((len(indices), steps, places), np.uint8)
            for place, index in enumerate(indices):
                stacked[place] = self.code(part.read(int(index)))
            return stacked

        return Source(part.labels, read)

    def code(self, sequence: Sequence) -> Values:
        """Return the steps of a sequence, uint8 `[T, 2 * channels]`.

        Raises:
            FileRefused: when it is not like the first one, or its values are too large for the
                thresholds.
        """
        recipe = self._recipe
        assert recipe.code is not None
        assert recipe.steps is not None
        try:
            events = coded(self._channels(sequence), self.thresholds, recipe.code)
        except ValueError as error:
            raise FileRefused(f"{sequence.name}: {error}; raise data.threshold") from None
        return gathered(events, recipe.steps, recipe.step_samples, most_of(recipe))

    def _channels(self, sequence: Sequence) -> Floats:
        """Return the channels that are coded, those of the sequence or their bands."""
        like = self._like
        for what, is_so, should in (
            ("a rate of {} Hz", sequence.rate, like.rate),
            ("{} channels", sequence.values.shape[1], like.values.shape[1]),
        ):
            if is_so != should:
                has, others = (what.format("no" if n is None else n) for n in (is_so, should))
                raise FileRefused(
                    f"{sequence.name} has {has}, {like.name} has {others}; make all files alike"
                )
        if self._edges is None:
            return sequence.values
        assert sequence.rate is not None
        return band_envelopes(sequence.values, sequence.rate, self._edges)

    def _spread(self, train: Part, count: int) -> Floats:
        """Return the standard deviations of the channels over `count` samples together."""
        total, mean, squares = 0, np.zeros(1), np.zeros(1)
        for number in range(count):
            sequence = train.read(number)
            values = self._channels(sequence)
            here, shift = len(values), values.mean(axis=0) - mean
            squares = squares + ((values - values.mean(axis=0)) ** 2).sum(axis=0)
            squares = squares + shift**2 * total * here / (total + here)
            total, mean = total + here, mean + shift * here / (total + here)
        spread: Floats = np.sqrt(squares / total)
        if not (spread > 0).all():
            raise FileRefused(
                f"channel {int(np.argmin(spread))} is {mean[np.argmin(spread)]:g} in all samples "
                "trained on, and has no spread; leave it out, or set data.threshold_in to 'value'"
            )
        return spread


def _edges(recipe: DataRecipe, like: Sequence) -> Floats:
    """Return the edges of the bands in hertz."""
    assert recipe.bands is not None
    if like.rate is None:
        raise UsageError(
            f"data.bands is {recipe.bands}, but {like.name} says no sampling rate; give WAV files, "
            "or leave it out"
        )
    highest = recipe.highest_hz or HIGHEST_SHARE * like.rate
    if highest >= like.rate / 2:
        raise UsageError(
            f"data.highest_hz is {highest:g}, but {like.name} has {like.rate} samples a second; "
            f"lower it below {like.rate / 2:g}"
        )
    if recipe.lowest_hz >= highest:
        raise UsageError(
            f"data.lowest_hz is {recipe.lowest_hz:g}, but the highest edge is {highest:g}; lower it"
        )
    return band_edges(recipe.bands, recipe.lowest_hz, highest)


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
