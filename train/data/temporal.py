"""The input of the temporal task: one pattern of Poisson spikes.

Its label is the step at which the output is to fire.

Source: Eshraghian & Lu 2022, section on temporal coding: 100 channels, 100 steps, each with a
chance of its own, drawn evenly from 0..1, and a spike at step 75. Nothing is to be generalised:
training, validation and test hold the same sample.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lehr.train.data.source import Sources, in_memory
from lehr.train.recipe import DataRecipe

CHANNELS = 100
SPIKE = 0.75
"""Where the output is to fire, as a share of the steps."""


def load_temporal(recipe: DataRecipe, folder: Path | None) -> Sources:  # noqa: ARG001
    """Draw the pattern from `data.seed`.

    By the raw bytes of numpy's PCG64, those of the chances first: a spike where the other is below.
    """
    assert recipe.steps is not None
    words = np.random.PCG64(recipe.seed).random_raw(-(-2 * recipe.steps * CHANNELS // 8))
    chance, drawn = (
        words.astype("<u8")
        .view(np.uint8)[: 2 * recipe.steps * CHANNELS]
        .reshape(2, 1, recipe.steps, CHANNELS)
    )
    sample = in_memory(
        (drawn < chance).astype(np.uint8), np.array([int(SPIKE * recipe.steps)], np.int64)
    )
    return Sources(sample, sample, 1, sample, "spikes", recipe.steps)
