"""Inputs without an end: chunks of steps in, spikes out, in memory that does not grow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, UsageError
from lehr.network import Network
from lehr.simulate.fast.engine import Machine
from lehr.simulate.fast.plan import plan
from lehr.simulate.result import Trace


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
        for name in self.trace:
            if name not in net.neurons:
                raise UsageError(f"{name!r} is no neuron layer; trace one of {', '.join(net.neurons)}")
        self._machine = Machine(plan(net, held=False, steps=None), samples, BLOCK, self.trace)
        self.reset()

    def reset(self) -> None:
        """Begin anew: every membrane, synapse state, delay and count is 0."""
        self._machine.begin(self.samples)

    def feed(self, x: npt.NDArray[np.uint8]) -> Trace:
        """Run on `x`, uint8 `[samples, steps, *shape]` with any number of steps; spikes and membranes `[samples, steps, *shape]`.

        Raises:
            FileRefused: when `x` is not what the network takes.
        """
        wanted = (self.samples, "T", *self.net.input.shape)
        if x.dtype != np.uint8 or x.ndim != len(wanted) or (x.shape[0], *x.shape[2:]) != (self.samples, *self.net.input.shape):
            told = ", ".join(map(str, wanted))
            raise FileRefused(f"a chunk is {x.dtype} {list(x.shape)}, the stream takes uint8 [{told}]; reshape it")
        if x.size and int(x.max()) > self.net.input.highest:
            raise FileRefused(f"a chunk holds {int(x.max())}, but the network takes spikes 0 and 1; encode it as spikes first")
        steps = x.shape[1]
        spikes = {name: np.zeros((self.samples, steps, *self.net.shapes[name]), np.uint8) for name in self.trace}
        membranes = {name: np.zeros((self.samples, steps, *self.net.shapes[name]), np.int32) for name in self.trace}
        for first, block in self._machine.blocks(np.ascontiguousarray(x), steps):
            self._machine.run(block)
            for name in self.trace:
                spikes[name][:, first : first + block] = self._machine.spikes(name)
                membranes[name][:, first : first + block] = self._machine.membranes(name)
        return Trace(spikes, membranes)

    @property
    def counts(self) -> npt.NDArray[np.int32]:
        """Spikes of each neuron of the output since the beginning, `[samples, classes]`."""
        return self._machine.totals(self.net.output, 0).reshape(self.samples, math.prod(self.net.shapes[self.net.output]))


BLOCK = 1024
"""Steps that are computed at once, at most."""


def stream(
    net: Network, chunks: Iterable[npt.NDArray[np.uint8]], *, reset: bool = False, trace: Iterable[str] | None = None
) -> Iterator[Trace]:
    """Run a network on chunks of one stream, each uint8 `[steps, *shape]`, and yield what each makes of the traced layers.

    Args:
        net: the network.
        chunks: any number of them, of any length; the next is asked for when the last one's result has been taken.
        reset: begin anew with every chunk; otherwise the state is carried over, and the chunks are one long input.
        trace: neuron layers; the output's if None.

    Yields:
        For each chunk the spikes and membranes `[1, steps, *shape]`.
    """
    running = Stream(net, 1, trace)
    for chunk in chunks:
        if reset:
            running.reset()
        yield running.feed(chunk[None])
