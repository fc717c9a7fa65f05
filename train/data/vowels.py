"""Japanese Vowels: nine speakers, told apart by how they say two vowels.

An utterance is 7 to 29 frames of 12 linear prediction cepstral coefficients. A value becomes 8
spikes at most, as a thermometer shows it: one for each level that it is above.

Sources: Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using passing-through
regions"; UCI Machine Learning Repository, "Japanese Vowels" (CC BY 4.0), as the text files of the
time series archive have it, which come with the package sktime.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.extras import pip_line
from lehr.reading import read_text
from lehr.train.data.source import Labels, Sources, Values, in_memory
from lehr.train.keys.data import DataRecipe

COEFFICIENTS, SPEAKERS, LEVELS = 12, 9, 8
FOLDERS = ("japanese-vowels", "JapaneseVowels")
PARTS = ("JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts")
_MAX_BYTES, _MAX_FRAMES = 1 << 24, 1 << 12
_AGAIN = "get it again from its official source"
Utterance = npt.NDArray[np.float64]


def load_vowels(recipe: DataRecipe, folder: Path | None) -> Sources:
    """Return the official training and test utterances as spikes, uint8 `[N, T, 96]`.

    Channel 8 c + l is 1 in the frames in which coefficient c is above its level l: the quantile
    (l + 1) / 9 of its values in all training utterances. Frames beyond the recipe's steps are left
    out, and an utterance that is shorter ends in frames of 0.

    Args:
        recipe: with steps.
        folder: that holds the two files, itself or in a folder of the data set's name; where it
            holds none, or is None, they are those of the package sktime.

    Raises:
        ToolMissing: when the files are nowhere.
        UsageError: when only one of them is there.
        FileRefused: when a file is not what it should be.
    """
    place = _place(folder)
    (train, speakers), (test, others) = (read_utterances(place / part) for part in PARTS)
    shares = np.arange(1, LEVELS + 1) / (LEVELS + 1)
    levels = np.quantile(np.concatenate(train), shares, axis=0)
    steps = recipe.steps
    assert steps is not None
    first, second = (
        np.stack([thermometer(each, levels, steps) for each in utterances])
        for utterances in (train, test)
    )
    return Sources(
        in_memory(first, speakers),
        in_memory(second, others),
        SPEAKERS,
        kind="spikes",
        steps=steps,
    )


def thermometer(values: Utterance, levels: npt.NDArray[np.float64], steps: int) -> Values:
    """Return which levels each value is above, uint8 `[steps, channels * levels]`.

    Args:
        values: `[frames, channels]`.
        levels: `[levels, channels]`.
        steps: frames to keep; those that there are not are 0.
    """
    above = values[:steps, :, None] > levels.T
    spikes = np.zeros((steps, levels.size), np.uint8)
    spikes[: len(above)] = above.reshape(len(above), -1)
    return spikes


def read_utterances(path: Path) -> tuple[list[Utterance], Labels]:
    """Return the utterances of a file, float64 `[frames, 12]`, and their speakers, 0 to 8.

    A line after `@data` is an utterance: its coefficients' values, separated by commas, and after
    them its speaker, 1 to 9, all separated by colons.

    Raises:
        FileRefused: when it is no such file; the line is named.
    """
    lines = read_text(path, _MAX_BYTES, _AGAIN).splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip().lower() == "@data"]
    if not starts:
        raise FileRefused(f"{path} has no line '@data', and is no file of time series; {_AGAIN}")
    utterances, speakers = [], []
    for number, line in enumerate(lines[starts[0] + 1 :], starts[0] + 2):
        if not line.strip():
            continue
        *coefficients, speaker = line.strip().split(":")
        try:
            rows = [[float(value) for value in row.split(",")] for row in coefficients]
            values, who = np.array(rows, np.float64).T, int(speaker)
        except ValueError:
            values, who = np.zeros((0, 0)), 0
        if (
            values.ndim != 2
            or values.shape[1] != COEFFICIENTS
            or len(values) > _MAX_FRAMES
            or not np.isfinite(values).all()
            or not 1 <= who <= SPEAKERS
        ):
            raise FileRefused(
                f"{path}, line {number}: it is not {COEFFICIENTS} rows of as many finite numbers "
                f"and a speaker from 1 to {SPEAKERS}; {_AGAIN}"
            )
        utterances.append(values)
        speakers.append(who - 1)
    if not utterances:
        raise FileRefused(f"{path} has no utterance after '@data'; {_AGAIN}")
    return utterances, np.array(speakers, np.int64)


def packaged() -> Path | None:
    """Return the folder of the files in the package sktime; None where it is not installed."""
    spec = find_spec("sktime")  # which is not imported: that takes seconds
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], "datasets", "data", "JapaneseVowels")


def _place(folder: Path | None) -> Path:
    """Return the folder that holds the files."""
    places = [] if folder is None else [*(folder / name for name in FOLDERS), folder]
    here = packaged()
    for place in [*places, *([] if here is None else [here])]:
        missing = [part for part in PARTS if not (place / part).is_file()]
        if not missing:
            return place
        if len(missing) < len(PARTS):
            raise UsageError(f"data folder {place} has no {missing[0]}; put both parts there")
    raise ToolMissing(
        f"data set japanese-vowels needs sktime, which brings its files; {pip_line('sktime')}, or "
        f"give a folder that holds {' and '.join(PARTS)} with --data DIR, or in LEHR_DATA"
    )
