"""The embedded data set: 1,797 real handwritten digits of 8x8 pixels, from scikit-learn.

Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (its test part).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SPLIT_SEED = 0
TRAIN, VALIDATION = 1197, 300


def load_digits() -> tuple[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]], tuple[int, int]]:
    """Return all images, shuffled once by a fixed seed, and where to cut them.

    They are cut into train, validation and test.

    Returns:
        Images uint8 `[1797, 1, 8, 8]`, whose grey levels 0..16 are spread over 0..255; labels int64
        `[1797]`; the two cuts.
    """
    from sklearn.datasets import load_digits as load

    bunch: Any = load()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(bunch.target))
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[order, None]
    return (images, bunch.target.astype(np.int64)[order]), (TRAIN, TRAIN + VALIDATION)
