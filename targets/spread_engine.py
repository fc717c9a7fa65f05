"""Simulation by workers: pieces of samples, each of which an engine runs at one of them.

parts = pieces_by(workers, "fast", net, samples)
result = simulate_to(Path("out.npz"), parts, net, samples)
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from lehr import nirfile
from lehr.network import Network
from lehr.samples import Samples
from lehr.simulate.engines import Run
from lehr.simulate.partial import result_of, whole_arrays
from lehr.simulate.pieces import NOTHING, Traced, piece_size, run_piece
from lehr.simulate.result import Result
from lehr.targets.engines import engine
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Send, Task, Workers, as_bytes

AHEAD = 2
"""Pieces for each worker that may be done while an earlier one is waited for."""


def pieces_by(
    workers: Workers,
    name: str,
    net: Network,
    samples: Samples,
    what: Traced = NOTHING,
    start: int = 0,
    *,
    advance: Callable[[float], object] = lambda _: None,
) -> Iterator[Result]:
    """Run the samples from `start` on, and yield the results of pieces, in their order.

    Args:
        workers: who run them.
        name: of the engine.
        net: the network.
        samples: inputs, `[N, T, *shape]`, or `[N, *shape]`, held.
        what: is traced.
        start: the first sample that is run.
        advance: is told how many samples were run since it was last called.

    Raises:
        WorkerLost: when a piece has ended three workers.
        FileRefused, NotMappable, UsageError: as `lehr.simulate.pieces.pieces`.
    """
    shared = Parcel(
        {"engine": name, "threads": workers.cores}, {"net": as_bytes(nirfile.to_bytes(net))}
    )

    def tasks() -> Iterator[Task]:
        at = start
        even = -(-(samples.shape[0] - start) // workers.size)  # of a few samples all get some
        size = min(piece_size(net, samples, what.layers), even)
        for x in samples.pieces(size, start):
            facts = {"layers": what.layers, "chosen": what.of(at, len(x))}
            name = f"samples {at:,} to {at + len(x) - 1:,}"
            yield Task(name, piece, partial(Parcel, facts, {"x": x}), shared)
            at += len(x)

    for _, parcel in spread(workers, tasks(), ahead=AHEAD * workers.size, level=logging.DEBUG):
        assert parcel is not None
        result = result_of(net, parcel.arrays)
        yield result
        advance(len(result.counts))


def piece(own: Parcel, shared: Parcel, _: Send) -> Parcel:
    """Run a piece; what a worker does."""
    facts = shared.facts
    run = _engine(facts["engine"], shared.arrays["net"].tobytes(), facts["threads"])
    result = run_piece(run, own.arrays["x"], tuple(own.facts["layers"]), own.facts["chosen"])
    return Parcel({}, whole_arrays(result))


@lru_cache(maxsize=1)
def _engine(name: str, net: bytes, threads: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        path = Path(scratch) / "model.nir"
        path.write_bytes(net)
        return engine(name, nirfile.read(path), threads)
