"""Inputs in pieces that fit memory: what a run takes at a time, and which of its samples are traced."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from lehr.errors import UsageError
from lehr.spelling import one_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.cli.engines import Feed, Run
    from lehr.network import Network
    from lehr.samples import Samples
    from lehr.simulate import Result

    Advance = Callable[[float], None]
    Streams = Callable[[Network, tuple[str, ...]], Feed]

PIECE = 512
"""Samples between two looks at the clock."""
PIECE_BYTES = 1 << 26
"""What they may take as input, and as traces."""
SAMPLES = "trace.samples"
"""In `out.npz`, which samples the traces are of, where they are not of all."""
VALUE_BYTES = 5
"""A spike and a membrane in a trace."""


@dataclass(frozen=True)
class Traced:
    """What is traced: layers by name, in order of evaluation, on samples by ascending number; on all if None."""

    layers: tuple[str, ...] = ()
    samples: tuple[int, ...] | None = None

    def of(self, start: int, count: int) -> list[int]:
        """Which of `count` samples from `start` on are traced, counted from `start`."""
        if not self.layers:
            return []
        return [n for n in range(count) if start + n in self.samples] if self.samples is not None else list(range(count))


def traced(net: Network, layers: list[str], samples: str | None, total: int) -> Traced:
    """What the options `--trace` and `--trace-samples` say.

    Raises:
        UsageError: when they name what there is not.
    """
    for name in set(layers) - {"all", *net.neurons}:
        raise UsageError(f"{name!r} is no neuron layer; {one_of(name, net.neurons, 'trace one of')}")
    named = tuple(name for name in net.neurons if name in layers or "all" in layers)
    if samples is None:
        return Traced(named)
    if not named:
        raise UsageError("--trace-samples chooses samples of a trace; name a layer with --trace, or 'all'")
    return Traced(named, tuple(sorted(set(_numbers(samples, total)))))


def _numbers(text: str, total: int) -> Iterator[int]:
    """The numbers that a text as `0,7,100-199` lists."""
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or not int(first) <= int(last or first) < total:
            raise UsageError(f"--trace-samples: {part!r} of {total:,} samples; give numbers from 0 on and ranges, as in 0,7,100-199")
        yield from range(int(first), int(last or first) + 1)


def run_piece(run: Run, x: npt.NDArray[np.uint8], layers: tuple[str, ...], chosen: list[int]) -> Result:
    """Run on samples and trace those that are chosen; where these are some, they run a second time, for their trace alone."""
    if len(chosen) in (0, len(x)):
        return run(x, layers if chosen else ())
    return replace(run(x, ()), trace=run(x[chosen], layers).trace)


def piece_size(net: Network, samples: Samples, layers: tuple[str, ...]) -> int:
    """How many samples a run takes at a time."""
    steps = steps_of(net, samples)
    each = max(math.prod(samples.shape[1:]), VALUE_BYTES * steps * sum(math.prod(net.shapes[name]) for name in layers))
    return max(1, min(PIECE, PIECE_BYTES // each))


def steps_of(net: Network, samples: Samples) -> int:
    """How many steps a sample takes."""
    return samples.shape[1] if _timed(net, samples) else net.steps


def result_bytes(net: Network, samples: Samples) -> int:
    """Bytes that an array of a result on these samples may have: the largest trace in 64 bits, but at most what is read at once."""
    from lehr.npz import AT_ONCE
    from lehr.samples import LARGEST_AT_ONCE

    largest = 8 * samples.shape[0] * steps_of(net, samples) * max(map(math.prod, net.shapes.values()))
    return min(LARGEST_AT_ONCE, max(AT_ONCE, largest))


def _timed(net: Network, samples: Samples) -> bool:
    return len(samples.shape) == len(net.input.shape) + 2


def pieces(run: Run, net: Network, samples: Samples, what: Traced, start: int, advance: Advance) -> Iterator[Result]:
    """Run the samples from `start` on, as many at a time as fit, and yield the result of each piece."""
    done = start
    for piece in samples.pieces(piece_size(net, samples, what.layers), start):
        yield run_piece(run, piece, what.layers, what.of(done, len(piece)))
        done += len(piece)
        advance(len(piece))


def are_recordings(net: Network, samples: Samples) -> bool:
    """Whether a single sample is more than a piece may take."""
    return _timed(net, samples) and math.prod(samples.shape[1:]) > PIECE_BYTES


def recordings(stream: Streams, net: Network, samples: Samples, what: Traced, start: int, advance: Advance) -> Iterator[Result]:
    """Run the samples from `start` on, some steps at a time, and yield the result of each sample."""
    from lehr.simulate.parts import continued

    steps = max(1, PIECE_BYTES // math.prod(samples.shape[2:]))
    chunks = samples.chunks(steps, start)
    for sample in range(start, samples.shape[0]):
        feed, parts = stream(net, what.layers if what.of(sample, 1) else ()), []
        for chunk in islice(chunks, -(-samples.shape[1] // steps)):
            parts.append(feed(chunk))
            advance(chunk.shape[1] / samples.shape[1])
        yield continued(net, parts)
