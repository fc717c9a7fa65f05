"""Augmentation of events: spikes of training samples are dropped, moved and mixed at random.

Values stay the integers that they are. Validation and test samples are never touched.

Sources: Gu, Sng, Hu & Yu 2021, "EventDrop: data augmentation for event-based learning", for events
that are dropped one by one and by stretches of time; Park et al. 2019, "SpecAugment", for channels
that are silenced; Yun et al. 2019, "CutMix", for parts of another sample: here a stretch of time of
one of the same class, so that labels stay exact.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lehr.train.data.source import NONE, Labels, Values
from lehr.train.keys.augment import Augment

Number = TypeVar("Number", Values, Labels)


def augmented_events(
    x: Values, y: Labels, augment: Augment, random: np.random.Generator
) -> tuple[Values, Labels]:
    """Return samples of several steps, changed, and their labels.

    Args:
        x: uint8 `[N, T, *shape]`, spikes or counts; it stays as it is.
        y: int64 `[N]`, or `[N, T]`, whose labels move with their steps.
        augment: what may happen; `mix` takes labels `[N]`.
        random: where the chances come from.
    """
    if augment.mix:
        x = _mixed(x, y, augment.mix, random)
    if augment.shift_steps:
        far = _distances(len(x), augment.shift_steps, random)
        x, y = _moved(x, far, 0), _moved(y, far, NONE) if y.ndim == 2 else y
    if augment.shift_channels:
        far = _distances(len(x), augment.shift_channels, random)
        x = _moved(x.swapaxes(1, -1), far, 0).swapaxes(1, -1)
    if augment.drop_steps:
        x = _blanked(x, augment.drop_steps, random)
    if augment.drop_channels:
        x = _blanked(x.swapaxes(1, -1), augment.drop_channels, random).swapaxes(1, -1)
    if augment.drop:
        x = _thinned(x, augment.drop, random)
    return np.ascontiguousarray(x), y


def _mixed(x: Values, y: Labels, chance: float, random: np.random.Generator) -> Values:
    """Give samples a stretch of up to half the steps of another one of their class in the batch."""
    mixed, steps = x.copy(), x.shape[1]
    for sample in np.flatnonzero(random.random(len(x)) < chance):
        other = random.choice(np.flatnonzero(y == y[sample]))
        length = random.integers(1, max(1, steps // 2) + 1)
        start = random.integers(0, steps - length + 1)
        mixed[sample, start : start + length] = x[other, start : start + length]
    return mixed


def _distances(samples: int, most: int, random: np.random.Generator) -> Labels:
    return random.integers(-most, most + 1, samples)


def _moved(values: Number, far: Labels, fill: int) -> Number:
    """Move each sample along its first axis, and fill what it leaves."""
    size = values.shape[1]
    source = np.arange(size) - far[:, None]
    inside = (source >= 0) & (source < size)
    moved: Number = values[np.arange(len(values))[:, None], source.clip(0, size - 1)]
    moved[~inside] = fill
    return moved


def _blanked(values: Values, most: int, random: np.random.Generator) -> Values:
    """Set up to `most` neighbours along each sample's first axis to 0."""
    size = values.shape[1]
    length = random.integers(0, min(most, size) + 1, len(values))
    start = random.integers(0, size - length + 1)
    place = np.arange(size)
    gone = (place >= start[:, None]) & (place < (start + length)[:, None])
    return values * ~_along(gone, values.ndim)


def _thinned(x: Values, chance: float, random: np.random.Generator) -> Values:
    """Drop each event with a chance: of a count as many as there are, each by itself."""
    if x.max(initial=0) > 1:
        return random.binomial(x, 1 - chance).astype(x.dtype)
    return x * (random.random(x.shape, np.float32) >= chance)


def _along(mask: npt.NDArray[np.bool_], axes: int) -> npt.NDArray[np.bool_]:
    """Return a mask `[N, size]` that goes with values of more axes."""
    return mask.reshape(*mask.shape, *[1] * (axes - 2))
