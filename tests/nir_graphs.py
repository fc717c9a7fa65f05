"""Graphs of NIR as other tools write them, and norse-like neurons in plain floating point to compare with."""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
DT = 1e-4


def graph(
    nodes: dict[str, Any],
    edges: list[tuple[str, str]],
    shape: tuple[int, ...],
    out: tuple[int, ...],
    **metadata: Any,
) -> nir.NIRGraph:
    """A graph with an input and an output, whose types are not looked at."""
    ends = {
        "input": nir.Input({"input": np.array(shape)}),
        "output": nir.Output({"output": np.array(out)}),
    }
    return nir.NIRGraph({**ends, **nodes}, edges, metadata, type_check=False)


def chain(
    nodes: dict[str, Any], shape: tuple[int, ...], out: tuple[int, ...], **metadata: Any
) -> nir.NIRGraph:
    """Nodes one after another."""
    names = ["input", *nodes, "output"]
    return graph(nodes, list(itertools.pairwise(names)), shape, out, **metadata)


def lif(
    size: int | tuple[int, ...], tau: float = 2.5e-3, threshold: float = 0.1, **other: float
) -> nir.LIF:
    """A layer of LIF neurons."""
    told = {"r": 1.0, "v_leak": 0.0, "v_reset": 0.0, **other}
    spread: dict[str, Any] = {name: np.full(size, value) for name, value in told.items()}
    return nir.LIF(tau=np.full(size, tau), v_threshold=np.full(size, threshold), **spread)


def cubalif(size: int, tau_syn: float, tau_mem: float, threshold: float = 1.0) -> nir.CubaLIF:
    """A layer of CubaLIF neurons with gains of 1 in a step, as snnTorch exports them."""
    full = np.full
    return nir.CubaLIF(
        tau_syn=full(size, tau_syn),
        tau_mem=full(size, tau_mem),
        r=full(size, tau_mem / DT),
        v_leak=np.zeros(size),
        v_threshold=full(size, threshold),
        w_in=full(size, tau_syn / DT),
    )


class Cuba:
    """A CubaLIF layer stepped by forward Euler: the membrane takes the current of this step, and is set to 0 at a spike."""

    def __init__(self, node: nir.CubaLIF, samples: int) -> None:
        self.node = node
        self.i = self.v = np.zeros((samples, *node.v_threshold.shape))

    def __call__(self, x: Float) -> Float:
        n = self.node
        self.i = self.i + DT / n.tau_syn * (n.w_in * x - self.i)
        v = self.v + DT / n.tau_mem * (n.v_leak - self.v + n.r * self.i)
        spikes = (v > n.v_threshold).astype(np.float64)
        self.v = v * (1 - spikes)
        return np.asarray(spikes, np.float64)


def braille(
    rng: np.random.Generator,
    inputs: int = 12,
    hidden: int = 38,
    classes: int = 7,
    *,
    nested: bool = True,
) -> nir.NIRGraph:
    """A recurrent net like the NIR paper's Braille nets: CubaLIF, its spikes back through Affine, in a subgraph or beside it."""
    fc1 = nir.Affine(rng.normal(0, 0.4, (hidden, inputs)), rng.normal(0, 0.05, hidden))
    recurrent = nir.Affine(rng.normal(0, 0.15, (hidden, hidden)), rng.normal(0, 0.05, hidden))
    fc2 = nir.Affine(rng.normal(0, 0.4, (classes, hidden)), rng.normal(0, 0.05, classes))
    first, last = cubalif(hidden, 2.2222222e-4, 1e-3), cubalif(classes, 2e-4, 4e-4)
    tail = [("fc2", "lif2"), ("lif2", "output"), ("input", "fc1")]
    if not nested:
        loop = [
            ("fc1", "lif1.lif"),
            ("lif1.lif", "lif1.w_rec"),
            ("lif1.w_rec", "lif1.lif"),
            ("lif1.lif", "fc2"),
        ]
        nodes = {"fc1": fc1, "lif1.lif": first, "lif1.w_rec": recurrent, "fc2": fc2, "lif2": last}
        return graph(nodes, [*loop, *tail], (inputs,), (classes,))
    inner = graph(
        {"lif": first, "w_rec": recurrent},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        (hidden,),
        (hidden,),
    )
    return graph(
        {"fc1": fc1, "lif1": inner, "fc2": fc2, "lif2": last},
        [("fc1", "lif1"), ("lif1", "fc2"), *tail],
        (inputs,),
        (classes,),
    )


