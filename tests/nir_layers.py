"""Layers of float graphs, quantized, and the check that no spike and no membrane differs."""

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
    nir_graph: nir.NIRGraph, x: npt.NDArray[np.uint8], semantics: Semantics = STEP, **options: Any
) -> Quantized:
    """Quantize, and assert that not one spike and membrane differs.

    Every layer that fires has spikes and silences.
    """
    quantized = quantize(from_nir(nir_graph), x, semantics, Options(**options))
    effect = measure(quantized, x)
    for name, layer in effect.layers.items():
        assert layer.spikes_differ == 0, name
        assert layer.membrane_error < 1e-9, name
        if not quantized.network.neurons[name].integrates:
            assert 0 < layer.rate < 1, name
    return quantized


def whole(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    numbers = rng.integers(-2, 4, shape).astype(np.float64)
    numbers.flat[0] = 1
    return numbers
