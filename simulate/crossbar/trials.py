"""A network on many devices of one description, each compared with the exact network.

samples = open_samples(Path("in.npz"))
trials = run_trials(net, samples, read_device(Path("memristor.toml")), ENGINES["fast"](net, 2))
trials.accuracy.mean
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.samples import Samples
from lehr.simulate.compare import Comparison, Difference, compare
from lehr.simulate.crossbar.device import Device
from lehr.simulate.crossbar.machine import simulate
from lehr.simulate.engines import Run
from lehr.simulate.parts import joined
from lehr.simulate.pieces import piece_size
from lehr.simulate.result import Result, Trace


@dataclass(frozen=True)
class Spread:
    """Values of several devices.

    Attributes:
        mean, least, most: of the values.
        deviation: of the sample; None of one value.
        interval: of 95 %, in which the mean of all such devices lies, by Student's distribution;
            None of one value.
    """

    mean: float
    least: float
    most: float
    deviation: float | None
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Describe some values, one at least."""
        mean, least, most = math.fsum(values) / len(values), min(values), max(values)
        if len(values) == 1:
            return cls(mean, least, most, None, None)
        deviation = float(np.std(values, ddof=1))
        half = quantile(len(values) - 1) * deviation / math.sqrt(len(values))
        return cls(mean, least, most, deviation, (mean - half, mean + half))


@dataclass(frozen=True)
class Trial:
    """The network on one device.

    Attributes:
        seed: of the device.
        result: its counts, predictions and statistics of layers, without a trace.
        differing: by layer, how many spikes differ from the exact network's.
        first: the first of them, None if there is none.
    """

    seed: int
    result: Result
    differing: Mapping[str, int]
    first: Difference | None


@dataclass(frozen=True)
class Trials:
    """The network on all devices.

    Attributes:
        exact: the result of the exact network, without a trace.
        trials: of each device.
        spikes: by layer, how many spikes were compared on each device.
        labels: of the samples, int64 `[N]`, or None.
    """

    exact: Result
    trials: tuple[Trial, ...]
    spikes: Mapping[str, int]
    labels: Int64 | None

    @property
    def accuracies(self) -> list[float]:
        """The share of samples that each device gets right.

        Without labels it is the share in which it says what the exact network says.
        """
        truth = self.exact.prediction if self.labels is None else self.labels
        return [trial.result.accuracy(truth) for trial in self.trials]

    @property
    def accuracy(self) -> Spread:
        """The same as mean, deviation and ends over the devices."""
        return Spread.of(self.accuracies)

    @property
    def first(self) -> Trial | None:
        """The first device with a spike that differs."""
        return next((trial for trial in self.trials if trial.first is not None), None)

    def rate(self, layer: str) -> float:
        """Return spikes per neuron and step of a layer, over all devices."""
        rates = [trial.result.rates[layer] for trial in self.trials]
        return math.fsum(rates) / len(rates)

    def differing(self, layer: str) -> float:
        """Return the share of a layer's spikes that differ, over all devices."""
        total = sum(trial.differing[layer] for trial in self.trials)
        return total / (len(self.trials) * self.spikes[layer])


def run_trials(
    net: Network,
    samples: Samples,
    device: Device,
    exact: Run,
    advance: Callable[[float], object] = lambda _: None,
) -> Trials:
    """Run all samples on each device and on the exact network.

    Args:
        net: the network.
        samples: inputs, `[N, T, *shape]`, or `[N, *shape]`, held.
        device: the description of the devices; its seeds say which are drawn.
        exact: an engine that runs `net`.
        advance: is told how many samples were run on a device since it was last called.

    Raises:
        FileRefused: when the samples cannot be read, or are not what the network takes.
        NotMappable: when a layer updates by event, or a membrane is beyond 32 bits on a device.
        UsageError: when the device names a node that has no weights.
    """
    layers = tuple(net.neurons)
    seeds = range(device.seed, device.seed + device.seeds)
    exact_parts: list[Result] = []
    parts: dict[int, list[Result]] = {seed: [] for seed in seeds}
    compared = dict.fromkeys(seeds, Comparison(0, 0, 0, None, ("spike",)))
    differing = {seed: dict.fromkeys(layers, 0) for seed in seeds}
    spikes = dict.fromkeys(layers, 0)
    done = 0
    for piece in samples.pieces(piece_size(net, samples, layers)):
        expected = exact(piece, layers)
        exact_parts.append(_untraced(expected))
        for name in layers:
            spikes[name] += expected.trace.spikes[name].size
        for seed in seeds:
            got = simulate(net, piece, device, seed=seed, start=done, trace=layers)
            here = compare(expected.trace, got.trace, ("spike",))
            compared[seed] = compared[seed].then(here, done)
            for name in layers:
                wrong = expected.trace.spikes[name] != got.trace.spikes[name]
                differing[seed][name] += int(np.count_nonzero(wrong))
            parts[seed].append(_untraced(got))
            advance(len(piece))
        done += len(piece)
    trials = (
        Trial(seed, joined(parts[seed]), differing[seed], compared[seed].first) for seed in seeds
    )
    return Trials(joined(exact_parts), tuple(trials), spikes, samples.labels)


def arrays_of(trials: Trials) -> dict[str, npt.NDArray[np.integer]]:
    """Make the arrays of an `out.npz`.

    Returns:
        `seed` int64 `[devices]`, `counts` int32 `[devices, N, classes]` and `prediction` int64
        `[devices, N]`, `exact.counts` and `exact.prediction` of the exact network, and for each
        layer `differing.LAYER` int64 `[devices]`, how many of its spikes differ.
    """
    each = trials.trials
    arrays: dict[str, npt.NDArray[np.integer]] = {
        "seed": np.array([trial.seed for trial in each], np.int64),
        "counts": np.stack([trial.result.counts for trial in each]),
        "prediction": np.stack([trial.result.prediction for trial in each]),
        "exact.counts": trials.exact.counts,
        "exact.prediction": trials.exact.prediction,
    }
    for name in trials.spikes:
        arrays[f"differing.{name}"] = np.array([t.differing[name] for t in each], np.int64)
    return arrays


def quantile(freedom: int) -> float:
    """Return how many standard errors of a mean lie on each side of it in an interval of 95 %.

    Args:
        freedom: degrees of freedom, one less than the number of values.

    Source: Student's t; its density is summed by the trapezoid rule up to 0.975.
    """
    t = np.linspace(0, 13, 130_001)  # 12.71 for one degree, 1.96 for many
    logarithm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    scale = math.exp(logarithm) / math.sqrt(freedom * math.pi)
    density = scale * (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * (t[1] - t[0]))])
    return float(np.interp(0.475, mass, t))


def _untraced(result: Result) -> Result:
    return Result(
        result.counts, result.scores, result.prediction, result.layers, result.events, Trace()
    )