def run_braille(made: nir.NIRGraph, x: npt.NDArray[np.uint8]) -> tuple[Float, Float]:
    """Spikes `[N, T, neurons]` of both layers of a nested `braille`, in floating point written here alone."""
    n: Any = made.nodes
    first, last = Cuba(n["lif1"].nodes["lif"], len(x)), Cuba(n["lif2"], len(x))
    fc1, recurrent, fc2 = n["fc1"], n["lif1"].nodes["w_rec"], n["fc2"]
    spikes, hidden, out = np.zeros((len(x), len(fc1.bias))), [], []
    for t in range(x.shape[1]):
        spikes = first(
            x[:, t] @ fc1.weight.T + fc1.bias + spikes @ recurrent.weight.T + recurrent.bias
        )
        hidden.append(spikes)
        out.append(last(spikes @ fc2.weight.T + fc2.bias))
    return np.stack(hidden, 1), np.stack(out, 1)


def nmnist_like(rng: np.random.Generator, size: int = 10, classes: int = 4) -> nir.NIRGraph:
    """A convolutional net like the NIR paper's N-MNIST net, smaller: IF with r = 1, sums over 2x2, numbers for names."""
    half, quarter = size // 2, size // 4

    def integrate(*shape: int) -> nir.IF:
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape))

    def conv(outs: int, ins: int, stride: int, at: int) -> nir.Conv2d:
        return nir.Conv2d(
            (at, at), rng.normal(0.05, 0.35, (outs, ins, 3, 3)), stride, 1, 1, 1, np.zeros(outs)
        )

    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([6, quarter, quarter])}, 0, -1)
    layers = [
        conv(4, 2, 2, size),
        integrate(4, half, half),
        conv(6, 4, 1, half),
        integrate(6, half, half),
        pool,
        flat,
        nir.Affine(rng.normal(0.02, 0.3, (classes, 6 * quarter * quarter)), np.zeros(classes)),
        integrate(classes),
    ]
    return chain({str(i): layer for i, layer in enumerate(layers)}, (2, size, size), (classes,))


def run_nmnist_like(made: nir.NIRGraph, x: npt.NDArray[np.uint8]) -> list[Float]:
    """Spikes of the three IF layers, `[N, T, *shape]`, in floating point written here alone with torch's convolution."""
    import torch
    from torch.nn import functional

    n: Any = made.nodes
    conv = [(torch.from_numpy(n[k].weight), n[k].stride, n[k].padding) for k in ("0", "2")]
    membranes = [
        torch.zeros(len(x), *n[k].v_threshold.shape, dtype=torch.float64) for k in ("1", "3", "7")
    ]
    out: list[list[Float]] = [[], [], []]

    def fire(k: int, current: Any) -> Any:
        v = membranes[k] + current
        s = (v > 1).double()
        membranes[k] = v - s
        out[k].append(s.numpy())
        return s

    for t in range(x.shape[1]):
        s = fire(
            0,
            functional.conv2d(
                torch.from_numpy(x[:, t]).double(), conv[0][0], None, conv[0][1], conv[0][2]
            ),
        )
        s = fire(1, functional.conv2d(s, conv[1][0], None, conv[1][1], conv[1][2]))
        s = functional.avg_pool2d(s, 2) * 4
        fire(2, s.flatten(1) @ torch.from_numpy(n["6"].weight).T)
    return [np.stack(each, 1) for each in out]
