"""Samples compared in pieces: a run with that of another engine, or with a stored result.

compare_samples(net, samples, ENGINES["fast"](net, 2), simulated(net, ENGINES["reference"](net, 1)))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact, UsageError
from lehr.network import Network
from lehr.npz import Archive
from lehr.samples import Samples
from lehr.simulate.compare import Comparison, compare
from lehr.simulate.engines import Run
from lehr.simulate.partial import SAMPLES
from lehr.simulate.pieces import Traced, piece_size, result_bytes, run_piece
from lehr.simulate.result import Trace
from lehr.simulate.traces import read_trace

Images = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Expected:
    """Values that a run is compared with.

    Attributes:
        traced: the layers and samples that are compared besides counts.
        of: from the number of the first sample, and samples from there on, their trace and counts;
            to be asked in order, once.
    """

    traced: Traced
    of: Callable[[int, Images], tuple[Trace, Counts]]


def compare_samples(
    net: Network,
    samples: Samples,
    run: Run,
    expected: Expected,
    advance: Callable[[float], object] = lambda _: None,
) -> Comparison:
    """Compare a run with what is expected, on every sample, as many at a time as fit.

    Args:
        net: the network.
        samples: inputs, `[N, T, *shape]`, or `[N, *shape]`, held.
        run: what runs `net`.
        expected: from `simulated` or `stored`.
        advance: is told how many samples were run since it was last called.

    Raises:
        NotBitExact: when counts differ where no trace does; a difference in a trace is in the
            result.
    """
    comparison = Comparison(0, 0, 0, None)
    done = 0
    what = expected.traced
    for piece in samples.pieces(piece_size(net, samples, what.layers)):
        chosen = what.of(done, len(piece))
        wanted, counted = expected.of(done, piece)
        got = run_piece(run, piece, what.layers, chosen)
        here = compare(wanted, got.trace).of(chosen)
        comparison = comparison.then(here, done)
        wrong = (counted != got.counts).nonzero()
        if here.equal and len(wrong[0]):
            at, neuron = int(wrong[0][0]), int(wrong[1][0])
            raise NotBitExact(
                f"{net.output}: neuron {neuron} spiked {int(got.counts[at, neuron])} times in "
                f"sample {done + at}, expected {int(counted[at, neuron])}; trace all layers to see "
                "where"
            )
        done += len(piece)
        advance(len(piece))
    return comparison


def simulated(net: Network, run: Run) -> Expected:
    """Expect what another engine makes of each sample, in all layers."""
    everything = tuple(net.neurons)

    def ran(_: int, piece: Images) -> tuple[Trace, Counts]:
        result = run(piece, everything)
        return result.trace, result.counts

    return Expected(Traced(everything), ran)


def stored(net: Network, samples: Samples, path: Path) -> Expected:
    """Expect what a file holds: counts, and the traces that are in it.

    Args:
        net: the network.
        samples: all that the file is of.
        path: of an `out.npz`, as `lehr.simulate.partial.arrays_of` makes its arrays.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no whole result of this network on so many samples.
    """
    total, limit = samples.shape[0], result_bytes(net, samples)
    if not path.is_file():
        raise UsageError(f"{path} does not exist; name a result of `lehr simulate`, or an engine")
    names = {name: (f"spikes.{name}", f"membrane.{name}") for name in net.neurons}
    with Archive(path) as archive:
        wanted = ("counts", SAMPLES, *(array for pair in names.values() for array in pair))
        headers = {name: archive.header(name) for name in wanted if name in archive}
        for name, header in headers.items():
            if header.dtype.kind not in "iu" or not header.shape:
                raise FileRefused(
                    f"{path}: {name} is {header}, no integers; give a result of `lehr simulate`"
                )
        counted = headers.pop("counts", None)
        if counted is None or counted.shape[0] != total:
            rows = counted.shape[0] if counted is not None else "no"
            raise FileRefused(
                f"{path} has counts of {rows} samples, the input {total}; give a whole result of "
                "the same input"
            )
        classes = math.prod(net.shapes[net.output])
        if counted.shape != (total, classes):
            raise FileRefused(
                f"{path} has counts {list(counted.shape)}, the network {classes} classes; give a "
                "result of this network"
            )
        chosen = archive.read(SAMPLES) if headers.pop(SAMPLES, None) is not None else None
        if chosen is not None and (chosen.ndim != 1 or not _ascending(chosen, total)):
            raise FileRefused(
                f"{path}: {SAMPLES} is not a list of numbers that ascend below {total}; give a "
                "result of `lehr simulate`"
            )
        what = Traced(
            tuple(name for name, pair in names.items() if all(array in headers for array in pair)),
            None if chosen is None else tuple(chosen.tolist()),
        )
        many = total if what.samples is None else len(what.samples)
        for name, header in headers.items():
            if header.shape[0] != many:
                raise FileRefused(
                    f"{path}: {name} is of {header.shape[0]} samples, not {many}; give a whole "
                    "result of the same input"
                )
        counts = read_trace(archive, "counts", limit)
        arrays = {name: read_trace(archive, name, limit) for name in headers}
    before = 0

    def read(start: int, piece: Images) -> tuple[Trace, Counts]:
        nonlocal before
        at = slice(before, before + len(what.of(start, len(piece))))
        before = at.stop
        layers = what.layers if at.stop > at.start else ()
        trace = Trace(
            {n: arrays[f"spikes.{n}"][at] for n in layers},
            {n: arrays[f"membrane.{n}"][at] for n in layers},
        )
        return trace, counts[start : start + len(piece)]

    return Expected(what, read)


def _ascending(numbers: npt.NDArray[np.int64], total: int) -> bool:
    return all(lower < higher for lower, higher in pairwise([-1, *numbers.tolist(), total]))
