"""Float graphs of NIR stepped in double precision, from what `nir.read` gives alone: the right values for files of other importers."""

from __future__ import annotations

import io
from collections import deque
from graphlib import TopologicalSorter
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Floats = npt.NDArray[np.float64]


def read_bytes(file: bytes) -> Any:
    """The graph that a file holds."""
    buffer: Any = io.BytesIO(file)
    return nir.read(buffer, type_check=False)


def euler(graph: Any, x: npt.NDArray[np.uint8], dt: float) -> dict[str, Floats]:
    """What every node puts out in every step, `[T, *shape]`, for inputs `[T, *shape]`: spikes of neurons, membranes of integrators.

    The equations are those of NIR's documentation, in forward Euler steps, the current before the
    membrane; an edge that closes a cycle carries the value of the step before.
    """
    sources = {name: sorted(a for a, b in graph.edges if b == name) for name in graph.nodes}
    back = _back_edges(graph, sources)
    order = tuple(
        TopologicalSorter(
            {b: [a for a in into if (a, b) not in back] for b, into in sources.items()}
        ).static_order()
    )
    state: dict[str, Any] = {}
    value: dict[str, Any] = dict.fromkeys(graph.nodes, 0.0)
    out: dict[str, list[Floats]] = {name: [] for name in graph.nodes}
    for now in x.astype(np.float64):
        before = dict(value)
        for name in order:
            arriving = (
                now
                if name == "input"
                else sum((before if (a, name) in back else value)[a] for a in sources[name])
            )
            value[name] = _step(graph.nodes[name], np.asarray(arriving), state, name, dt)
            out[name].append(value[name])
    return {name: np.stack(each) for name, each in out.items()}


def _back_edges(graph: Any, sources: dict[str, list[str]]) -> set[tuple[str, str]]:
    """Edges within a cycle that do not lead further from the input."""
    rank, queue = {"input": 0}, deque(["input"])
    while queue:
        here = queue.popleft()
        for name, into in sources.items():
            if here in into and name not in rank:
                rank[name] = rank[here] + 1
                queue.append(name)

    def before(name: str, seen: set[str]) -> set[str]:
        for source in sources[name]:
            if source not in seen:
                seen.add(source)
                before(source, seen)
        return seen

    return {(a, b) for a, b in graph.edges if rank[b] <= rank[a] and b in before(a, {a})}


def _step(node: Any, x: Floats, state: dict[str, Any], name: str, dt: float) -> Any:
    kind = type(node).__name__
    match kind:
        case "Affine":
            return np.asarray(node.weight, np.float64) @ x + node.bias
        case "Conv2d":
            weight, bias = (
                torch.from_numpy(np.asarray(each, np.float64)) for each in (node.weight, node.bias)
            )
            stride, padding, dilation = (
                tuple(int(v) for v in each) for each in (node.stride, node.padding, node.dilation)
            )
            made: Any = functional.conv2d(
                torch.from_numpy(x[None]), weight, bias, stride, padding, dilation, int(node.groups)
            )
            return made[0].numpy()
        case "SumPool2d":
            kernel, stride, padding = (
                tuple(int(v) for v in each)
                for each in (node.kernel_size, node.stride, node.padding)
            )
            return functional.avg_pool2d(
                torch.from_numpy(x[None]), kernel, stride, padding, divisor_override=1
            )[0].numpy()
        case "Flatten":
            return x.ravel()
        case "Delay":
            line = state.setdefault(
                name, deque([np.zeros_like(x)] * round(float(node.delay.flat[0]) / dt))
            )
            line.append(x)
            return line.popleft()
        case "Input" | "Output":
            return x
    v, current = state.get(name, (np.zeros_like(x), np.zeros_like(x)))
    if hasattr(node, "tau_syn"):
        current = current + dt / node.tau_syn * (node.w_in * x - current)
        x = current
    if hasattr(node, "v_leak"):
        tau: Any = node.tau if hasattr(node, "tau") else node.tau_mem
        v = v + dt / tau * (node.v_leak - v + node.r * x)
    else:
        v = v + dt * node.r * x
    if not hasattr(node, "v_threshold"):
        state[name] = (v, current)
        return v
    spikes = (v > node.v_threshold).astype(np.float64)
    state[name] = (np.where(spikes, node.v_reset, v), current)
    return spikes


def subtracting(
    graph: Any, x: npt.NDArray[np.uint8], dt: float, drives_first: bool
) -> dict[str, Floats]:
    """Of a chain of weights and neurons: as many spikes as the membrane holds thresholds, and all of them taken off it.

    Decays are exp(-dt/tau). With `drives_first`, a synapse state takes its input before it decays,
    and the fields r and w_in mean nothing, as in Rockpool; else LIF and IF are those of sinabs, to
    which r means nothing either.
    """
    following = dict(graph.edges)
    state: dict[str, Any] = {}
    out: dict[str, list[Floats]] = {}
    for now in x.astype(np.float64):
        name, here = following["input"], now
        while name != "output":
            node = graph.nodes[name]
            if type(node).__name__ == "Affine":
                here = np.asarray(node.weight, np.float64) @ here + node.bias
            else:
                v, current = state.get(name, (np.zeros_like(here), np.zeros_like(here)))
                if drives_first:
                    current = (current + here) * np.exp(-dt / node.tau_syn)
                    here = current
                v = v * np.exp(-dt / getattr(node, "tau_mem", getattr(node, "tau", np.inf))) + here
                here = np.where(v > 0, np.floor(v / node.v_threshold), 0.0)
                state[name] = (v - here * node.v_threshold, current)
                out.setdefault(name, []).append(here)
            name = following[name]
    return {name: np.stack(each) for name, each in out.items()}
