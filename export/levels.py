"""Real weights as levels times a step.

Weights that are levels already are recognized; others are rounded where that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.rounding import least_loss_step
from lehr.weights import KINDS, LARGEST, Int8Array, WeightKind

TOLERANCE = 2.0**-22
"""The most, relative to itself, that a weight may lie from its level times the step.

It is what float32 rounds a product and a step by.
"""


@dataclass(frozen=True)
class Levels:
    """One layer's weights.

    Attributes:
        levels: the shape of the weights, outputs first.
        step: what one level is worth, by output, float64 `[outputs]`.
        moved: how far the farthest weight is from its level times the step, in its output's steps;
            0 where all are that exactly.
    """

    levels: Int8Array
    step: Float
    moved: float

    @property
    def kind(self) -> WeightKind:
        """Return the narrowest kind that holds the levels."""
        return kind_of(self.levels)


def kind_of(levels: npt.NDArray[np.integer] | Float) -> WeightKind:
    """Return the narrowest kind of weights that holds levels of magnitudes up to 127."""
    magnitudes = np.abs(levels.astype(np.int16))
    fits = (
        kind
        for kind in KINDS
        if magnitudes.max() <= LARGEST[kind] and (kind != "binary" or magnitudes.min() == 1)
    )
    return next(fits)


def rounding_note(moved: float) -> str:
    """Say how far weights were rounded: the farthest by `moved` steps, which is not 0."""
    if moved <= LARGEST["int8"] * TOLERANCE:
        return f"weights are levels but for {moved:.1g} of a step, as float32 may write them"
    return f"weights rounded, by up to {moved:.2f} of a step"


def read_levels(weight: Float, rounded: WeightKind | None) -> Levels:
    """Read weights as levels.

    Args:
        weight: finite, outputs first.
        rounded: `int2` to `int8`, to which weights that are no levels are rounded, each output's
            with the step that loses least.

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
            "its weights are real numbers, not -1 and +1 or up to 127 levels of one step; train it "
            "with lehr.train.binarize,"
            " or have them rounded with --weights int8 (weights='int8' in Python)"
        )
    return _levels(rows, steps, rounded or "int8", weight.shape)


def within_kind(weight: Float, kind: WeightKind) -> Levels:
    """Return weights as levels that `kind` may hold.

    They are exact, of one step for all where there is one; an output's weights that are no levels
    are rounded.

    Args:
        weight: finite, outputs first.
        kind: to round to. The step is that which loses least by the sum of squares; for `binary`
            that is the mean magnitude (Rastegari et al. 2016, "XNOR-Net", Eq. 6).
    """
    rows = weight.reshape(len(weight), -1)
    if kind != "binary" and (step := _common_step(rows, LARGEST[kind])):
        return _levels(rows, np.full(len(rows), step), kind, weight.shape)
    steps = np.array(
        [_common_step(row, LARGEST[kind]) if kind != "binary" or row.all() else 0.0 for row in rows]
    )
    return _levels(rows, steps, kind, weight.shape)


def _levels(rows: Float, exact: Float, kind: WeightKind, shape: tuple[int, ...]) -> Levels:
    """Return the levels of rows that have a step; rows that have none (0) are rounded to `kind`."""
    rounded, steps = np.flatnonzero(exact == 0), exact.copy()
    for row in rounded:
        magnitudes = np.abs(rows[row])
        steps[row] = (
            magnitudes.mean() if kind == "binary" else least_loss_step(magnitudes, LARGEST[kind])
        )
    steps = np.maximum(steps, np.finfo(np.float64).tiny)
    levels = np.rint(rows / steps[:, None])
    signs = np.where(rows[rounded] < 0, -1, 1)
    levels[rounded] = (
        signs if kind == "binary" else levels[rounded].clip(-LARGEST[kind], LARGEST[kind])
    )
    moved = float((np.abs(rows - levels * steps[:, None]) / steps[:, None]).max())
    return Levels(levels.astype(np.int8).reshape(shape), steps, moved)


def _narrower(rows: Float, steps: Float, step: float) -> bool:
    """Return whether a step for each output leaves narrower weights than one step for all.

    So it is with signs that were scaled by output.
    """
    own, common = (np.rint(rows / each) for each in (steps[:, None], step))
    return KINDS.index(kind_of(own)) < KINDS.index(kind_of(common))


def _common_step(weights: Float, greatest: int = LARGEST["int8"]) -> float:
    """Return the greatest step of which all weights are multiples, by at most `greatest`.

    It is 1 where all weights are 0, and 0 where there is no such step.
    """
    magnitudes = np.unique(np.abs(weights))
    highest = float(magnitudes[-1])
    if highest == 0:
        return 1.0
    if len(magnitudes) > greatest + 1:
        return 0.0
    for most in range(1, greatest + 1):
        step = highest / most
        if np.all(np.abs(magnitudes - np.rint(magnitudes / step) * step) <= TOLERANCE * magnitudes):
            return step
    return 0.0
