"""Measurement of what making integers of a float graph changed.

Graph and network run on the same samples, and are compared layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.export.fold import Float
from lehr.export.nirgraph import Quantized, run
from lehr.network import Network
from lehr.simulate.reference import simulate
from lehr.simulate.result import Result

VALUES = 2**24
"""Membranes held at a time, in all layers together."""

_MEANS = ("float_rate", "rate", "rate_error", "spikes_differ", "membrane_error")


@dataclass(frozen=True)
class LayerEffect:
    """One layer of neurons, over all samples and steps.

    Attributes:
        float_rate, rate: spikes per neuron and step, of the graph and of the network.
        rate_error: mean distance between the two rates of a neuron on a sample.
        spikes_differ: share of neurons and steps in which one spikes and the other does not.
        spikes_apart: in how many they do.
        membrane_error: mean distance of the membranes, in thresholds; in the graph's units where
            nothing fires.
        saturations: how often a membrane or a synapse state left its width.
        weight_error, threshold_error, decay_error: as `lehr.export.nirgraph.quantize.Layer` says.
    """

    float_rate: float
    rate: float
    rate_error: float
    spikes_differ: float
    spikes_apart: int
    membrane_error: float
    saturations: int
    weight_error: float
    threshold_error: float
    decay_error: float


@dataclass(frozen=True)
class Effect:
    """Effect of quantization on some samples.

    Attributes:
        layers: by name.
        samples: how many were run.
        float_prediction, prediction: int64 `[N]`, of the graph and of the network.
        float_scores: of the graph, float64 `[N, classes]`, as the readout says.
        result: of the network, without its trace.
        warnings: layers that say nothing on these samples, in sentences.
    """

    layers: Mapping[str, LayerEffect]
    samples: int
    float_prediction: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.int64]
    float_scores: Float
    result: Result
    warnings: tuple[str, ...]

    def accuracies(self, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
        """Return the shares of samples that the graph, and the network, predict as labelled."""
        wanted = labels[: self.samples]
        return float((self.float_prediction == wanted).mean()), float(
            (self.prediction == wanted).mean()
        )


def measure(
    quantized: Quantized, x: npt.NDArray[np.uint8], network: Network | None = None
) -> Effect:
    """Run graph and network on samples and compare them.

    Args:
        quantized: from `lehr.export.nirgraph.quantize`.
        x: uint8 `[N, T, *shape]`, or `[N, *shape]`, held.
        network: in place of `quantized.network`, one that was read back from a file.

    Raises:
        UsageError: when there are no samples.
        FileRefused: when the samples are not what the network takes.
    """
    net = network or quantized.network
    if not len(x):
        raise UsageError("calibration input holds no samples; give at least one")
    size = net.steps * sum(math.prod(net.shapes[name]) for name in net.neurons)
    batch = max(1, VALUES // size)
    sums = {name: np.zeros(len(_MEANS)) for name in net.neurons}
    results, scores = [], []
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        floats = run(quantized.graph, part, quantized.semantics, net.steps, quantized.full_scale)
        result = simulate(net, part, trace=net.neurons, steps=net.steps)
        for name in net.neurons:
            there, here = floats.spikes[name], result.trace.spikes[name]
            scale, theta = (
                numbers.reshape(*numbers.shape, *[1] * (there.ndim - 2 - numbers.ndim))
                for numbers in (quantized.layers[name].scale, quantized.layers[name].threshold)
            )
            apart = np.abs(result.trace.membranes[name] * scale - floats.membranes[name]) / theta
            counts = np.abs(
                there.sum(axis=1, dtype=np.int64) - here.sum(axis=1, dtype=np.int64)
            ).sum()
            sums[name] += (there.sum(), here.sum(), counts, (there != here).sum(), apart.sum())
        results.append(result)
        last = (
            floats.spikes[net.output]
            if net.readout == "count_argmax_lowest"
            else floats.membranes[net.output]
        )
        scores.append(scores_of(last.reshape(*last.shape[:2], -1), net.readout))
    values = {name: len(x) * net.steps * math.prod(net.shapes[name]) for name in net.neurons}
    layers = {
        name: LayerEffect(
            **{
                field: float(each) / values[name]
                for field, each in zip(_MEANS, sums[name], strict=True)
            },
            spikes_apart=int(sums[name][_MEANS.index("spikes_differ")]),
            saturations=sum(result.saturations[name] for result in results),
            weight_error=quantized.layers[name].weight_error,
            threshold_error=quantized.layers[name].threshold_error,
            decay_error=quantized.layers[name].decay_error,
        )
        for name in net.neurons
    }
    float_scores = np.concatenate(scores)
    prediction = np.concatenate([result.prediction for result in results])
    warnings = [text for name in net.neurons if (text := _warning(name, net, layers[name]))]
    return Effect(
        layers,
        len(x),
        float_scores.argmax(axis=1).astype(np.int64),
        prediction,
        float_scores,
        results[-1],
        tuple(warnings),
    )


def scores_of(last: Float | npt.NDArray[np.uint8], readout: str) -> Float:
    """Return the scores that the readout takes from the last layer's values `[N, T, classes]`."""
    match readout:
        case "membrane_last_argmax_lowest":
            scores: Float = last[:, -1].astype(np.float64)
        case "membrane_max_argmax_lowest":
            scores = last.max(axis=1).astype(np.float64)
        case _:
            scores = last.sum(axis=1, dtype=np.float64)
    return scores


def _warning(name: str, net: Network, effect: LayerEffect) -> str:
    if net.neurons[name].integrates:
        return ""
    for what, rate in (("the graph", effect.float_rate), ("the network", effect.rate)):
        if rate in (0, 1):
            state = "never fires" if rate == 0 else "always fires"
            return f"{name} {state} in {what} on these samples, which therefore say nothing of it"
    return ""
