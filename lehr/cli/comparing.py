"""`lehr simulate --compare`."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from lehr.cli.console import Output, samples_progress
from lehr.cli.engines import engine
from lehr.cli.pieces import SAMPLES, Traced, piece_size, result_bytes, run_piece

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from lehr.cli.engines import Run
    from lehr.network import Network
    from lehr.samples import Samples
    from lehr.simulate import Comparison, Trace

    Expected = Callable[[int, npt.NDArray[np.uint8]], tuple[Trace, npt.NDArray[np.int32]]]
    """From the number of the first sample, and samples from there on, their trace and counts; to be asked in order."""


def compare_samples(out: Output, net: Network, samples: Samples, run: Run, other: str) -> None:
    """Compare every sample with another engine, or with the arrays of an `out.npz`."""
    from lehr.errors import NotBitExact
    from lehr.simulate import compare

    found: Comparison | None = None
    done = 0
    with samples_progress() as bar:
        task = bar.add_task("samples", total=samples.shape[0])
        what, expected = _expected(net, samples, other)
        for piece in samples.pieces(piece_size(net, samples, what.layers)):
            chosen = what.of(done, len(piece))
            wanted, counted = expected(done, piece)
            got = run_piece(run, piece, what.layers, chosen)
            here = compare(wanted, got.trace).of(chosen)
            found = here if found is None else found.then(here, done)
            wrong = (counted != got.counts).nonzero()
            if here.equal and len(wrong[0]):
                at, neuron = int(wrong[0][0]), int(wrong[1][0])
                times = f"{int(got.counts[at, neuron])} times in sample {done + at}, expected {int(counted[at, neuron])}"
                raise NotBitExact(f"{net.output}: neuron {neuron} spiked {times}; trace all layers to see where")
            done += len(piece)
            bar.advance(task, len(piece))
    assert found is not None
    out.say(f"against {other}: {found}; counts of {done:,} samples are equal" if found.equal else f"against {other}: {found}")
    out.facts.update(compared=other, values=found.values, membranes=found.membranes, spikes=found.spikes, samples=done)
    out.checked = True
    found.require_equal(other)


def _expected(net: Network, samples: Samples, other: str) -> tuple[Traced, Expected]:
    """What is compared besides counts, and what is expected there."""
    if not other.endswith(".npz"):
        run, everything = engine(other, net), tuple(net.neurons)

        def simulated(_: int, piece: npt.NDArray[np.uint8]) -> tuple[Trace, npt.NDArray[np.int32]]:
            result = run(piece, everything)
            return result.trace, result.counts

        return Traced(everything), simulated
    return _stored(net, samples, Path(other))


def _stored(net: Network, samples: Samples, path: Path) -> tuple[Traced, Expected]:
    """What a file holds."""
    from lehr.errors import FileRefused, UsageError
    from lehr.npz import Archive
    from lehr.simulate import Trace

    total, limit = samples.shape[0], result_bytes(net, samples)
    if not path.is_file():
        raise UsageError(f"{path} does not exist; name a result of `lehr simulate`, or an engine")
    names = {name: (f"spikes.{name}", f"membrane.{name}") for name in net.neurons}
    with Archive(path) as archive:
        wanted = ("counts", SAMPLES, *(array for pair in names.values() for array in pair))
        headers = {name: archive.header(name) for name in wanted if name in archive}
        for name, header in headers.items():
            if header.dtype.kind not in "iu" or not header.shape:
                raise FileRefused(f"{path}: {name} is {header}, no integers; give a result of `lehr simulate`")
        counted = headers.pop("counts", None)
        if counted is None or counted.shape[0] != total:
            rows = counted.shape[0] if counted is not None else "no"
            raise FileRefused(f"{path} has counts of {rows} samples, the input {total}; give a whole result of the same input")
        classes = math.prod(net.shapes[net.output])
        if counted.shape != (total, classes):
            raise FileRefused(f"{path} has counts {list(counted.shape)}, the network {classes} classes; give a result of this network")
        chosen = archive.read(SAMPLES) if headers.pop(SAMPLES, None) is not None else None
        if chosen is not None and (chosen.ndim != 1 or not _ascending(chosen, total)):
            raise FileRefused(f"{path}: {SAMPLES} is not a list of numbers that ascend below {total}; give a result of `lehr simulate`")
        what = Traced(
            tuple(name for name, pair in names.items() if all(array in headers for array in pair)),
            None if chosen is None else tuple(chosen.tolist()),
        )
        many = total if what.samples is None else len(what.samples)
        for name, header in headers.items():
            if header.shape[0] != many:
                raise FileRefused(f"{path}: {name} is of {header.shape[0]} samples, not {many}; give a whole result of the same input")
        counts = archive.read("counts", limit)
        arrays = {name: archive.read(name, limit) for name in headers}
    before = 0

    def stored(start: int, piece: npt.NDArray[np.uint8]) -> tuple[Trace, npt.NDArray[np.int32]]:
        nonlocal before
        at = slice(before, before + len(what.of(start, len(piece))))
        before = at.stop
        layers = what.layers if at.stop > at.start else ()
        trace = Trace({n: arrays[f"spikes.{n}"][at] for n in layers}, {n: arrays[f"membrane.{n}"][at] for n in layers})
        return trace, counts[start : start + len(piece)]

    return what, stored


def _ascending(numbers: npt.NDArray[np.int64], total: int) -> bool:
    told = [-1, *numbers.tolist(), total]
    return all(lower < higher for lower, higher in pairwise(told))
