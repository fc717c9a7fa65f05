"""Learned numbers of a layer as the metrics of an epoch have them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mean_and_spread(values: npt.ArrayLike) -> dict[str, float]:
    """Return the mean of numbers, and their standard deviation as `spread`, to six digits."""
    each = np.asarray(values, np.float64)
    return {"mean": round(float(each.mean()), 6), "spread": round(float(each.std()), 6)}
