"""`lehr simulate`."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.comparing import compare_with
from lehr.cli.console import (
    INTERRUPTED,
    Json,
    Output,
    percent,
    samples_progress,
    session,
    shape_text,
)
from lehr.cli.crossbar import refuse_beside_device, simulate_on_devices
from lehr.cli.engines import DEFAULT, HELP, import_ahead
from lehr.cli.models import read_model
from lehr.cli.options import FramesOption, Model, Recorded, WorkersOption
from lehr.cli.traced import traced

if TYPE_CHECKING:
    from lehr.arithmetic import Int64
    from lehr.network import Network
    from lehr.samples import Samples
    from lehr.simulate import Result
    from lehr.simulate.engines import Run
    from lehr.simulate.pieces import Traced
    from lehr.workers.work import Workers

SHOWN = 10
"""Samples of which the class is printed."""


def simulate(
    model: Model,
    inputs: Recorded = None,
    frames: FramesOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT.npz", help="Write counts, predictions and traces here."
        ),
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            "--trace",
            metavar="NODE",
            help="Keep spikes and membranes of a layer, or of 'all'.",
            autocompletion=completing.neurons,
        ),
    ] = None,
    trace_samples: Annotated[
        str | None,
        typer.Option(
            "--trace-samples", metavar="NUMBERS", help="Trace these samples alone, as 0,7,100-199."
        ),
    ] = None,
    engine_name: Annotated[
        str, typer.Option("--engine", help=HELP, autocompletion=completing.engines)
    ] = DEFAULT,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            min=0,
            show_default=False,
            help="Samples are spread over them; as many as cores if left out.",
        ),
    ] = 0,
    compared: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="OUT.npz|ENGINE",
            help="Compare with a result, or with another engine.",
            autocompletion=completing.engines,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where an interrupted run to the same OUT.npz stopped."
        ),
    ] = False,
    device: Annotated[
        Path | None,
        typer.Option(
            "--device",
            metavar="DEVICE.toml",
            help="Run it on drawn memristive crossbars that the file describes, and compare "
            "accuracy and spikes with the exact network's.",
        ),
    ] = None,
    workers: WorkersOption = "1",
    as_json: Json = False,
) -> None:
    """Run a network on inputs, exactly, or on memristive crossbars.

    Spike counts, predictions and, with labels, accuracy are printed.
    """
    with session(as_json) as out:
        from lehr.atomic import require_another_file, require_file_or_nothing
        from lehr.errors import UsageError
        from lehr.recordings import open_inputs
        from lehr.simulate.result import check_shape
        from lehr.targets.engines import engine
        from lehr.workers.asked import workers_of

        team = workers_of(workers)
        if team is not None and (device is not None or compared is not None):
            raise UsageError(
                f"--workers {workers} is for a plain run; leave it out beside "
                f"{'--compare' if device is None else '--device'}"
            )
        if inputs is None:
            raise UsageError("no input is given; name an .npz file or a recording with -i")
        if resume and output is None:
            raise UsageError("--resume needs the result to go on with; name it with -o")
        crossbar = None
        if device is not None:
            from lehr.simulate.crossbar import read_device

            refuse_beside_device(
                trace=trace, trace_samples=trace_samples, compare=compared, resume=resume
            )
            crossbar = read_device(device)
        if output is not None:
            require_file_or_nothing(output)
            require_another_file(output, model, inputs, *(() if device is None else (device,)))
        import_ahead(engine_name)
        net = read_model(out, model)
        samples = open_inputs(inputs, net.input, frames)
        require_another_file(output, samples.path, *samples.files)
        check_shape(net, samples.shape)
        samples.require_classes(math.prod(net.shapes[net.output]))
        what = traced(net, trace or [], trace_samples, samples.shape[0])
        run = engine(engine_name, net, threads or len(os.sched_getaffinity(0)))
        out.facts["engine"] = engine_name
        out.then("check", model)
        if crossbar is not None and device is not None:
            simulate_on_devices(out, net, samples, crossbar, device, run, output)
            return
        if compared is not None:
            compare_with(out, net, samples, run, compared)
            return
        result = _run(out, net, samples, engine_name, run, what, output, resume, team)
        _report(out, net, samples, result)
        if output is not None and not out.exit_code:
            out.say(f"wrote {output}")
            out.facts["output"] = str(output)


def _run(
    out: Output,
    net: Network,
    samples: Samples,
    engine_name: str,
    run: Run,
    what: Traced,
    output: Path | None,
    resume: bool,
    team: Workers | None,
) -> Result:
    """Run all samples, recordings here; when interrupted, say how many of them were written."""
    from lehr.simulate.engines import STREAMS
    from lehr.simulate.pieces import are_recordings, pieces
    from lehr.simulate.resuming import Interrupted, finished_samples, simulate_to
    from lehr.targets.spread_engine import pieces_by

    finished = finished_samples(output, net, samples, what) if resume else None
    total, start = samples.shape[0], 0 if finished is None else len(finished.counts)
    stream = STREAMS.get(engine_name)
    try:
        with samples_progress() as bar, ExitStack() as stack:
            advance = partial(bar.advance, bar.add_task("samples", total=total, completed=start))
            if team is None or are_recordings(net, samples):
                parts = pieces(run, net, samples, what, start, stream=stream, advance=advance)
            else:
                stack.enter_context(team)
                parts = pieces_by(team, engine_name, net, samples, what, start, advance=advance)
            return simulate_to(output, parts, net, samples, what, finished=finished)
    except Interrupted as interrupted:
        done = len(interrupted.result.counts)
        out.say(
            f"interrupted; wrote the first {done:,} of {total:,} samples to {output}; add --resume "
            "to go on"
        )
        out.facts.update(output=str(output), interrupted=True)
        out.fail(INTERRUPTED)
        return interrupted.result


def _report(out: Output, net: Network, samples: Samples, result: Result) -> None:
    """Print the statistics of every layer."""
    from lehr.simulate.statistics import operations

    layers = result.layers
    out.table(
        ("layer", "shape", "spike rate", "saturations", "lowest", "highest", "dead", "always on"),
        [
            (
                n,
                shape_text(net.shapes[n]),
                f"{s.rate:.4f}",
                s.saturations,
                f"{s.lowest:,}",
                f"{s.highest:,}",
                s.dead,
                s.always_on,
            )
            for n, s in layers.items()
        ],
    )
    counted = operations(net, result)
    out.table(
        ("weights", "operations, dense", "by event", "share"),
        [
            (n, f"{o.dense:,}", f"{o.events:,}", percent(o.events / o.dense) if o.dense else "")
            for n, o in counted.items()
        ],
    )
    done = len(result.counts)
    labels = None if samples.labels is None else samples.labels[:done]
    _predictions(out, result, labels)
    out.facts.update(
        samples=done,
        rates=result.rates,
        saturations=result.saturations,
        layers={
            n: {
                "spikes": int(s.spikes.sum()),
                "lowest": s.lowest,
                "highest": s.highest,
                "dead": s.dead,
                "always_on": s.always_on,
            }
            for n, s in layers.items()
        },
        operations={n: {"dense": o.dense, "events": o.events} for n, o in counted.items()},
    )
    if labels is not None:
        accuracy = result.accuracy(labels)
        out.say(f"accuracy: {percent(accuracy)} of {done:,} samples")
        out.facts["accuracy"] = accuracy


def _predictions(out: Output, result: Result, labels: Int64 | None) -> None:
    """Print the class of the first samples; keep those of all for programs."""
    rows = [
        (n, int(won), f"{int(result.scores[n, won]):,}", *_label(labels, n))
        for n, won in enumerate(result.prediction[:SHOWN])
    ]
    more = (
        f", the first {SHOWN} of {len(result.prediction):,}"
        if len(result.prediction) > SHOWN
        else ""
    )
    out.say(f"class that won{more}:")
    out.table(("sample", "class", "score", *(() if labels is None else ("label",))), rows)
    winners = result.scores[range(len(result.scores)), result.prediction]
    out.facts.update(predictions=result.prediction.tolist(), scores=winners.tolist())
    if labels is not None:
        out.facts["labels"] = labels.tolist()


def _label(labels: Int64 | None, sample: int) -> tuple[int, ...]:
    return () if labels is None else (int(labels[sample]),)
