"""Results of a simulation, whatever engine ran it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.network import Network
from lehr.nodes import Shape
from lehr.shown import Shown, Table, listed, shape_text
from lehr.simulate.layers import named_layers

Spikes = npt.NDArray[np.uint8]
Membranes = npt.NDArray[np.int32]
LEAST = -(2**31)


@dataclass(frozen=True, repr=False)
class Trace(Shown):
    """Spikes and membranes of neuron layers, `[N, T, *shape]`, by name in order of evaluation."""

    spikes: Mapping[str, Spikes] = field(default_factory=dict)
    membranes: Mapping[str, Membranes] = field(default_factory=dict)

    def _table(self) -> Table:
        samples = max((len(spikes) for spikes in self.spikes.values()), default=0)
        rows = [
            (name, shape_text(spikes.shape[2:]), f"{spikes.shape[1]:,}", f"{int(spikes.sum()):,}")
            for name, spikes in self.spikes.items()
        ]
        title = f"{samples:,} samples of {listed(self.spikes) or 'no layer'}"
        return Table(title, ("layer", "shape", "steps", "spikes"), rows)


@dataclass(frozen=True)
class Layer:
    """Activity of a layer of neurons, over all samples and steps.

    Attributes:
        spikes: int64 `[*shape]`, of each neuron.
        lowest, highest: membranes after a step, of all neurons.
        saturations: how often a membrane or a synapse state left its width; 0 from a target's tool,
            which does not count them.
        instants: samples times steps.
    """

    spikes: Int64
    lowest: int
    highest: int
    saturations: int
    instants: int

    @property
    def rate(self) -> float:
        """Spikes per neuron and step."""
        return int(self.spikes.sum()) / (self.spikes.size * self.instants)

    @property
    def dead(self) -> int:
        """Return how many neurons never spiked."""
        return int((self.spikes == 0).sum())

    @property
    def always_on(self) -> int:
        """Return how many neurons spiked at every step, or more often."""
        return int((self.spikes >= self.instants).sum())


@dataclass(frozen=True, repr=False)
class Result(Shown):
    """Outcome of one run.

    Attributes:
        counts: int32 `[N, classes]`, spikes of the output layer.
        scores: int64 `[N, classes]`, what the network's readout takes from the output layer: the
            counts, or what became of its membranes.
        prediction: int64 `[N]`, the class with the highest score, the lowest such index at ties.
        layers: statistics of each layer of neurons, by name in order of evaluation.
        events: int64 `[*input shape]`, how often each element of the input was not 0, over all
            samples and steps.
        trace: of the layers asked for.
    """

    counts: npt.NDArray[np.int32]
    scores: Int64
    prediction: npt.NDArray[np.int64]
    layers: Mapping[str, Layer]
    events: Int64
    trace: Trace

    @property
    def rates(self) -> dict[str, float]:
        """Spikes per neuron and step of each layer."""
        return {name: layer.rate for name, layer in self.layers.items()}

    @property
    def saturations(self) -> dict[str, int]:
        """Return how often a membrane or a synapse state of each layer left its width."""
        return {name: layer.saturations for name, layer in self.layers.items()}

    def _table(self) -> Table:
        rows = [
            (
                name,
                shape_text(layer.spikes.shape),
                f"{layer.rate:.4f}",
                f"{layer.lowest:,}",
                f"{layer.highest:,}",
                f"{layer.dead:,}",
            )
            for name, layer in self.layers.items()
        ]
        rates = listed(f"{name} {layer.rate:.4f}" for name, layer in self.layers.items())
        samples, classes = self.counts.shape
        title = f"{samples:,} samples, {classes} classes, spikes a neuron and step: {rates}"
        return Table(
            title,
            ("layer", "shape", "spike rate", "lowest membrane", "highest", "dead neurons"),
            rows,
        )

    def accuracy(self, labels: npt.ArrayLike) -> float:
        """Return the share of samples whose prediction is their label.

        Args:
            labels: whole numbers, one a sample, `[N]`.

        Raises:
            UsageError: when there are more or fewer labels than samples.
        """
        classes = np.asarray(labels)
        if classes.shape != self.prediction.shape:
            raise UsageError(
                f"there are labels {list(classes.shape)} for {len(self.prediction):,} samples; "
                "give one whole number a sample"
            )
        return float((self.prediction == classes).mean())


def check_shape(
    net: Network, shape: Shape, dtype: Any = np.uint8, steps: int | None = None
) -> tuple[bool, int]:
    """Return whether inputs of a shape are held, and how many steps a run on them takes.

    Raises:
        FileRefused: when they are not uint8 `[N, *shape]` or `[N, T, *shape]`, or have fewer steps.
        UsageError: when no step is asked for.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"{steps} steps were asked for; ask for at least 1")
    each = net.input.shape
    held, timed = shape[1:] == each, shape[2:] == each and len(shape) == len(each) + 2
    if dtype != np.uint8 or not (held or timed):
        axes = ", ".join(map(str, each))
        takes = f"uint8 [N, {axes}] or [N, T, {axes}]"
        if dtype != np.uint8:
            raise FileRefused(f"input has dtype {dtype}, the network takes {takes}; convert it")
        raise FileRefused(f"input has shape {list(shape)}, the network takes {takes}; reshape it")
    if shape[0] == 0 or (timed and shape[1] == 0):
        raise FileRefused(
            f"input has shape {list(shape)}, which holds no sample or no step; give at least one"
        )
    if timed and steps is not None and steps > shape[1]:
        raise FileRefused(
            f"input has {shape[1]} steps, but {steps} were asked for; ask for at most {shape[1]}"
        )
    return held, steps or (net.steps if held else shape[1])


