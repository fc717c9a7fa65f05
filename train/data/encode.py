"""Pixels to spikes: the same image, recipe and seed give the same spikes on every machine.

rate     a spike where the next byte of a generator is below the pixel: with chance pixel/256, in
each step anew latency  one spike for each pixel that is not 0, the brighter the sooner
delta    a delta modulator follows the pixel up from dark in steps of d = ceil(255/T): spikes in the
first pixel // d steps

The generator is numpy's PCG64, seeded by `SeedSequence((seed, split))` with split 0, 1, 2 for
training, validation and test; its raw 64-bit words are used as bytes, lowest first, in the order
sample, step, place. Neither of the two may change with numpy's version.

Source: snnTorch's `spikegen` has the same three ideas in floating point (Eshraghian et al. 2023,
"Training spiking neural networks using lessons from deep learning", section on input encoding).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from lehr.train.data.source import Values

Encoding = Literal["rate", "latency", "delta"]
_WORD = 8


def encode(
    x: Values, encoding: Encoding, steps: int, seed: tuple[int, int], first: int = 0
) -> Values:
    """Turn pixels into spikes.

    Args:
        x: uint8 `[N, *shape]`.
        encoding: how.
        steps: T.
        seed: of rate coding: the recipe's, and the number of the split. More samples do not change
            the spikes of the first.
        first: the number of the first of these samples in the split, a multiple of 8.

    Returns:
        uint8 `[N, T, *shape]` of 0 and 1.
    """
    match encoding:
        case "rate":
            return rate(x, steps, seed, first)
        case "latency":
            return latency(x, steps)
        case "delta":
            return delta(x, steps)


def rate(x: Values, steps: int, seed: tuple[int, int], first: int = 0) -> Values:
    """Spikes by chance, pixel/256 in each step."""
    shape = (len(x), steps, *x.shape[1:])
    count = int(np.prod(shape))
    generator = np.random.PCG64(np.random.SeedSequence(seed))
    generator.advance(first // _WORD * int(np.prod(shape[1:])))
    words = generator.random_raw(-(-count // _WORD))
    drawn = words.astype("<u8").view(np.uint8)[:count].reshape(shape)
    return np.less(drawn, x[:, None]).astype(np.uint8)


def latency(x: Values, steps: int) -> Values:
    """One spike per pixel p > 0, in step floor((255 - p) * T / 255)."""
    first = (255 - x[:, None].astype(np.int64)) * steps // 255
    return np.equal(first, _steps_like(x, steps)).astype(np.uint8)


def delta(x: Values, steps: int) -> Values:
    """Spikes in the first pixel // d steps, d = ceil(255 / T)."""
    height = -(-255 // steps)
    return (_steps_like(x, steps) < x[:, None] // height).astype(np.uint8)


def _steps_like(x: Values, steps: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Numbers of the steps, to be compared with `[N, 1, *shape]`."""
    return np.arange(steps).reshape(1, -1, *[1] * (x.ndim - 1))
