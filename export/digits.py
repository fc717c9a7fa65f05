"""Binary digits: which sums floating point computes exactly, and not only nearly."""

from __future__ import annotations

import numpy as np

from lehr.export.fold import Float

DOUBLE = np.finfo(np.float64).nmant + 1
"""Binary digits of a number in double precision."""


def digits(*values: Float | float) -> int:
    """Return the most binary digits that a number takes, without zeros at its ends.

    Powers of two take 1, and 0 takes 0.

    Of 1/255, 0.1 or 1/9 double precision holds as many as it has, so that what is added up of them
    is rounded; of float32's 0.1 it holds all 24, and sums up to 2**29 of it exactly.

    Args:
        values: finite numbers.
    """
    numbers = np.concatenate([np.ravel(np.asarray(value, np.float64)) for value in values])
    mantissas = np.ldexp(np.abs(np.frexp(numbers)[0]), DOUBLE).astype(np.int64)
    lowest = np.where(mantissas, mantissas & -mantissas, 1 << DOUBLE)
    return int(DOUBLE - np.log2(lowest.min(initial=1 << DOUBLE)))