def check_input(
    net: Network, x: npt.NDArray[np.uint8], steps: int | None = None
) -> tuple[bool, int]:
    """Return the same for inputs themselves, whose values must be what the network's input takes.

    Raises:
        FileRefused: when they are not.
        UsageError: when no step is asked for.
    """
    shape = check_shape(net, x.shape, x.dtype, steps)
    check_values(net, x)
    return shape


def check_values(net: Network, x: npt.NDArray[np.uint8]) -> None:
    """Refuse inputs that hold values which the network's input does not take.

    Raises:
        FileRefused: naming the highest one.
    """
    highest = int(x.max())
    if highest > net.input.highest:
        raise FileRefused(
            f"input holds {highest}, but the network takes spikes 0 and 1; encode it as spikes "
            "first"
        )


def input_events(x: npt.NDArray[np.uint8], held: bool, steps: int) -> Int64:
    """Count how often each element of inputs is not 0 in a run of `steps` steps.

    Inputs are `[N, *shape]` or `[N, T, *shape]`.
    """
    events_of = (
        np.count_nonzero(x, axis=0) * steps if held else np.count_nonzero(x[:, :steps], axis=(0, 1))
    )
    return np.asarray(events_of, np.int64)


class Recorder:
    """Collects counts, statistics and traces; several threads may record samples of their own.

    Attributes:
        traced: the layers whose spikes and membranes are kept, in order of evaluation.
        membranes: those whose membranes `add_steps` needs.
    """

    def __init__(self, net: Network, samples: int, steps: int, trace: Iterable[str]) -> None:
        self._net, self._instants, self._lock = net, samples * steps, Lock()
        self._counting, output = net.readout == "count_argmax_lowest", net.output
        self._counts = np.zeros((samples, math.prod(net.shapes[output])), np.int64)
        # A membrane of 32 bits over 10**6 steps sums up to 2**51; no maximum is below the least
        # that 32 bits hold.
        self._scores = self._counts
        if not self._counting:
            least = LEAST if net.readout == "membrane_max_argmax_lowest" else 0
            self._scores = np.full_like(self._counts, least)
        self._spikes: dict[str, Int64] = {
            name: np.zeros(net.shapes[name], np.int64) for name in net.neurons
        }
        self._lowest, self._highest = (
            dict.fromkeys(net.neurons, -LEAST - 1),
            dict.fromkeys(net.neurons, LEAST),
        )
        self._saturations = dict.fromkeys(net.neurons, 0)
        self._events: Int64 = np.zeros(net.input.shape, np.int64)
        self.traced = named_layers(net, trace)
        self.membranes = frozenset((*self.traced, *(() if self._counting else (output,))))
        self._trace = Trace(
            {name: np.zeros((samples, steps, *net.shapes[name]), np.uint8) for name in self.traced},
            {name: np.zeros((samples, steps, *net.shapes[name]), np.int32) for name in self.traced},
        )

    def add(
        self, start: int, t: int, spikes: Mapping[str, Int64], membranes: Mapping[str, Int64]
    ) -> None:
        """Take in step `t` of samples from `start` on: spikes and membranes `[samples, *shape]`."""
        self.add_steps(
            start,
            t,
            {n: s[:, None] for n, s in spikes.items()},
            {n: v[:, None] for n, v in membranes.items()},
        )
        self.add_counts(start, spikes[self._net.output])
        for name in self._spikes:
            self.add_totals(
                name, spikes[name], int(membranes[name].min()), int(membranes[name].max())
            )

    def add_steps(
        self, start: int, first: int, spikes: Mapping[str, Any], membranes: Mapping[str, Any]
    ) -> None:
        """Take in the steps from `first` on of the samples from `start` on.

        Args:
            start: the first sample.
            first: the first step.
            spikes: `[samples, steps, *shape]` of all layers in `traced`.
            membranes: likewise of all layers in `membranes`.
        """
        for name in self.traced:
            samples, steps = spikes[name].shape[:2]
            self._trace.spikes[name][start : start + samples, first : first + steps] = spikes[name]
            self._trace.membranes[name][start : start + samples, first : first + steps] = membranes[
                name
            ]
        if not self._counting:
            membrane = membranes[self._net.output]
            self._score(
                slice(start, start + len(membrane)),
                membrane.reshape(*membrane.shape[:2], -1).astype(np.int64),
            )

    def _score(self, at: slice, membrane: Int64) -> None:
        match self._net.readout:
            case "membrane_last_argmax_lowest":
                self._scores[at] = membrane[:, -1]
            case "membrane_sum_argmax_lowest":
                self._scores[at] += membrane.sum(axis=1)
            case "membrane_max_argmax_lowest":
                self._scores[at] = np.maximum(self._scores[at], membrane.max(axis=1))

    def add_counts(self, start: int, spikes: npt.NDArray[Any]) -> None:
        """Take in how often output neurons spiked, `[samples, *shape]`, from sample `start` on."""
        self._counts[start : start + len(spikes)] += spikes.reshape(len(spikes), -1)

    def add_totals(self, name: str, spikes: npt.NDArray[Any], lowest: int, highest: int) -> None:
        """Take in how often each neuron of a layer spiked, and its lowest and highest membrane.

        How often the output spiked, `add_counts` tells.

        Raises:
            NotMappable: when a membrane is not within the 32 bits in which it is read.
        """
        if lowest < LEAST or highest >= -LEAST:
            worst, x = (
                highest if highest >= -LEAST else lowest,
                self._net.neurons[name].program.membrane,
            )
            reached = (
                f"its membrane {x} reached {worst:,}, more than the 32 bits in which it is read"
            )
            raise NotMappable(f"{name}: {reached}; bound {x} in its update")
        with self._lock:
            one = len(spikes) == 1  # numpy needs longer to add up one than to take it
            self._spikes[name] += spikes[0] if one else spikes.sum(axis=0, dtype=np.int64)
            self._lowest[name], self._highest[name] = (
                min(self._lowest[name], lowest),
                max(self._highest[name], highest),
            )

    def add_saturations(self, saturations: Mapping[str, int]) -> None:
        """Take in how often each layer saturated."""
        with self._lock:
            for name, count in saturations.items():
                self._saturations[name] += count

    def add_events(self, events: Int64) -> None:
        """Take in how often each element of the input was not 0."""
        with self._lock:
            self._events += events

    def result(self) -> Result:
        """Everything collected."""
        output = self._net.output
        self._spikes[output] = self._counts.sum(axis=0).reshape(self._net.shapes[output])
        scores = self._counts.copy() if self._counting else self._scores
        layers = {
            name: Layer(
                spikes,
                self._lowest[name],
                self._highest[name],
                self._saturations[name],
                self._instants,
            )
            for name, spikes in self._spikes.items()
        }
        prediction = scores.argmax(axis=1).astype(np.int64)
        return Result(
            self._counts.astype(np.int32), scores, prediction, layers, self._events, self._trace
        )


