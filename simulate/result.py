"""What a simulation returns, whatever engine ran it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, UsageError
from lehr.network import Network

Spikes = npt.NDArray[np.uint8]
Membranes = npt.NDArray[np.int32]
LEAST = -(2**31)


@dataclass(frozen=True)
class Trace:
    """Spikes and membranes of neuron layers, each `[N, T, *shape]`, by layer name in order of evaluation."""

    spikes: Mapping[str, Spikes] = field(default_factory=dict)
    membranes: Mapping[str, Membranes] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """Outcome of one run.

    Attributes:
        counts: int32 `[N, classes]`, spikes of the output layer.
        scores: int64 `[N, classes]`, what the network's readout takes from the output layer: the counts, or what became of its membranes.
        prediction: int64 `[N]`, the class with the highest score, the lowest such index at ties.
        rates: spikes per neuron and step of each layer, over all samples.
        saturations: how often a membrane or a synapse state of each layer left its width.
        trace: of the layers asked for.
    """

    counts: npt.NDArray[np.int32]
    scores: Int64
    prediction: npt.NDArray[np.int64]
    rates: Mapping[str, float]
    saturations: Mapping[str, int]
    trace: Trace

    def accuracy(self, labels: npt.NDArray[np.int64]) -> float:
        """Share of samples whose prediction is their label."""
        return float((self.prediction == labels).mean())


def check_input(net: Network, x: npt.NDArray[np.uint8], steps: int | None = None) -> tuple[bool, int]:
    """Whether `x` is held for all steps, and how many steps a run on it takes.

    Raises:
        FileRefused: when `x` is not uint8 `[N, *shape]` or `[N, T, *shape]`, or its values are not what the input takes.
    """
    shape = net.input.shape
    wanted = f"uint8 [N, {', '.join(map(str, shape))}] or [N, T, {', '.join(map(str, shape))}]"
    if x.dtype != np.uint8:
        raise FileRefused(f"input has dtype {x.dtype}, the network takes {wanted}; convert it")
    held, timed = x.shape[1:] == shape, x.shape[2:] == shape and x.ndim == len(shape) + 2
    if not held and not timed:
        raise FileRefused(f"input has shape {list(x.shape)}, the network takes {wanted}; reshape it")
    if len(x) == 0 or (timed and x.shape[1] == 0):
        raise FileRefused(f"input has shape {list(x.shape)}, which holds no sample or no step; give at least one")
    if timed and steps is not None and steps > x.shape[1]:
        raise FileRefused(f"input has {x.shape[1]} steps, but {steps} were asked for; ask for at most {x.shape[1]}")
    highest = int(x.max())
    if highest > net.input.highest:
        raise FileRefused(f"input holds {highest}, but the network takes spikes 0 and 1; encode it as spikes first")
    return held, steps or (net.steps if held else int(x.shape[1]))


class Recorder:
    """Collects counts, rates and traces while an engine steps through time."""

    def __init__(self, net: Network, samples: int, steps: int, trace: Iterable[str]) -> None:
        trace = tuple(trace)
        for name in trace:
            if name not in net.neurons:
                raise UsageError(f"{name!r} is no neuron layer; trace one of {', '.join(net.neurons)}")
        self._net, self._size = net, samples * steps
        self._counts = np.zeros((samples, math.prod(net.shapes[net.output])), np.int64)
        # A membrane of 32 bits over 10**6 steps sums up to 2**51; no maximum is below the least that 32 bits hold.
        self._scores = np.full_like(self._counts, LEAST if net.readout == "membrane_max_argmax_lowest" else 0)
        self._spikes = dict.fromkeys(net.neurons, 0)
        self._saturations = dict.fromkeys(net.neurons, 0)
        kept = [name for name in net.neurons if name in trace]
        self._trace = Trace(
            {name: np.zeros((samples, steps, *net.shapes[name]), np.uint8) for name in kept},
            {name: np.zeros((samples, steps, *net.shapes[name]), np.int32) for name in kept},
        )

    def add(self, start: int, t: int, spikes: Mapping[str, Int64], membranes: Mapping[str, Int64]) -> None:
        """Take in step `t` of the samples from `start` on."""
        for name in self._spikes:
            self._spikes[name] += int(spikes[name].sum())
        output = spikes[self._net.output]
        stop = start + len(output)
        self._counts[start:stop] += output.reshape(len(output), -1)
        self._score(slice(start, stop), membranes[self._net.output].reshape(len(output), -1))
        for name in self._trace.spikes:
            self._trace.spikes[name][start:stop, t] = spikes[name]
            self._trace.membranes[name][start:stop, t] = membranes[name]

    def _score(self, at: slice, membrane: Int64) -> None:
        match self._net.readout:
            case "count_argmax_lowest":
                self._scores[at] = self._counts[at]
            case "membrane_last_argmax_lowest":
                self._scores[at] = membrane
            case "membrane_sum_argmax_lowest":
                self._scores[at] += membrane
            case "membrane_max_argmax_lowest":
                self._scores[at] = np.maximum(self._scores[at], membrane)

    def add_saturations(self, saturations: Mapping[str, int]) -> None:
        """Take in how often each layer saturated."""
        for name, count in saturations.items():
            self._saturations[name] += count

    def result(self) -> Result:
        """Everything collected."""
        rates = {name: count / (self._size * math.prod(self._net.shapes[name])) for name, count in self._spikes.items()}
        counts, prediction = self._counts.astype(np.int32), self._scores.argmax(axis=1).astype(np.int64)
        return Result(counts, self._scores, prediction, rates, dict(self._saturations), self._trace)
