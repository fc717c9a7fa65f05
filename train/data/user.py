"""A user's own data: one `.npz` file or shards, split by its author or by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lehr.errors import FileRefused
from lehr.network import HIGHEST
from lehr.npz import Archive, checked_samples
from lehr.samples import inputs_limit
from lehr.shards import LIST, stored_samples
from lehr.train.data.source import (
    BLOCK,
    LEAST,
    NONE,
    TEST_SHARE,
    Labels,
    Sources,
    Values,
    in_memory,
    split_off,
    together,
)
from lehr.train.recipe import DataRecipe


def load_npz(recipe: DataRecipe, folder: Path | None) -> Sources:
    """Read `data.path`, within `folder` where one is given.

    That is an `.npz` file or shards, see `lehr.shards.stored`. A file holds either `train_input`,
    `train_labels`, `test_input` and `test_labels`, or, as all shards do together, `input` and
    `labels`, of which a sixth is drawn as the test split by the recipe's seed. An input is uint8
    `[N, *shape]`, or `[N, T, *shape]` where the recipe gives steps and encodes nothing; it is taken
    as spikes if no value in the file is above 1. Labels are integers `[N]`, or, not in shards,
    `[N, T]`, one for each step, -1 where a step has none.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz, or its arrays have not the types and shapes they should, or
            not the recipe's steps.
    """
    assert recipe.path is not None
    path = _place(recipe.path, folder)
    prefixes: tuple[str, ...] = ("",)
    if path.suffix.lower() != ".npz" or path.is_dir():
        parts = [_of_shards(path)]
    else:
        with Archive(path) as archive:
            prefixes = ("train_", "test_") if "train_input" in archive else ("",)
            parts = [_part(archive, prefix) for prefix in prefixes]
    shapes = [labels.shape[1:] for _, labels in parts]
    if shapes[0] != shapes[-1]:
        raise FileRefused(
            f"{path}: labels of a training sample are {shapes[0]}, of a test sample {shapes[-1]}; "
            "give both one label, or one for each of as many steps"
        )
    _require_numbered(path, prefixes, [labels for _, labels in parts])
    steps = recipe.steps if recipe.encoding == "current" else None
    for x, _ in parts:
        if x.shape[1:] != parts[0][0].shape[1:]:
            raise FileRefused(
                f"{path}: training samples are {parts[0][0].shape[1:]}, test samples "
                f"{x.shape[1:]}; give them one shape"
            )
        if steps is not None and (x.ndim < 3 or x.shape[1] != steps):
            raise FileRefused(
                f"{path} holds samples of shape {x.shape[1:]}, data.steps is {steps}; the first "
                "axis of a sample must be time"
            )
    sources = [in_memory(x, labels) for x, labels in parts]
    classes = 1 + max(int(labels.max()) for _, labels in parts)
    if len(sources) == 1:
        rest, test = split_off(len(sources[0].labels), TEST_SHARE, recipe.seed)
        sources = [sources[0].pick(rest), sources[0].pick(test)]
    binary = all(x.max() <= 1 for x, _ in parts)
    return Sources(
        sources[0], sources[1], classes, kind="spikes" if steps and binary else "u8", steps=steps
    )


def _place(path: str, folder: Path | None) -> Path:
    """Return where data are; the mark of a list of shards stays in front."""
    mark = LIST if path.startswith(LIST) else ""
    return Path(f"{mark}{(folder or Path()) / path.removeprefix(mark)}")


def _of_shards(path: Path) -> tuple[Values, Labels]:
    samples = stored_samples(path, HIGHEST["u8"])
    labels = _checked(path, "", samples.shape[0], samples.labels)
    return together(samples.pieces(BLOCK), math.prod(samples.shape)), labels


def _part(archive: Archive, prefix: str) -> tuple[Values, Labels]:
    header, labels = checked_samples(archive, prefix, by_step=True)
    checked = _checked(archive.path, prefix, header.shape[0], labels)
    name = f"{prefix}input"
    return archive.read(name, inputs_limit(archive, name)), checked


def _checked(path: Path, prefix: str, samples: int, labels: Labels | None) -> Labels:
    """Refuse labels that are missing or negative, and samples too few to split."""
    if labels is None:
        raise FileRefused(
            f"{path} has no array '{prefix}labels'; save one integer per sample there"
        )
    if samples < LEAST:
        raise FileRefused(
            f"{path}: {prefix}input has {samples} samples, too few to split; give at least {LEAST}"
        )
    lowest = 0 if labels.ndim == 1 else NONE
    if len(negative := np.argwhere(labels < lowest)):
        first = tuple(negative[0])
        said = f"{prefix}labels hold {labels[first]} in sample {first[0]:,}"
        raise FileRefused(
            f"{path}: {said}; leave out samples that have no class, and number the classes from 0"
        )
    return labels


def _require_numbered(path: Path, prefixes: Sequence[str], labels: Sequence[Labels]) -> None:
    """Refuse labels that are none at all, or of which the highest is far beyond all others.

    255 and the like mark samples that have no class.
    """
    classes = np.unique(np.concatenate([each[each != NONE] for each in labels]))
    if not len(classes):
        raise FileRefused(
            f"{path}: {prefixes[0]}labels hold {NONE} at every step, which says no class; give at "
            "least one step of a sample its class"
        )
    if len(classes) < 2 or classes[-1] - classes[-2] <= len(classes):
        return
    for prefix, each in zip(prefixes, labels, strict=True):
        if len(places := np.argwhere(each == classes[-1])):
            raise FileRefused(
                f"{path}: {prefix}labels hold {classes[-1]} in sample {places[0][0]:,}, and the "
                f"next lower label is {classes[-2]};"
                " leave out samples that have no class, and number the classes from 0"
            )