def predicted(net: Network, trace: Trace) -> npt.NDArray[np.int64]:
    """Return the class of each sample, `[N]`, by what a trace holds of the output.

    It is empty where the trace lacks what the readout takes.
    """
    output, counting = net.output, net.readout == "count_argmax_lowest"
    taken = trace.spikes if counting else trace.membranes
    if output not in taken:
        return np.zeros(0, np.int64)
    samples, steps = taken[output].shape[:2]
    recorder = Recorder(net, samples, steps, ())
    if counting:
        recorder.add_counts(0, trace.spikes[output].sum(axis=1, dtype=np.int64))
    else:
        recorder.add_steps(0, 0, {}, trace.membranes)
    return recorder.result().prediction


def feeder(
    net: Network,
    samples: int,
    trace: Iterable[str],
    run: Callable[[npt.NDArray[np.uint8], bool, int, Recorder], None],
) -> Callable[[npt.NDArray[np.uint8]], Result]:
    """Return what takes chunks of steps `[samples, T, *shape]`, each with its own result.

    `run` goes on from the state in which it was left.
    """
    trace = tuple(trace)

    def feed(x: npt.NDArray[np.uint8]) -> Result:
        held, steps = check_input(net, x)
        recorder = Recorder(net, samples, steps, trace)
        recorder.add_events(input_events(x, held, steps))
        run(x, held, steps, recorder)
        return recorder.result()

    return feed
