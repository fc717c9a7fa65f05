"""Inputs without an end: chunks of steps in, spikes out, in memory that does not grow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.network import Network
from lehr.nodes import Shape
from lehr.samples import count_events
from lehr.simulate.fast.engine import Machine, record_output, record_steps, record_totals
from lehr.simulate.fast.plans.plan import plan
from lehr.simulate.result import Recorder, Result


class Stream:
    """A network that runs on, chunk after chunk, from the state in which the last one left it.

    Args:
        net: the network; its own number of steps plays no part.
        samples: streams that run side by side.
        trace: neuron layers whose spikes and membranes `feed` returns; those of the output if None.

    Raises:
        UsageError: when `trace` names no neuron layer.
    """

    def __init__(self, net: Network, samples: int = 1, trace: Iterable[str] | None = None) -> None:
        self.net, self.samples = net, samples
        self.trace = (net.output,) if trace is None else tuple(trace)
        self._machine = Machine(
            plan(net, held=False, steps=None),
            samples,
            BLOCK,
            Recorder(net, samples, 0, self.trace).membranes,
        )
        self.reset()

    def reset(self) -> None:
        """Begin anew: every membrane, synapse state and delay is 0."""
        self._machine.begin(self.samples)

    def feed(self, x: npt.NDArray[np.uint8]) -> Result:
        """Run on `x`, uint8 `[samples, steps, *shape]`, and return the result of these steps alone.

        What it returns of several chunks, `lehr.simulate.parts.continued` makes one result of.

        Raises:
            FileRefused: when `x` is not what the network takes.
        """
        wanted = (self.samples, "T", *self.net.input.shape)
        if (
            x.dtype != np.uint8
            or x.ndim != len(wanted)
            or (x.shape[0], *x.shape[2:]) != (self.samples, *self.net.input.shape)
        ):
            axes = ", ".join(map(str, wanted))
            raise FileRefused(
                f"a chunk is {x.dtype} {list(x.shape)}, the stream takes uint8 [{axes}]; reshape it"
            )
        if x.size == 0:
            raise FileRefused(
                f"a chunk has shape {list(x.shape)}, which holds no step; give at least one"
            )
        if int(x.max()) > self.net.input.highest:
            raise FileRefused(
                f"a chunk holds {int(x.max())}, but the network takes spikes 0 and 1; encode it as "
                "spikes first"
            )
        steps = x.shape[1]
        recorder = Recorder(self.net, self.samples, steps, self.trace)
        self._machine.count_anew()
        for first in self._machine.run(np.ascontiguousarray(x), steps, apart=True):
            record_steps(recorder, self._machine, 0, first)
        self._machine.end()
        record_output(recorder, self._machine, 0)
        record_totals(recorder, self._machine)
        return recorder.result()


BLOCK = 1024
"""Steps that are computed at once, at most."""


def stream(
    net: Network,
    chunks: Iterable[npt.NDArray[np.uint8]],
    *,
    reset: bool = False,
    trace: Iterable[str] | None = None,
) -> Iterator[Result]:
    """Run a network on chunks of one stream, uint8 `[steps, *shape]`, and yield each one's result.

    Args:
        net: the network.
        chunks: any number of them, of any length; the next is asked for when the last one's result
            has been taken.
        reset: begin anew with every chunk; otherwise the state is carried over, and the chunks are
            one long input.
        trace: neuron layers; the output's if None.

    Yields:
        For each chunk its result, of one sample, with spikes and membranes `[1, steps, *shape]` in
        its trace.
    """
    running = Stream(net, 1, trace)
    for chunk in chunks:
        if reset:
            running.reset()
        yield running.feed(chunk[None])


def binned(
    events: Iterable[tuple[Int64, Int64]], shape: Shape, steps: int = BLOCK, *, most: int = 1
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield events as chunks that `stream` takes, how many fell in each place.

    They are a sensor's, or those of a file that is read in parts.

    Args:
        events: any number of batches, of each the step of every event, none before the one before
            it, and its flat place in `shape`.
        shape: of the network's input.
        steps: in a chunk; the last one ends with the last event.
        most: up to which they are counted: `highest` of the network's input, 1 for spikes.

    Yields:
        uint8 `[steps, *shape]`.

    Raises:
        FileRefused: when steps go back or a place lies outside.
    """
    size, first, last = math.prod(shape), 0, -1
    chunk = np.zeros(steps * size, np.uint8)
    for at, place in events:
        if not len(at):
            continue
        if at[0] < max(last, 0) or (np.diff(at) < 0).any():
            raise FileRefused(
                f"events after step {max(last, 0)} go back in time; sort them by step"
            )
        if place.min() < 0 or place.max() >= size:
            raise FileRefused(
                f"an event is at place {int(place.min() if place.min() < 0 else place.max())} of "
                f"{size}; give flat places"
            )
        last = int(at[-1])
        while last >= first + steps:
            here = at < first + steps
            count_events(chunk, (at[here] - first) * size + place[here], most)
            yield chunk.reshape(steps, *shape)
            at, place, first, chunk = at[~here], place[~here], first + steps, np.zeros_like(chunk)
        count_events(chunk, (at - first) * size + place, most)
    if last >= first:
        yield chunk[: (last + 1 - first) * size].reshape(-1, *shape)
