"""Means and differences with 95 % intervals, of few runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from scipy import stats

CONFIDENCE = 0.95


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean of values and how far Student's 95 % interval reaches to either side.

    A single value has no interval: None.
    """
    runs = len(values)
    if runs < 2:
        return mean(values), None
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, runs - 1)
    return mean(values), float(reach) * stdev(values) / sqrt(runs)


def spread(values: Sequence[float], unit: str = "", sign: str = "") -> str:
    """Write the mean of values with its interval, as `97.33 +- 0.51 %`.

    Args:
        values: of the runs, at least one.
        unit: written behind.
        sign: `+` writes the sign of a mean that is not negative, too.
    """
    centre, reach = interval(values)
    return f"{centre:{sign}.2f}{'' if reach is None else f' +- {reach:.2f}'}{unit}"
