"""Simulation of networks, and comparison of results."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lehr.api.given import AnyNetwork, Inputs, Place, network, opened, pixels
from lehr.atomic import require_another_file
from lehr.errors import NotBitExact, UsageError
from lehr.npz import write_npz
from lehr.simulate.compare import Comparison
from lehr.simulate.compare import compare as compare_traces
from lehr.simulate.engines import STREAMS
from lehr.simulate.layers import named_layers
from lehr.simulate.partial import arrays_of
from lehr.simulate.pieces import Traced, are_recordings, pieces, run_piece
from lehr.simulate.result import Result, Trace
from lehr.simulate.resuming import finished_samples, simulate_to
from lehr.targets.engines import engine as engine_called
from lehr.targets.spread_engine import pieces_by
from lehr.workers.asked import workers_of


def simulate(
    net: AnyNetwork,
    x: Inputs,
    *,
    trace: str | Iterable[str] = (),
    trace_samples: Iterable[int] | None = None,
    engine: str = "fast",
    threads: int | None = None,
    frames: str | None = None,
    output: Place | None = None,
    resume: bool = False,
    workers: int | str = 1,
) -> Result:
    """Run a network on inputs, exactly.

    Args:
        net: the network, what an export gave back, or a `.nir` file.
        x: samples: whole numbers, `[N, *shape]`, held for all steps, or `[N, T, *shape]`; or an
            `.npz` file, a recording, or shards: a folder, or "@LIST.txt".
        trace: layers of neurons whose spikes and membranes are kept; "all" for all of them.
        trace_samples: numbers of the samples that are traced; all if None.
        engine: what runs it: "fast", "reference", "torch", or a target whose tool can.
        threads: over which samples are spread; as many as there are cores if None.
        frames: how a recording is cut into steps, as "step_us=1000".
        output: the `.npz` file to write the result to; none if None. Of a run on a file that is
            interrupted (a KeyboardInterrupt), the samples that were finished are written there.
        resume: whether to go on with what an interrupted run wrote to `output`.
        workers: over which samples in a file are spread: a number of processes, "ray" for a cluster
            of Ray that is running here, or its address, "ray://HOST:PORT".

    Raises:
        UsageError: when there is no such file, layer or engine.
        FileRefused: when the inputs are not what the network takes.
        NotMappable: when the engine does not compute the network.
        ToolMissing: when the engine is not on this machine, or the cluster does not answer.
        WorkerLost: when a piece of the work has ended three workers.

    >>> import lehr
    >>> result = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> result.counts.shape
    (80, 10)
    """
    files = [Path(each) for each in (net, x) if isinstance(each, (str, os.PathLike))]
    require_another_file(None if output is None else Path(output), *files)
    net, team = network(net), workers_of(workers)
    layers = named_layers(net, (trace,) if isinstance(trace, str) else trace)
    run = engine_called(engine, net, threads or len(os.sched_getaffinity(0)))
    samples = opened(net.input, x, frames)
    chosen = None if trace_samples is None else tuple(sorted(set(trace_samples)))
    traced = Traced(layers, chosen)
    if samples is None:
        if resume or team is not None:
            named = "resume is" if resume else "workers are"
            raise UsageError(f"{named} for samples in a file; name the file, or leave it out")
        given = pixels(x)
        result = run_piece(run, given, layers, traced.of(0, len(given)))
        if output is not None:
            write_npz(Path(output), arrays_of(result, chosen))
        return result
    path = None if output is None else Path(output)
    require_another_file(path, samples.path, *samples.files)
    finished = finished_samples(path, net, samples, traced) if resume else None
    start = 0 if finished is None else len(finished.counts)
    with ExitStack() as stack:
        if team is None or are_recordings(net, samples):
            parts = pieces(run, net, samples, traced, start, stream=STREAMS.get(engine))
        else:
            stack.enter_context(team)
            parts = pieces_by(team, engine, net, samples, traced, start)
        return simulate_to(path, parts, net, samples, traced, finished=finished)


def compare(expected: Result | Trace, got: Result | Trace) -> Comparison:
    """Compare the traces of two runs, value by value, to the first difference.

    Args:
        expected: what is right.
        got: what is compared with it; both with the same layers in `trace`.

    Raises:
        NotBitExact: when a layer is missing in `got` or has another shape, or where what was traced
            is equal and the counts are not.
        UsageError: when nothing was traced.

    >>> import lehr
    >>> fast = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> slow = lehr.simulate("model.nir", "in.npz", trace="all", engine="reference")
    >>> lehr.compare(slow, fast).equal
    True
    """
    one, other = _trace(expected), _trace(got)
    if not one.spikes:
        raise UsageError(
            "nothing was traced, so nothing can be compared; run both with trace='all'"
        )
    compared = compare_traces(one, other)
    counts = [each.counts for each in (expected, got) if isinstance(each, Result)]
    if compared.equal and len(counts) == 2 and not np.array_equal(counts[0], counts[1]):
        raise NotBitExact(
            "the traces are equal, but the counts of spikes are not; trace all samples to see where"
        )
    return compared


def _trace(given: Result | Trace) -> Trace:
    if not isinstance(given, (Result, Trace)):
        raise UsageError(
            f"a {type(given).__name__} is no result of lehr.simulate; give two results, or their "
            "traces"
        )
    return given.trace if isinstance(given, Result) else given
