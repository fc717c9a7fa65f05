"""Spoken words as spikes of 700 cochlear channels.

They are in the HDF5 files of the Spiking Heidelberg Digits and the Spiking Speech Commands.

`fsdd` is a stand-in in the same layout, made of the Free Spoken Digit Dataset: ten English digits.
It is not SHD, and an accuracy on it says nothing about one there.

Source: Cramer, Stradmann, Schemmel & Zenke 2022, "The Heidelberg spiking data sets for the
systematic evaluation of spiking neural networks"; `spikes/times` in seconds and `spikes/units` have
one array of variable length a sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lehr.errors import FileRefused, UsageError
from lehr.hdf5 import Limits, read_tree
from lehr.train.data.frames import frames, kind_of, most_of, since_origin
from lehr.train.data.source import Indices, Source, Sources, Values
from lehr.train.recipe import DataRecipe

CHANNELS = 700
CLASSES = {"shd": 20, "ssc": 35, "fsdd": 10}
_AGAIN = "get it again from its official source"
_LIMITS = Limits(
    file_bytes=8 << 30,
    unpacked_bytes=8 << 30,
    seconds=120,  # ssc's training part has 600 million spikes
    rows=True,
    skip=("extra",),  # of the speakers nothing is wanted, and ssc has thousands of them
    remedy=_AGAIN,
    smaller="give the official file",
)


def load_speech(recipe: DataRecipe, folder: Path) -> Sources:
    """Return the parts of a data set: `NAME_train.h5`, `NAME_test.h5`, of ssc its `ssc_valid.h5`.

    Raises:
        UsageError: when a file is not in `folder`.
        FileRefused: when a file is not what its name says.
    """
    if recipe.classes is not None and recipe.classes > CLASSES[recipe.name]:
        raise UsageError(
            f"data.classes is {recipe.classes}, but {recipe.name} has {CLASSES[recipe.name]}; "
            "lower it"
        )
    train, test = (_part(recipe, folder, part) for part in ("train", "test"))
    validation = _part(recipe, folder, "valid") if recipe.name == "ssc" else None
    return Sources(
        train,
        test,
        recipe.classes or CLASSES[recipe.name],
        validation=validation,
        kind=kind_of(recipe),
        steps=recipe.steps,
    )


def _part(recipe: DataRecipe, folder: Path, part: str) -> Source:
    path = folder / f"{recipe.name}_{part}.h5"
    if not path.is_file():
        or_fetch = "" if recipe.name == "fsdd" else ", or fetch them with --download"
        raise UsageError(
            f"data folder {folder} has no {path.name}; put the unpacked official files of "
            f"{recipe.name} there{or_fetch}"
        )
    tree = read_tree(path, _LIMITS)
    spikes = tree.get("spikes")
    if not isinstance(spikes, dict) or not isinstance(tree.get("labels"), np.ndarray):
        raise FileRefused(f"{path} has no group 'spikes' or no 'labels'; {_AGAIN}")
    times, units, labels = spikes.get("times"), spikes.get("units"), tree["labels"]
    if (
        not isinstance(times, list)
        or not isinstance(units, list)
        or labels.dtype.kind not in "iu"
        or labels.ndim != 1
    ):
        raise FileRefused(
            f"{path} has no times and units of one array a sample, or labels that are no integers; "
            f"{_AGAIN}"
        )
    if not len(times) == len(units) == len(labels) > 0:
        raise FileRefused(
            f"{path} has {len(times)} samples of times, {len(units)} of units and {len(labels)} "
            f"labels; {_AGAIN}"
        )
    if labels.min() < 0 or labels.max() >= CLASSES[recipe.name]:
        raise FileRefused(
            f"{path} holds label {labels.max()}, but {recipe.name} has {CLASSES[recipe.name]} "
            f"classes; {_AGAIN}"
        )
    for sample, (time, unit) in enumerate(zip(times, units, strict=True)):
        _check(path, sample, time, unit)
    steps, step_ms, channels = recipe.steps, recipe.step_ms, recipe.channels or CHANNELS
    assert steps is not None
    assert step_ms is not None

    def read(indices: Indices) -> Values:
        stacked = np.zeros((len(indices), steps, channels), np.uint8)
        for place, index in enumerate(indices):
            gathered = units[index].astype(np.int64) * channels // CHANNELS
            stacked[place] = frames(
                since_origin(times[index].astype(np.float64), recipe) * 1000,
                gathered,
                (channels,),
                steps,
                step_ms,
                most_of(recipe),
            )
        return stacked

    whole = Source(labels.astype(np.int64), read)
    return (
        whole
        if recipe.classes is None
        else whole.pick(np.flatnonzero(whole.labels < recipe.classes))
    )


def _check(path: Path, sample: int, time: Any, unit: Any) -> None:
    if time.dtype.kind != "f" or unit.dtype.kind not in "iu" or time.shape != unit.shape:
        sizes = f"{len(time)} times ({time.dtype}) and {len(unit)} units ({unit.dtype})"
        raise FileRefused(f"{path}: sample {sample} has {sizes}; {_AGAIN}")
    if not np.isfinite(time).all():
        raise FileRefused(f"{path}: sample {sample} has a time that is no number; {_AGAIN}")
    if len(unit) and (unit.min() < 0 or unit.max() >= CHANNELS):
        raise FileRefused(
            f"{path}: sample {sample} has a spike of unit {unit.max()}, but there are {CHANNELS}; "
            f"{_AGAIN}"
        )
