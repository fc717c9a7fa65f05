"""Growing strides: bounds that do not settle are brought to ones that hold for ever."""

from __future__ import annotations

import numpy as np

from lehr.analysis.rows import HIGH, LOW, REACH
from lehr.arithmetic import Int64

_BITS = (4, 7, 8, 10, 12, 15, 16, 20, 24, 28, 31, 32, 36, 40, 48)
_ABOVE = np.array([0, *((1 << bits) - 1 for bits in _BITS), REACH])
_BELOW = np.array([0, *(1 << bits for bits in _BITS), REACH])


def strides(before: Int64, after: Int64, at_once: bool) -> Int64:
    """Move every bound of `after` beyond that of `before` to the next stop.

    With `at_once` it goes to the last stop.
    """
    low, high = after[..., LOW, :], after[..., HIGH, :]
    if at_once:
        down, up = np.full_like(low, -REACH), np.full_like(high, REACH)
    else:
        down = -_BELOW[np.searchsorted(_BELOW, np.clip(-low, 0, REACH))]
        up = _ABOVE[np.searchsorted(_ABOVE, np.clip(high, 0, REACH))]
    grown = np.stack(
        [
            np.where(low < before[..., LOW, :], down, low),
            np.where(high > before[..., HIGH, :], up, high),
        ],
        axis=-2,
    )
    return np.asarray(grown, np.int64)
