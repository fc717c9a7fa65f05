"""The result of a run from those of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.simulate.result import Layer, Result
from lehr.simulate.traces import Traces


@dataclass(frozen=True)
class _Sums:
    """Activity of layers and events of the input, over all parts so far.

    Attributes:
        samples, traced: how many there are.
    """

    samples: int = 0
    traced: int = 0
    layers: Mapping[str, Layer] = field(default_factory=dict)
    events: Int64 | None = None

    def plus(self, part: Result) -> _Sums:
        """Return the sums with one part more."""
        traced = len(next(iter(part.trace.spikes.values()), ()))
        return _Sums(
            self.samples + len(part.counts),
            self.traced + traced,
            {name: _together(self.layers.get(name), layer) for name, layer in part.layers.items()},
            part.events if self.events is None else self.events + part.events,
        )


def _together(one: Layer | None, other: Layer) -> Layer:
    """Return the activity of a layer in two parts; of the first there may be none."""
    if one is None:
        return other
    return Layer(
        one.spikes + other.spikes,
        min(one.lowest, other.lowest),
        max(one.highest, other.highest),
        one.saturations + other.saturations,
        one.instants + other.instants,
    )


class Joining:
    """The result of a run's samples, taken in part by part: no part is kept.

    An interrupt leaves what was taken in until then.

    Args:
        samples: how many there are at most.
        traces: that take in the parts' ones.
    """

    def __init__(self, samples: int, traces: Traces) -> None:
        self._samples, self._traces, self._sums = samples, traces, _Sums()
        self._counts: npt.NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self._scores: Int64 = np.zeros((0, 0), np.int64)
        self._prediction = np.zeros(samples, np.int64)

    @property
    def done(self) -> int:
        """Return how many samples were taken in."""
        return self._sums.samples

    def add(self, part: Result) -> None:
        """Take in the result of the next samples."""
        if not self.done:
            shape = (self._samples, part.counts.shape[1])
            self._counts, self._scores = np.zeros(shape, np.int32), np.zeros(shape, np.int64)
        at = slice(self.done, self.done + len(part.counts))
        self._counts[at], self._scores[at] = part.counts, part.scores
        self._prediction[at] = part.prediction
        self._traces.add(part.trace)
        self._sums = self._sums.plus(part)  # last, and in one step: an interrupt may come anywhere

    def result(self) -> Result:
        """Return the result of all samples so far, one at least.

        Its trace has the samples of the parts that traced any.
        """
        sums, here = self._sums, slice(self.done)
        assert sums.events is not None
        return Result(
            self._counts[here],
            self._scores[here],
            self._prediction[here],
            sums.layers,
            sums.events,
            self._traces.trace(sums.traced),
        )


class Continuing:
    """The result of steps of a network, some after others, on the same samples.

    Args:
        net: the network.
        traces: that take in the parts' ones.
    """

    def __init__(self, net: Network, traces: Traces) -> None:
        self._readout, self._traces, self._sums = net.readout, traces, _Sums()
        self._counts: Int64 | None = None
        self._scores: Int64 | None = None

    def add(self, part: Result) -> None:
        """Take in the result of the next steps."""
        self._sums = self._sums.plus(part)
        self._traces.add(part.trace)
        if self._counts is None or self._scores is None:
            self._counts, self._scores = part.counts.astype(np.int64), part.scores
            return
        self._counts += part.counts
        match self._readout:
            case "membrane_last_argmax_lowest":
                self._scores = part.scores
            case "membrane_max_argmax_lowest":
                self._scores = np.maximum(self._scores, part.scores)
            case _:
                self._scores = self._scores + part.scores

    def result(self) -> Result:
        """Return the result of all steps so far, one at least."""
        assert self._counts is not None
        assert self._scores is not None
        assert self._sums.events is not None
        return Result(
            self._counts.astype(np.int32),
            self._scores,
            self._scores.argmax(axis=1).astype(np.int64),
            self._sums.layers,
            self._sums.events,
            self._traces.trace(),
        )


def joined(parts: Sequence[Result]) -> Result:
    """Join the results of a run's samples, see `Joining`."""
    joining = Joining(sum(len(part.counts) for part in parts), Traces())
    for part in parts:
        joining.add(part)
    return joining.result()


def continued(net: Network, parts: Sequence[Result]) -> Result:
    """Join the results of steps of `net`, some after others, on the same samples."""
    continuing = Continuing(net, Traces(axis=1))
    for part in parts:
        continuing.add(part)
    return continuing.result()
