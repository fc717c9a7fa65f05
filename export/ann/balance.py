"""The activation that a layer's spikes stand for, found on calibration data.

Diehl et al. 2015, "Fast-classifying, high-accuracy spiking deep networks through weight and
threshold balancing", take the greatest activation of a layer; Rueckauer et al. 2017, "Conversion of
continuous-valued deep networks to efficient event-driven networks for image classification", take a
percentile of it, because one outlier makes all other rates small.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable, UsageError
from lehr.export.ann.reading import Ann
from lehr.export.fold import Float

VALUES = 2**24
"""Activations of a layer that are looked at, about, evenly spread over the samples."""


def check_percentile(percentile: float) -> None:
    """Raise UsageError unless `percentile` is one that is above 0."""
    if not 0 < percentile <= 100:
        raise UsageError(f"--percentile is {percentile:g}; use one above 0, up to 100")


def greatest_activations(ann: Ann, x: npt.NDArray[np.uint8], percentile: float) -> dict[str, float]:
    """Return the percentile of the activations above 0 of each ReLU, by name.

    Args:
        ann: the network.
        x: calibration data, uint8 `[N, *shape]`.
        percentile: 100 for the greatest.

    Raises:
        NotMappable: when a ReLU gives nothing on these data.
    """
    kept: defaultdict[str, list[Float]] = defaultdict(list)
    for activations in ann.activations(x):
        for name in ann.rectifiers:
            values = activations[name].numpy().ravel()
            each = max(1, math.ceil(values.size * (len(x) / len(activations[name])) / VALUES))
            kept[name].append(values[values > 0][::each])
    scales = {}
    for name, parts in kept.items():
        values = np.concatenate(parts)
        if not values.size:
            raise NotMappable(
                f"{name}: it gives 0 on all {len(x):,} calibration samples, so that nothing says "
                "what a spike of it stands for; give other samples, or train the model again"
            )
        scales[name] = float(np.percentile(values, percentile))
    return scales
