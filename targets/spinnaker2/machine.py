"""Model of the machine, our own: py-spinnaker2's conversion of a NIR graph, neurons in float32.

It knows nothing of lehr's networks. The conversion is that of `convert_IF`, `convert_LIF`,
`create_projection` and `get_conv2d_params` in py-spinnaker2's s2_nir.py: in double precision,
kernels truncated to int8; parameters then go to the processing element as float32. A neuron there
does

    v = alpha v + input
    v > threshold: a spike, and v = v - threshold or v = 0
    v is recorded

and a spike arrives one step after it left. The model of the machine's makers, its Brian 2 back end,
does the same; neither it nor the machine can be had here, so that agreement with this model shows
the artefact's numbers right, not the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
WEIGHTS = ("Linear", "Affine", "Conv2d")
NEURONS = ("IF", "LIF")


@dataclass(frozen=True)
class Population:
    """Neurons as they are sent to processing elements, each parameter `[*shape]` in float32."""

    shape: tuple[int, ...]
    threshold: Float32
    alpha: Float32
    offset: Float32
    to_zero: bool

    def step(self, v: Float32, summed: Array) -> tuple[Float32, Float32]:
        """Spikes and membranes after a step, for integer sums `[N, *shape]`."""
        v = v * self.alpha + summed.astype(np.float32) + self.offset
        fired = (v > self.threshold).astype(np.float32)
        return fired, np.where(
            fired > 0, np.float32(0), v
        ) if self.to_zero else v - self.threshold * fired


class Machine:
    """A converted graph."""

    def __init__(
        self,
        nodes: Mapping[str, Mapping[str, Any]],
        edges: list[tuple[str, str]],
        conversion: Mapping[str, Any],
    ) -> None:
        """Convert a graph.

        Args:
            nodes: by name, the fields of NIR's nodes and `type`.
            edges: of the graph.
            conversion: the fields of `ConversionConfig`.

        Raises:
            ValueError: for a node, an edge or a setting that the conversion does not take.
        """
        if (
            conversion["integrator"] != "FORWARD"
            or conversion["scale_weights"]
            or conversion["conn_delay"]
        ):
            raise ValueError(
                "settings are others than forward Euler, unscaled weights and no delay"
            )
        self.nodes = nodes
        self.sources: dict[str, list[str]] = {}
        for source, target in edges:
            self.sources.setdefault(target, []).append(source)
        self.populations = {
            name: self._population(name, conversion)
            for name in nodes
            if self._kind(name) in NEURONS
        }
        self.input_shape = tuple(int(size) for size in np.asarray(nodes["input"]["shape"]))

    def _kind(self, name: str) -> str:
        kind = self.nodes[name]["type"]
        return kind.decode() if isinstance(kind, bytes) else str(kind)

    def _population(self, name: str, conversion: Mapping[str, Any]) -> Population:
        node, dt = self.nodes[name], float(conversion["dt"])
        r, level = np.asarray(node["r"], np.float64), np.asarray(node["v_threshold"], np.float64)
        if self._kind(name) == "LIF":
            tau = np.asarray(node["tau"], np.float64)
            factor, alpha = (dt / tau) * r, 1 - dt / tau
            offset = (dt / tau) * np.asarray(node["v_leak"], np.float64) / factor
        else:
            factor, alpha, offset = r, np.ones_like(r), np.zeros_like(r)
        for source in self.sources[name]:
            bias = self.nodes[source].get("bias")
            if bias is not None:
                wide = np.asarray(bias, np.float64).reshape(-1, *[1] * (level.ndim - 1))
                offset = offset + wide
        sent = [
            np.broadcast_to(value, level.shape).astype(np.float32)
            for value in (level / factor, alpha, offset)
        ]
        return Population(level.shape, sent[0], sent[1], sent[2], conversion["reset"] == "ZERO")

    def _sums(self, name: str, spikes: Mapping[str, Array]) -> Array:
        """Return what a node gives, int64 `[N, ...]`, for the spikes of the step before."""
        kind = self._kind(name)
        if kind in NEURONS or kind == "Input":
            return spikes[name]
        node, total = (
            self.nodes[name],
            sum(self._sums(source, spikes) for source in self.sources[name]),
        )
        assert isinstance(total, np.ndarray)
        if kind == "SumPool2d":
            rows, columns = (int(size) for size in np.asarray(node["kernel_size"]))
            seen = sliding_window_view(total, (rows, columns), axis=(2, 3))[:, :, ::rows, ::columns]
            pooled: Array = seen.sum(axis=(4, 5))
            return pooled
        if kind == "Flatten":
            return total.reshape(len(total), -1)
        weight = np.asarray(node["weight"], np.float64)
        if kind == "Conv2d":
            return _convolved(total, weight.astype(np.int8).astype(np.int64), node)
        if kind in WEIGHTS:
            return total.reshape(len(total), -1) @ np.round(weight).astype(np.int64).T
        raise ValueError(f"node {name} is a {kind}, which the conversion does not take")

    def run(self, x: Array) -> tuple[dict[str, Array], dict[str, Float32]]:
        """Return spikes and membranes of every population, `[N, T, *shape]`, for input spikes.

        These are `[N, T, *shape]`, too.
        """
        samples, steps = x.shape[:2]
        spikes: dict[str, Array] = {"input": np.zeros((samples, *self.input_shape), np.int64)}
        v = {
            name: np.zeros((samples, *p.shape), np.float32) for name, p in self.populations.items()
        }
        spikes |= {
            name: np.zeros((samples, *p.shape), np.int64) for name, p in self.populations.items()
        }
        fired, kept = (
            {
                name: np.zeros((samples, steps, *p.shape), np.float32)
                for name, p in self.populations.items()
            }
            for _ in range(2)
        )
        for t in range(steps):
            sums = {
                name: sum(self._sums(s, spikes) for s in self.sources[name])
                for name in self.populations
            }
            for name, population in self.populations.items():
                fired[name][:, t], v[name] = population.step(
                    v[name], np.asarray(sums[name]).reshape(v[name].shape)
                )
                kept[name][:, t] = v[name]
                spikes[name] = fired[name][:, t].astype(np.int64)
            spikes["input"] = x[:, t].astype(np.int64)
        return {name: value.astype(np.uint8) for name, value in fired.items()}, kept


def _convolved(x: Array, kernel: Array, node: Mapping[str, Any]) -> Array:
    """Cross-correlation of `[N, in, rows, columns]`."""
    stride, padding = (
        tuple(int(size) for size in np.asarray(node[name])) for name in ("stride", "padding")
    )
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    seen = sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))[
        :, :, :: stride[0], :: stride[1]
    ]
    summed: Array = np.einsum("nirckl,oikl->norc", seen, kernel)
    return summed
