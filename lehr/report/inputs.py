"""The samples of a report: what the network makes of them, and which of them are shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, NotMappable
from lehr.network import Network
from lehr.recordings import open_inputs
from lehr.report.facts import InputFacts, SampleFacts
from lehr.samples import Samples
from lehr.simulate.engines import ENGINES, STREAMS, Run
from lehr.simulate.pieces import Traced, pieces, steps_of
from lehr.simulate.result import Result, Trace, check_shape
from lehr.simulate.resuming import simulate_to
from lehr.targets.golden import per_step

MOST = 10
"""Samples that are shown spike by spike."""
VALUES = 1 << 24
"""Neurons times steps times samples that are shown, at most."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    """A file of samples that is still to be opened, as its network is not yet known.

    Attributes:
        path: of an `.npz` file, or of a recording.
        frames: how a recording is cut into steps.
    """

    path: Path
    frames: str | None = None


@dataclass(frozen=True)
class Given:
    """Samples, and where they come from.

    Attributes:
        x: all of them, or a file that is read in pieces.
        labels: int64 `[N]`, or None.
        name: of the file; empty for arrays.
        origin: in words.
        frames: how a recording is cut into steps.
    """

    x: Pixels | Samples
    labels: Int64 | None
    name: str
    origin: str
    frames: str | None = None

    @classmethod
    def of_file(cls, samples: Samples, origin: str, frames: str | None = None) -> Given:
        """Return the samples of a file, and its labels."""
        return cls(samples, samples.labels, samples.path.name, origin, frames)

    @classmethod
    def asked(cls, given: Given | Asked | None, net: Network) -> Given | None:
        """Return samples, opened for a network."""
        if not isinstance(given, Asked):
            return given
        samples = open_inputs(given.path, net.input, given.frames)
        return cls.of_file(samples, "given", given.frames)

    def taken(self, numbers: Sequence[int]) -> Pixels:
        """Return some samples, by ascending number."""
        if not isinstance(self.x, Samples):
            return self.x[list(numbers)]
        rows = [next(self.x.pieces(1, number)) for number in numbers]
        return np.concatenate(rows)

    def first(self, count: int) -> Pixels:
        """Return the first samples, at most so many."""
        return self.x.first(count) if isinstance(self.x, Samples) else self.x[:count]


@dataclass(frozen=True)
class Ran:
    """The network's answers to all samples, with the trace of its output, and of those shown.

    Attributes:
        given: the samples.
        all: the result of all, which has the output's trace.
        shown: the samples that are shown, in that order.
        traced: their result, which has every layer's trace, in the same order.
        engine: what ran them.
    """

    given: Given
    all: Result
    shown: tuple[SampleFacts, ...]
    traced: Result
    engine: str

    @property
    def over_all(self) -> Result:
        """The result of all samples, with the trace of those that are shown."""
        return replace(self.all, trace=self.traced.trace)

    def facts(self, net: Network) -> InputFacts:
        """Return what the samples are."""
        x = self.given.x
        steps = steps_of(net, x) if isinstance(x, Samples) else check_shape(net, x.shape)[1]
        labelled = self.given.labels is not None
        return InputFacts(self.given.name, len(self.all.counts), steps, labelled, self.given.origin)


def run(net: Network, given: Given) -> Ran:
    """Run a network on all samples, and choose those that are shown.

    Raises:
        FileRefused: when the samples, or their labels, are not what the network takes.
    """
    if isinstance(given.x, Samples):
        check_shape(net, given.x.shape)
        given.x.require_classes(int(np.prod(net.shapes[net.output])))
    elif given.labels is not None and len(given.labels) != len(given.x):
        raise FileRefused(
            f"there are {len(given.labels):,} labels of {len(given.x):,} samples; give one of each"
        )
    engine, runs = _engine(net)
    layers = (net.output,)
    if isinstance(given.x, Samples):
        stream = STREAMS[engine]
        parts = pieces(runs, net, given.x, Traced(layers), stream=stream)
        result = simulate_to(None, parts, net, given.x, Traced(layers))
    else:
        result = runs(given.x, layers)
    steps = result.trace.spikes[net.output].shape[1]
    each = steps * sum(int(np.prod(net.shapes[name])) for name in net.neurons)
    shown = chosen(result.prediction, given.labels, max(1, min(MOST, VALUES // each)))
    numbers = sorted(sample.number for sample in shown)
    traced = runs(given.taken(numbers), tuple(net.neurons))
    order = [numbers.index(sample.number) for sample in shown]
    return Ran(given, result, shown, _ordered(traced, order), engine)


def _engine(net: Network) -> tuple[str, Run]:
    """Return the fast engine, or the reference where that does not compute the network."""
    try:
        return "fast", ENGINES["fast"](net, len(os.sched_getaffinity(0)))
    except NotMappable:
        return "reference", ENGINES["reference"](net, 1)


def chosen(prediction: Int64, labels: Int64 | None, most: int) -> tuple[SampleFacts, ...]:
    """Choose a sample a class: the first wrong one, or else the first; wrong ones come first."""
    of = prediction if labels is None else labels
    samples = []
    for each in np.unique(of):
        at = np.flatnonzero(of == each)
        wrong = at[prediction[at] != of[at]]
        number = int((wrong if len(wrong) else at)[0])
        label = None if labels is None else int(labels[number])
        samples.append(SampleFacts(number, label, int(prediction[number])))
    return tuple(sorted(samples, key=lambda sample: not sample.wrong)[:most])


def _ordered(result: Result, order: list[int]) -> Result:
    """Return a result whose samples are in another order."""
    trace = Trace(
        {name: values[order] for name, values in result.trace.spikes.items()},
        {name: values[order] for name, values in result.trace.membranes.items()},
    )
    return replace(
        result,
        counts=result.counts[order],
        scores=result.scores[order],
        prediction=result.prediction[order],
        trace=trace,
    )


def labels_of_golden(net: Network, golden: Pixels, given: Given | None) -> Int64 | None:
    """Return the labels of golden inputs `[N, T, *shape]`, the first of samples that have some."""
    if given is None or given.labels is None:
        return None
    same = given.first(len(golden))
    if len(same) != len(golden) or not np.array_equal(per_step(net, same), golden):
        return None
    return given.labels[: len(golden)]
