"""Real weights as levels times a step: found where they are that already, rounded where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.weights import KINDS, LARGEST, Int8Array, WeightKind

TOLERANCE = 2.0**-22
"""How far, relative to itself, a weight may lie from its level times the step: what float32 rounds a product and a step by."""


@dataclass(frozen=True)
class Levels:
    """One layer's weights.

    Attributes:
        levels: the shape of the weights, outputs first.
        step: what one level is worth, by output, float64 `[outputs]`.
        moved: how far the farthest weight is from its level times the step, in its output's steps; 0 where all are that exactly.
    """

    levels: Int8Array
    step: Float
    moved: float

    @property
    def kind(self) -> WeightKind:
        """The narrowest kind that holds the levels."""
        return kind_of(self.levels)


def kind_of(levels: npt.NDArray[np.integer] | Float) -> WeightKind:
    """The narrowest kind of weights that holds some levels, whose magnitudes are at most 127."""
    magnitudes = np.abs(levels.astype(np.int16))
    fits = (kind for kind in KINDS if magnitudes.max() <= LARGEST[kind] and (kind != "binary" or magnitudes.min() == 1))
    return next(fits)


def read_levels(weight: Float, rounded: WeightKind | None) -> Levels:
    """Weights as levels.

    Args:
        weight: finite, outputs first.
        rounded: `int2` to `int8`, to which weights that are no levels are rounded, each output's greatest magnitude to the greatest level.

    Raises:
        NotMappable: when they are no levels and `rounded` is None. The caller names the layer.
    """
    if not np.isfinite(weight).all():
        raise NotMappable("its weights are not finite; train it again")
    rows = weight.reshape(len(weight), -1)
    steps = np.array([_common_step(row) for row in rows])
    if (step := _common_step(rows)) and not _narrower(rows, steps, step):
        steps = np.full(len(rows), step)
    if not steps.all() and rounded is None:
        raise NotMappable(
            "its weights are real numbers, not -1 and +1 or up to 127 levels of one step; train it with lehr.train.binarize,"
            " or have them rounded with weights='int8'"
        )
    if rounded is not None:
        steps = np.where(steps > 0, steps, np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float64).tiny) / LARGEST[rounded])
    levels = np.rint(rows / steps[:, None])
    moved = float((np.abs(rows - levels * steps[:, None]) / steps[:, None]).max())
    return Levels(levels.astype(np.int8).reshape(weight.shape), steps, moved)


def _narrower(rows: Float, steps: Float, step: float) -> bool:
    """Whether a step for each output leaves a narrower kind of weights than one for all: signs that were scaled by output."""
    own, common = (np.rint(rows / each) for each in (steps[:, None], step))
    return KINDS.index(kind_of(own)) < KINDS.index(kind_of(common))


def _common_step(weights: Float) -> float:
    """The greatest step of which all weights are multiples, by at most 127; 1 where all are 0, and 0 where there is none."""
    magnitudes = np.unique(np.abs(weights))
    highest = float(magnitudes[-1])
    if highest == 0:
        return 1.0
    if len(magnitudes) > LARGEST["int8"] + 1:
        return 0.0
    for most in range(1, LARGEST["int8"] + 1):
        step = highest / most
        if np.all(np.abs(magnitudes - np.rint(magnitudes / step) * step) <= TOLERANCE * magnitudes):
            return step
    return 0.0
