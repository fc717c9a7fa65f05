"""`lehr simulate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import INTERRUPTED, Json, Output, percent, samples_progress, session, shape_text
from lehr.cli.engines import DEFAULT, HELP, engine
from lehr.cli.options import InputFile, Model

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from lehr.cli.engines import Run
    from lehr.network import Network
    from lehr.npz import Samples
    from lehr.simulate import Comparison, Result, Trace

PIECE = 512
"""Samples between two looks at the clock."""
PIECE_BYTES = 1 << 26
"""What they may take as input."""


def simulate(
    model: Model,
    inputs: InputFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT.npz", help="Write counts, predictions and traces here.")
    ] = None,
    trace: Annotated[
        list[str] | None, typer.Option("--trace", metavar="NODE", help="Keep spikes and membranes of a layer, or of 'all'.")
    ] = None,
    engine_name: Annotated[str, typer.Option("--engine", help=HELP)] = DEFAULT,
    threads: Annotated[
        int, typer.Option("--threads", min=0, show_default=False, help="Samples are spread over them; as many as cores if left out.")
    ] = 0,
    compare_with: Annotated[
        str | None, typer.Option("--compare", metavar="OUT.npz|ENGINE", help="Compare with a result, or with another engine.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run to the same OUT.npz stopped.")] = False,
    as_json: Json = False,
) -> None:
    """Run a network on inputs, exactly: spike counts, predictions and, with labels, accuracy."""
    with session(as_json) as out:
        from lehr import nirfile
        from lehr.errors import UsageError
        from lehr.npz import Samples
        from lehr.simulate.result import check_shape

        if inputs is None:
            raise UsageError("no input is given; name an .npz file with -i")
        if resume and output is None:
            raise UsageError("--resume needs the result to go on with; name it with -o")
        net = nirfile.read(model)
        samples = Samples(inputs)
        check_shape(net, samples.shape)
        traced = tuple(net.neurons) if trace and "all" in trace else tuple(name for name in net.neurons if name in (trace or ()))
        for name in set(trace or ()) - {"all", *net.neurons}:
            raise UsageError(f"{name!r} is no neuron layer; trace one of {', '.join(net.neurons)}")
        run = engine(engine_name, net, threads or len(os.sched_getaffinity(0)))
        out.facts["engine"] = engine_name
        if compare_with is not None:
            _compare(out, net, samples, run, compare_with)
            return
        result = _run(out, net, samples, run, traced, output, resume)
        _report(out, net, samples, result)
        if output is not None and not out.exit_code:
            out.say(f"wrote {output}")
            out.facts["output"] = str(output)


def _size(samples: Samples) -> int:
    each = 1
    for side in samples.shape[1:]:
        each *= side
    return max(1, min(PIECE, PIECE_BYTES // each))


def _run(out: Output, net: Network, samples: Samples, run: Run, traced: tuple[str, ...], output: Path | None, resume: bool) -> Result:
    """Run all samples; when interrupted, write those that are done, if there are any."""
    from lehr.atomic import write_bytes
    from lehr.cli.partial import arrays_of, partial_arrays, read_partial
    from lehr.npz import npz_bytes
    from lehr.simulate.result import joined

    total, size = samples.shape[0], _size(samples)
    parts = [read_partial(output, net, samples.shape, traced)] if resume and output is not None else []
    start = len(parts[0].counts) if parts else 0
    try:
        with samples_progress() as bar:
            task = bar.add_task("samples", total=total, completed=start)
            for piece in samples.pieces(size, start):
                parts.append(run(piece, traced))
                bar.advance(task, len(piece))
    except KeyboardInterrupt:
        if not parts or output is None:
            raise
        result = joined(parts)
        write_bytes(output, npz_bytes(partial_arrays(net, result, samples.shape, traced)))
        done = len(result.counts)
        out.say(f"interrupted; wrote the first {done:,} of {total:,} samples to {output}; add --resume to go on")
        out.facts.update(output=str(output), interrupted=True)
        out.fail(INTERRUPTED)
        return result
    result = joined(parts)
    if output is not None:
        write_bytes(output, npz_bytes(arrays_of(result)))
    return result


def _report(out: Output, net: Network, samples: Samples, result: Result) -> None:
    """Print what became of every layer."""
    from lehr.simulate.statistics import operations

    layers = result.layers
    out.table(
        ("layer", "shape", "spike rate", "saturations", "lowest", "highest", "dead", "always on"),
        [
            (n, shape_text(net.shapes[n]), f"{s.rate:.4f}", s.saturations, f"{s.lowest:,}", f"{s.highest:,}", s.dead, s.always_on)
            for n, s in layers.items()
        ],
    )
    counted = operations(net, result)
    out.table(
        ("weights", "operations, dense", "by event", "share"),
        [(n, f"{o.dense:,}", f"{o.events:,}", percent(o.events / o.dense) if o.dense else "") for n, o in counted.items()],
    )
    done = len(result.counts)
    out.facts.update(
        samples=done,
        rates=result.rates,
        saturations=result.saturations,
        layers={
            n: {"spikes": int(s.spikes.sum()), "lowest": s.lowest, "highest": s.highest, "dead": s.dead, "always_on": s.always_on}
            for n, s in layers.items()
        },
        operations={n: {"dense": o.dense, "events": o.events} for n, o in counted.items()},
    )
    if samples.labels is not None:
        accuracy = result.accuracy(samples.labels[:done])
        out.say(f"accuracy: {percent(accuracy)} of {done:,} samples")
        out.facts["accuracy"] = accuracy


def _compare(out: Output, net: Network, samples: Samples, run: Run, other: str) -> None:
    """Compare every sample with another engine, or with the arrays of an `out.npz`."""
    from lehr.errors import NotBitExact
    from lehr.simulate import compare

    found: Comparison | None = None
    done = 0
    with samples_progress() as bar:
        task = bar.add_task("samples", total=samples.shape[0])
        expected = _expected(net, samples, other)
        for piece in samples.pieces(_size(samples)):
            wanted, counted = expected(done, piece)
            got = run(piece, tuple(wanted.spikes))
            here = compare(wanted, got.trace)
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
    found.require_equal(other)


def _expected(net: Network, samples: Samples, other: str) -> Callable[[int, npt.NDArray[np.uint8]], tuple[Trace, npt.NDArray[np.int32]]]:
    """What gives, for the samples from one on, the trace and the counts that are expected of them."""
    from lehr.errors import FileRefused
    from lehr.npz import read_arrays
    from lehr.simulate import Trace

    if not other.endswith(".npz"):
        run = engine(other, net)

        def simulated(_: int, piece: npt.NDArray[np.uint8]) -> tuple[Trace, npt.NDArray[np.int32]]:
            result = run(piece, tuple(net.neurons))
            return result.trace, result.counts

        return simulated
    names = {name: (f"spikes.{name}", f"membrane.{name}") for name in net.neurons}
    arrays = read_arrays(Path(other), ("counts", *(array for pair in names.values() for array in pair)))
    if "counts" not in arrays or any(len(array) != samples.shape[0] for array in arrays.values()):
        told = len(arrays["counts"]) if "counts" in arrays else "no"
        raise FileRefused(f"{other} has counts of {told} samples, the input {samples.shape[0]}; give a whole result of the same input")
    traced = [name for name, pair in names.items() if all(array in arrays for array in pair)]

    def stored(start: int, piece: npt.NDArray[np.uint8]) -> tuple[Trace, npt.NDArray[np.int32]]:
        at = slice(start, start + len(piece))
        spikes = {name: arrays[f"spikes.{name}"][at] for name in traced}
        return Trace(spikes, {name: arrays[f"membrane.{name}"][at] for name in traced}), arrays["counts"][at]

    return stored
