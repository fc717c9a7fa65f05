"""Random float graphs and snnTorch models with real thresholds, biases and decays, and gains of all sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from hypothesis import strategies as st
from nir_graphs import graph
from torch import nn
from torch_models import dyadic

from lehr.export.nirgraph import Semantics

Float = npt.NDArray[np.float64]
DT = 1e-3


@dataclass(frozen=True)
class FloatGraph:
    """One layer of neurons in NIR, and what it is in numpy.

    Attributes:
        told: the graph, whose layer of neurons is `n`.
        how: what NIR leaves open.
        x: input, uint8 `[N, T, *shape]`.
        theta, offset, gain: of the layer in one step, by channel: threshold, what its biases add,
            and what its weights are multiplied with.
        decays: of the membrane, and of the synapse where there is one.
        weight: real, outputs first; of a recurrent layer with those that come back beside it.
    """

    told: nir.NIRGraph
    how: Semantics
    x: npt.NDArray[np.uint8]
    theta: Float
    offset: Float
    gain: Float
    decays: tuple[float, ...]
    weight: Float


@st.composite
def float_graphs(draw: st.DrawFn, *, levels: bool = False) -> FloatGraph:
    """Graphs of all kinds of neurons; with `levels` their weights are whole numbers times a step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["IF", "LIF", "CubaLIF", "recurrent LIF", "conv LIF"]))
    size, channels = 3, int(rng.integers(2, 5))
    shape = (channels, size, size) if kind == "conv LIF" else (channels,)
    weight = rng.normal(0, 1, (channels, 2, 3, 3) if len(shape) == 3 else (channels, 6))
    back = (
        rng.normal(0, 0.3, (channels, channels))
        if kind == "recurrent LIF"
        else np.zeros((channels, 0))
    )
    if levels:
        weight = np.where(rng.random(weight.shape) < 0.5, -0.75, 0.75)
        back = np.where(rng.random(back.shape) < 0.5, -0.75, 0.75)
    for row in np.flatnonzero(rng.random(channels) < 0.3):  # silent, or as good as that, or weak
        small = rng.choice([0.0, 10.0 ** -rng.integers(1, 30)])
        weight[row] *= small
        back[row] *= small
    bias = rng.normal(0, 0.3, channels)
    theta = 10.0 ** rng.uniform(-1, 1, channels)
    beta, alpha = 1 - 10.0 ** rng.uniform(-1.5, -0.1), 1 - 10.0 ** rng.uniform(-1, -0.1)
    ones = np.ones(shape)
    spread = np.broadcast_to(theta.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
    tau = DT / (1 - beta)
    gain, decays = 1.0, [beta]
    cells: nir.NIRNode
    match kind:
        case "IF":
            cells, decays = nir.IF(r=ones, v_threshold=spread), [1.0]
        case "CubaLIF":
            tau_syn, decays = ones * DT / (1 - alpha), [beta, alpha]
            cells = nir.CubaLIF(tau_syn, ones * tau, 3 * ones, 0 * ones, spread, w_in=2 * ones)
            gain = 3 * (1 - beta) * 2 * (1 - alpha)
        case _:
            cells, gain = (
                nir.LIF(tau=ones * tau, r=ones * 3, v_leak=0 * ones, v_threshold=spread),
                3 * (1 - beta),
            )
    names: dict[str, Any] = {"w": nir.Affine(weight, bias), "n": cells}
    if len(shape) == 3:
        names["w"] = nir.Conv2d((size, size), weight, 1, 1, 1, 1, bias)
    edges = [("input", "w"), ("w", "n"), ("n", "output")]
    if back.size:
        names["back"] = nir.Linear(back)
        edges += [("n", "back"), ("back", "n")]
    inputs = (2, size, size) if len(shape) == 3 else (6,)
    reset: Any = draw(st.sampled_from(["zero", "subtract"]))
    timing: Any = draw(st.sampled_from(["same_step", "next_step"]))
    how = Semantics(dt=DT, reset=reset, reset_timing=timing, integrate="step")
    x = (rng.random((3, draw(st.integers(2, 25)), *inputs)) < 0.4).astype(np.uint8)
    rows = np.concatenate([weight.reshape(channels, -1), back], axis=1)
    return FloatGraph(
        graph(names, edges, inputs, shape),
        how,
        x,
        theta,
        gain * bias,
        np.full(channels, gain),
        tuple(decays),
        rows,
    )


@st.composite
def float_models(draw: st.DrawFn) -> tuple[nn.Module, npt.NDArray[np.uint8]]:
    """Models with a batch norm, some of whose gains are 0 or nearly 0, and samples."""
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind = draw(st.sampled_from(["Leaky", "Synaptic", "RLeaky", "conv"]))
    channels, steps = int(rng.integers(2, 5)), int(rng.integers(2, 25))
    before: list[Any] = [dyadic(nn.Linear(6, channels, bias=False), 1.0), nn.BatchNorm1d(channels)]
    if kind == "conv":
        before = [dyadic(nn.Conv2d(2, channels, 3, bias=False), 1.0), nn.BatchNorm2d(channels)]
    gains = rng.uniform(0.3, 2, channels) * rng.choice([-1, 1], channels)
    weak = rng.random(channels) < 0.4
    gains[weak] *= rng.choice([0.0, 1.0], weak.sum()) * 10.0 ** -rng.uniform(1, 44, weak.sum())
    norm = before[1]
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gains))
        norm.bias.copy_(torch.tensor(rng.normal(0.3, 0.5, channels)))
    how: dict[str, Any] = {
        "beta": float(rng.uniform(0.2, 0.97)),
        "threshold": float(rng.uniform(0.3, 2)),
        "init_hidden": True,
    }
    neuron: Any
    match kind:
        case "Synaptic":
            neuron = snn.Synaptic(alpha=float(rng.uniform(0.2, 0.9)), **how)
        # recurrent weights in the unit of the input's, which the norm leaves as it is
        case "RLeaky":
            norm.eps = 0.0
            with torch.no_grad():
                norm.weight.copy_(torch.where(torch.tensor(weak), 0.0, 1.0))
            neuron = snn.RLeaky(linear_features=channels, **how)
            dyadic(neuron.recurrent, 1.0)
        case _:
            neuron = snn.Leaky(**how)
    shape = (2, 6, 6) if kind == "conv" else (6,)
    return nn.Sequential(*before, neuron), (rng.random((3, steps, *shape)) < 0.4).astype(np.uint8)
