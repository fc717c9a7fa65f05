"""Layers of float graphs that are quantized, and the check that not one spike and membrane differs."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import numpy.typing as npt
from nir_graphs import DT

from lehr.export.effect import measure
from lehr.export.nirgraph import Options, Quantized, Semantics, from_nir, quantize

STEP = Semantics(integrate="step", dt=DT)


def spikes(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.uint8]:
    return (rng.random((6, 12, *shape)) < 0.3).astype(np.uint8)


def integrate(*shape: int, threshold: float = 2.0) -> nir.IF:
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, threshold))


def same(
    told: nir.NIRGraph, x: npt.NDArray[np.uint8], how: Semantics = STEP, **options: Any
) -> Quantized:
    """Quantize; require that not one spike and membrane differs, and that there are spikes and silences in every layer that fires."""
    made = quantize(from_nir(told), x, how, Options(**options))
    effect = measure(made, x)
    for name, layer in effect.layers.items():
        assert layer.spikes_differ == 0, name
        assert layer.membrane_error < 1e-9, name
        if not made.network.neurons[name].integrates:
            assert 0 < layer.rate < 1, name
    return made


def whole(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    made = rng.integers(-2, 4, shape).astype(np.float64)
    made.flat[0] = 1
    return made
