"""Accuracies from station to station, each with the interval that its number of samples allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from lehr.errors import UsageError
from lehr.plot.given import classes_of, pair_of
from lehr.plot.style import INK, colour, drawing

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

CONFIDENCE = 0.95
_ROW = 0.34
"""Inches that a bar takes."""


class Share(NamedTuple):
    """Share of samples that are right, and its interval."""

    correct: int
    samples: int

    @classmethod
    def of(cls, predictions: npt.ArrayLike, labels: npt.ArrayLike) -> Self:
        """Return the share of predictions, `[N]`, that are their labels.

        Raises:
            UsageError: when they are no classes, or not as many.
        """
        predicted = classes_of(predictions, "predictions")
        return cls(
            int((predicted == pair_of(predicted, "predictions", labels)).sum()), len(predicted)
        )

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and highest share that go with it, with 95 % confidence.

        Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
        """
        z, n, p = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), self.samples, self.value
        middle = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
        return max(low, 0.0) if self.correct else 0.0, min(high, 1.0) if self.correct < n else 1.0


Accuracy = Share | float
Stations = Mapping[str, Accuracy] | Mapping[str, Mapping[str, Accuracy]]


def accuracy(figures: Stations, ax: Axes | None = None) -> Axes:
    """Draw accuracies as bars, from station to station and from top to bottom.

    The axis starts at 0, or where all are high, as it says then, higher. A Share has its interval
    of 95 % (Wilson) and its number of samples, a number has none.

    Args:
        figures: by station, as "float", "integer", "C"; or by arm and then by station, which stand
            beside one another.
        ax: to draw on.

    Raises:
        UsageError: when there is none, or one is no share.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> from lehr.plot import Share
    >>> ax = lehr.plot.accuracy({"float": Share(293, 300), "integer": Share(292, 300)})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['float', 'integer']
    """
    arms = _arms(figures)
    stations = list(dict.fromkeys(name for arm in arms.values() for name in arm))
    lows = [_interval(share)[0] for arm in arms.values() for share in arm.values()]
    first = max(0, 5 * math.floor(20 * (min(lows) - 0.02))) if min(lows) >= 0.5 else 0
    thick = 0.72 / len(arms)
    with drawing(ax, 0.7 + _ROW * len(stations) * max(1.0, 0.7 * len(arms))) as ax:
        for number, (arm, shares) in enumerate(arms.items()):
            offset = (number - (len(arms) - 1) / 2) * thick
            rows = np.array([stations.index(name) for name in shares]) + offset
            values = 100 * np.array([_value(share) for share in shares.values()])
            limits = 100 * np.array([_interval(share) for share in shares.values()])
            ax.barh(rows, values, thick * 0.92, color=colour(number), alpha=0.75, label=arm)
            known = np.array([isinstance(share, Share) for share in shares.values()])
            ax.errorbar(
                values[known],
                rows[known],
                xerr=[(values - limits[:, 0])[known], (limits[:, 1] - values)[known]],
                fmt="none",
                ecolor=INK,
                elinewidth=1,
                capsize=2.5,
            )
            for row, share, high in zip(rows, shares.values(), limits[:, 1], strict=True):
                ax.annotate(
                    _words(share),
                    (high, row),
                    (5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                    annotation_clip=False,
                )
        start = f", axis from {first} %" if first else ""
        ax.set(xlabel=f"test accuracy (%){start}", xlim=(first, 100))
        ax.set_yticks(range(len(stations)), stations)
        ax.tick_params("y", length=0)
        ax.invert_yaxis()
        if len(arms) > 1:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax


def _arms(figures: Stations) -> dict[str, dict[str, Accuracy]]:
    if not figures:
        raise UsageError("no accuracy is given; name a station and its share")
    nested = [isinstance(value, Mapping) for value in figures.values()]
    if any(nested) and not all(nested):
        raise UsageError("some accuracies are of an arm, others of none; give every one an arm")
    given: Any = figures
    arms = {arm: dict(shares) for arm, shares in (given if any(nested) else {"": given}).items()}
    for arm, shares in arms.items():
        if not shares:
            raise UsageError(f"arm {arm!r} has no accuracy; leave it out")
        for name, share in shares.items():
            if isinstance(share, Share) and not 0 <= share.correct <= share.samples > 0:
                raise UsageError(
                    f"{name}: {share.correct} of {share.samples} samples are no share; count those "
                    "that are right"
                )
            if not 0 <= _value(share) <= 1:
                raise UsageError(f"{name}: {share} is no share; give 0 to 1")
    return arms


def _words(share: Accuracy) -> str:
    """Return what stands at a bar: the share, and of how many samples it is."""
    of = f", n = {share.samples:,}" if isinstance(share, Share) else ""
    return f"{100 * _value(share):.2f}{of}"


def _value(share: Accuracy) -> float:
    return share.value if isinstance(share, Share) else float(share)


def _interval(share: Accuracy) -> tuple[float, float]:
    return share.interval if isinstance(share, Share) else (float(share), float(share))
