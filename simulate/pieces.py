"""Inputs in pieces that fit memory, and which of their samples are traced.

    samples = open_samples(Path("in.npz"))
    result = joined(list(pieces(ENGINES["fast"](net, 2), net, samples, Traced(("lif1",), (0, 7)))))

`lehr.simulate.parts.joined` makes one result of those of the pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from lehr.network import Network
from lehr.npz import AT_ONCE
from lehr.samples import Samples
from lehr.simulate.engines import Run, Stream
from lehr.simulate.parts import Continuing
from lehr.simulate.result import Result
from lehr.simulate.traces import Traces

PIECE = 512
"""Samples between two looks at the clock."""
PIECE_BYTES = 1 << 26
"""The most bytes that pieces may take as input, and as traces."""
VALUE_BYTES = 5
"""A spike and a membrane in a trace."""


@dataclass(frozen=True)
class Traced:
    """Layers that are traced, by name in order of evaluation, on samples by ascending number.

    None means all samples.
    """

    layers: tuple[str, ...] = ()
    samples: tuple[int, ...] | None = None

    def of(self, start: int, count: int) -> list[int]:
        """Return which of `count` samples from `start` on are traced, counted from `start`."""
        if not self.layers:
            return []
        return (
            [n for n in range(count) if start + n in self.samples]
            if self.samples is not None
            else list(range(count))
        )


NOTHING = Traced()


def run_piece(
    run: Run, x: npt.NDArray[np.uint8], layers: tuple[str, ...], chosen: list[int]
) -> Result:
    """Run on samples and trace those that are chosen.

    Where these are some, they run a second time, for their trace alone.
    """
    if len(chosen) in (0, len(x)):
        return run(x, layers if chosen else ())
    return replace(run(x, ()), trace=run(x[chosen], layers).trace)


def piece_size(net: Network, samples: Samples, layers: tuple[str, ...]) -> int:
    """Return how many samples a run takes at a time."""
    each = max(math.prod(samples.shape[1:]), traced_bytes(net, samples, layers))
    return max(1, min(PIECE, PIECE_BYTES // each))


def traced_bytes(net: Network, samples: Samples, layers: tuple[str, ...]) -> int:
    """Return the bytes of a sample's traces."""
    neurons = sum(math.prod(net.shapes[name]) for name in layers)
    return VALUE_BYTES * steps_of(net, samples) * neurons


def steps_of(net: Network, samples: Samples) -> int:
    """Return how many steps a sample takes."""
    return samples.shape[1] if _timed(net, samples) else net.steps


def result_bytes(net: Network, samples: Samples) -> int:
    """Return the most bytes that an array of a result on these samples may have.

    It is the largest trace in 64 bits.
    """
    largest = (
        8 * samples.shape[0] * steps_of(net, samples) * max(map(math.prod, net.shapes.values()))
    )
    return max(AT_ONCE, largest)


def _timed(net: Network, samples: Samples) -> bool:
    return len(samples.shape) == len(net.input.shape) + 2


def pieces(
    run: Run,
    net: Network,
    samples: Samples,
    what: Traced = NOTHING,
    start: int = 0,
    *,
    stream: Stream | None = None,
    advance: Callable[[float], object] = lambda _: None,
) -> Iterator[Result]:
    """Run the samples from `start` on, as many at a time as fit, and yield each piece's result.

    Args:
        run: what runs `net`.
        net: the network.
        samples: inputs, `[N, T, *shape]`, or `[N, *shape]`, held.
        what: is traced.
        start: the first sample that is run.
        stream: runs a sample some steps at a time where a single one is more than a piece may take;
            it is run whole if None.
        advance: is told how many samples were run since it was last called, in fractions where a
            sample is run by steps.

    Raises:
        FileRefused: when the samples cannot be read, or are not what the network takes.
        NotMappable: when the engine does not compute the network.
    """
    if stream is not None and are_recordings(net, samples):
        yield from _by_steps(stream, net, samples, what, start, advance)
        return
    done = start
    for piece in samples.pieces(piece_size(net, samples, what.layers), start):
        yield run_piece(run, piece, what.layers, what.of(done, len(piece)))
        done += len(piece)
        advance(len(piece))


def are_recordings(net: Network, samples: Samples) -> bool:
    """Return whether a single sample is more than a piece may take."""
    return _timed(net, samples) and math.prod(samples.shape[1:]) > PIECE_BYTES


def _by_steps(
    stream: Stream,
    net: Network,
    samples: Samples,
    what: Traced,
    start: int,
    advance: Callable[[float], object],
) -> Iterator[Result]:
    """Run the samples from `start` on, some steps at a time, and yield each sample's result."""
    steps = max(1, PIECE_BYTES // math.prod(samples.shape[2:]))
    chunks = samples.chunks(steps, start)
    for sample in range(start, samples.shape[0]):
        layers = what.layers if what.of(sample, 1) else ()
        feed = stream(net, layers)
        whole = Continuing(net, Traces(traced_bytes(net, samples, layers), axis=1))
        for chunk in islice(chunks, -(-samples.shape[1] // steps)):
            whole.add(feed(chunk))
            advance(chunk.shape[1] / samples.shape[1])
        yield whole.result()
