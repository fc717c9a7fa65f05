"""Bands of a sound, as a cochlea parts it: how loud each of them is, sample by sample.

A bank of bandpass filters, whose edges lie evenly on the scale of equivalent rectangular bandwidths
E(f) = 21.4 log10(1 + 0.00437 f), f in hertz; what each passes is rectified and leaks away:

    y[t] = a y[t - 1] + (1 - a) max(0, x[t]),   a = exp(-1 / (rate * 5 ms)),   y[-1] = 0

Sources: Glasberg & Moore 1990, "Derivation of auditory filter shapes from notched-noise data",
equation 4, for the scale; Slaney 1993, "An efficient implementation of the Patterson-Holdsworth
auditory filter bank", for filters spaced by it. The filters here are Butterworth's, not gammatones.
"""

from __future__ import annotations

import math

import numpy as np

from lehr.extras import needed_by
from lehr.sequences.wav import Floats

ORDER = 2
"""Of the lowpass that each bandpass is made of, as `scipy.signal.butter` counts it."""
LEAK_MS = 5.0
HIGHEST_SHARE = 0.45
"""Of the sampling rate: the uppermost edge where a recipe says none."""


def band_edges(bands: int, lowest_hz: float, highest_hz: float) -> Floats:
    """Return the edges of the bands in hertz, float64 `[bands + 1]`, evenly on E(f)."""
    first, last = (21.4 * math.log10(1 + 0.00437 * hertz) for hertz in (lowest_hz, highest_hz))
    edges = (10.0 ** (np.linspace(first, last, bands + 1) / 21.4) - 1) / 0.00437
    edges[0], edges[-1] = lowest_hz, highest_hz
    return edges


def band_envelopes(values: Floats, rate: int, edges: Floats) -> Floats:
    """Return how loud each band is, float64 `[T, channels * bands]`.

    Band b of channel c is column c * bands + b.

    Args:
        values: `[T, channels]`.
        rate: of the samples, in hertz; twice the last edge is below it.
        edges: of the bands, in hertz, rising.

    Raises:
        ToolMissing: when scipy is not installed.
    """
    with needed_by("parting a sound into bands"):
        from scipy.signal import butter, lfilter, sosfilt
    kept = math.exp(-1000 / (rate * LEAK_MS))
    bands = len(edges) - 1
    envelopes = np.empty((len(values), values.shape[1], bands))
    for band in range(bands):
        sections = butter(ORDER, edges[band : band + 2], "bandpass", fs=rate, output="sos")
        passed = np.maximum(sosfilt(sections, values, axis=0), 0)
        envelopes[:, :, band] = lfilter([1 - kept], [1, -kept], passed, axis=0)
    return envelopes.reshape(len(values), -1)
