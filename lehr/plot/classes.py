"""Confusion of classes, and accuracy against the number of steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import UsageError
from lehr.plot.given import classes_of, pair_of, trace_of
from lehr.plot.shares import Share
from lehr.plot.style import COLOURS, INK, QUIET, drawing, whole_numbers
from lehr.simulate.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERED = 20
"""Classes of which every cell has its number written in it, at most."""
MOST = 4096
"""Classes of which a matrix is drawn, at most."""
PAIRED = 200
"""Samples below which nothing is said of stopping early."""
LOSS = 0.01
"""Share of the samples that stopping early may lose."""
LEVEL = 0.05
"""Chance of a loss at least so great by luck alone, below which it counts as shown."""


class Stop(NamedTuple):
    """Stop after some steps, compared with the end on the same samples.

    Attributes:
        steps: after which it is.
        samples: how many were compared.
        lost: samples that are right at the end, but not here.
        won: samples that are right here, but not at the end.
    """

    steps: int
    samples: int
    lost: int
    won: int

    @property
    def loss(self) -> float:
        """Share of the samples that is lost in all; below 0 where more are won."""
        return (self.lost - self.won) / self.samples

    @property
    def chance(self) -> float:
        """Chance of so many losses among the samples that differ, if neither side were better.

        Source: McNemar 1947, "Note on the sampling error of the difference between correlated
        proportions or percentages", in its exact, one-sided form.
        """
        pairs = self.lost + self.won
        full = math.lgamma(pairs + 1) - pairs * math.log(2)
        return min(
            1.0,
            math.fsum(
                math.exp(full - math.lgamma(lost + 1) - math.lgamma(pairs - lost + 1))
                for lost in range(self.lost, pairs + 1)
            ),
        )

    @property
    def harmless(self) -> bool:
        """Whether the loss is small, and none is shown."""
        return self.loss <= LOSS and (self.loss <= 0 or self.chance >= LEVEL)


def confusion(
    predictions: Result | npt.ArrayLike, labels: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw how many samples of each class were taken for which: labels down, predictions across.

    The darker a cell, the greater its share of its row; what is on the diagonal is right.

    Args:
        predictions: a run, or the class of each sample, `[N]`.
        labels: int `[N]`.
        ax: to draw on.

    Raises:
        UsageError: when they are no classes, or not as many.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> ax = lehr.plot.confusion([0, 1, 1, 2], [0, 1, 2, 2])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '1', '1']
    """
    counts = confusions(predictions, labels)
    classes = len(counts)
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 4.4 if classes > 6 else 3.2
    with drawing(ax, side) as ax:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        clear, full = to_rgba(COLOURS[0], 0.0), to_rgba(COLOURS[0], 1.0)
        shades = LinearSegmentedColormap.from_list("share", [clear, full])
        ax.imshow(rows, cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        if classes <= NUMBERED:
            for row, column in zip(*np.nonzero(counts), strict=True):
                ink = "white" if rows[row, column] > 0.55 else INK
                text = f"{counts[row, column]}"
                size = 9 if classes <= 12 else 6
                ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
            ax.set_xticks(range(classes))
            ax.set_yticks(range(classes))
        ax.set(xlabel="predicted class", ylabel="label")
        ax.tick_params(length=0)
        ax.spines[:].set(visible=True, color=QUIET)
    return ax


def confusions(predictions: Result | npt.ArrayLike, labels: npt.ArrayLike) -> Int64:
    """Count how many samples of each label were taken for which class, int64 `[label, prediction]`.

    Raises:
        UsageError: when they are no classes, or not as many.
    """
    classes = predictions.counts.shape[1] if isinstance(predictions, Result) else 0
    given = predictions.prediction if isinstance(predictions, Result) else predictions
    predicted = classes_of(given, "predictions")
    known = pair_of(predicted, "predictions", labels)
    classes = max(classes, int(predicted.max()) + 1, int(known.max()) + 1)
    if classes > MOST:
        raise UsageError(f"there is a class {classes - 1:,}; a matrix shows {MOST:,} classes")
    pairs = np.bincount(known * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes).astype(np.int64)


def steps(result: Result, labels: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the accuracy against the number of steps: what would be right if one stopped there.

    Of 200 samples or more a line marks the first step from which on, on these samples, stopping
    loses at most 1 % of them, and no loss is shown (McNemar's test).

    Args:
        result: a run with a trace of its output layer.
        labels: int `[N]`.
        ax: to draw on.

    Raises:
        UsageError: when the output was not traced, or labels are not as many.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> import numpy as np
    >>> result = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> ax = lehr.plot.steps(result, np.load("in.npz")["labels"])
    >>> ax.get_ylabel()
    'accuracy (%)'
    """
    right_at = right_by_step(result, labels)
    shares = shares_of(right_at)
    numbers = np.arange(1, len(shares) + 1)
    values = 100 * np.array([share.value for share in shares])
    limits = 100 * np.array([share.interval for share in shares])
    enough = enough_steps(right_at)
    with drawing(ax, 2.8) as ax:
        low, high = limits.T
        ax.fill_between(numbers, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
        ax.plot(numbers, values, color=COLOURS[0], marker="o" if len(numbers) <= 40 else "", ms=3.5)
        if enough is not None:
            ax.axvline(enough.steps, color=QUIET, linestyle="dashed", linewidth=1)
            right = enough.steps > (len(shares) + 1) / 2
            ax.annotate(
                f"{enough.steps} of {len(shares)} steps: {values[enough.steps - 1]:.2f} %",
                (enough.steps, 0.04),
                (-5 if right else 5, 0),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=9,
            )
        ax.set(xlabel="number of steps", ylabel="accuracy (%)", ylim=(0, 102))
        ax.set_xlim(1 - 0.02 * len(shares), len(shares) * 1.02)
        whole_numbers(ax.xaxis)
        ax.grid(axis="y")
    return ax


def accuracy_by_step(result: Result, labels: npt.ArrayLike) -> list[Share]:
    """Return what would be right after 1, 2, ... all steps, by the network's own readout.

    Raises:
        UsageError: when the output was not traced, or labels are not as many.
    """
    return shares_of(right_by_step(result, labels))


def right_by_step(result: Result, labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which samples would be right after each step, bool `[T, N]`.

    Raises:
        UsageError: when the output was not traced, or labels are not as many.
    """
    known = pair_of(classes_of(result.prediction, "predictions"), "samples", labels)
    right: npt.NDArray[np.bool_] = _scores(result).argmax(axis=2) == known[:, np.newaxis]
    return right.T


def shares_of(right: npt.NDArray[np.bool_]) -> list[Share]:
    """Return the share of samples that are right after each step, of bool `[T, N]`."""
    return [Share(int(row.sum()), row.size) for row in right]


def enough_steps(right: npt.NDArray[np.bool_]) -> Stop | None:
    """Return the first stop that is harmless, as every later one is; of few samples None.

    Args:
        right: whether each sample is right after each step, bool `[T, N]`.
    """
    steps, samples = right.shape
    if samples < PAIRED:
        return None
    last, first = right[-1], Stop(steps, samples, 0, 0)
    for number in range(steps - 1, 0, -1):
        row = right[number - 1]
        stop = Stop(number, samples, int((last & ~row).sum()), int((row & ~last).sum()))
        if not stop.harmless:
            break
        first = stop
    return first


def _scores(result: Result) -> Int64:
    """Return what the readout has after each step, `[N, T, classes]`.

    Which readout it is follows from the scores of the run, which one of them gives in the end.
    """
    trace = trace_of(result)
    for name, spikes in trace.spikes.items():
        flat = spikes.reshape(*spikes.shape[:2], -1).astype(np.int64)
        if len(flat) != len(result.scores) or flat.shape[2] != result.scores.shape[1]:
            continue
        sums = [flat.cumsum(axis=1)]
        if name in trace.membranes:
            membrane = trace.membranes[name].reshape(flat.shape).astype(np.int64)
            sums += [membrane, membrane.cumsum(axis=1), np.maximum.accumulate(membrane, axis=1)]
        for scores in sums:
            if np.array_equal(scores[:, -1], result.scores):
                return scores
    raise UsageError(
        "the trace holds no layer that gives the run's scores; simulate with trace='all', and give "
        "the labels of the samples that were traced"
    )
