"""`lehr convert`: an artificial neural network as a spiking one, and its accuracy by time."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, percent, session
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.export.ann.converting import ConvertedAnn

_FACTORY = re.compile(r"(?P<path>.+\.py):(?P<factory>\w+)")


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.py:FACTORY",
            help="A Python file and a function in it that returns a trained torch model with "
            "ReLUs. The code in the file is run: use only files that you trust.",
        ),
    ],
    sample: Annotated[
        Path,
        typer.Option(
            "-i",
            "--input",
            metavar="IN.npz",
            help="Samples on which accuracy is measured, uint8, in an array 'input'; optionally "
            "'labels'.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL.nir", help="The file to write.")
    ],
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="IN.npz",
            help="Samples on which activations are measured, better those of the training; those "
            "of -i if left out.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="For how many steps a sample is held.")] = 64,
    full_scale: Annotated[
        float | None, typer.Option(help="What the model takes inputs divided by, 255 for pixels.")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="int2..int8",
            help="What weights that are no levels are rounded to.",
            autocompletion=completing.integer_weights,
        ),
    ] = "int8",
    percentile: Annotated[
        float,
        typer.Option(
            help="Which of a layer's activations above 0 a spike in every step stands for."
        ),
    ] = 99.9,
    shift: Annotated[
        bool,
        typer.Option(
            "--shift/--no-shift",
            help="Whether half a threshold is added over all steps, so that rates are rounded to "
            "nearest, not down.",
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Convert an artificial neural network with ReLUs to a spiking one.

    Thresholds are balanced on --calibrate; accuracy is measured on -i, by the number of steps. The
    file is compared with the spiking model in double precision, spike by spike.
    """
    with session(as_json) as out:
        named = _FACTORY.fullmatch(source)
        if named is None:
            raise UsageError(
                f"{source}: which function in which Python file makes the model? give it as "
                "model.py:factory"
            )
        from lehr.api import convert as converted
        from lehr.export.torchmodels.file import load_model

        result = converted(
            load_model(Path(named["path"]), named["factory"]),
            sample,
            output,
            calibrate=calibrate,
            steps=steps,
            full_scale=full_scale,
            weights=weights,  # type: ignore[arg-type]  # refused if it is no kind
            percentile=percentile,
            shift=shift,
        )
        _print(out, result)
        out.facts["model"] = str(output)
        out.say(f"wrote {output}")
        out.then("simulate", output, "-i", sample)


def _print(out: Output, result: ConvertedAnn) -> None:
    verified = result.verified
    rows = [
        (
            name,
            f"{layer.greatest:.4g}",
            f"{layer.activation:.4f}",
            f"{layer.rate:.4f}",
            f"{layer.error:.4f}",
            verified.network.neurons[name].fields.state_bits,
        )
        for name, layer in result.layers.items()
    ]
    columns = ("layer", "a spike a step", "activation", "rate", "rate error", "state bits")
    out.table(columns, rows)
    known = result.ann_accuracy is not None
    times = [
        (
            row.steps,
            *((percent(row.accuracy),) if row.accuracy is not None else ()),
            percent(row.agreement),
            f"{row.spikes:,.1f}",
        )
        for row in result.by_steps
    ]
    heads = ("steps", *(("accuracy",) if known else ()), "as the ANN", "spikes a sample")
    out.table(heads, times)
    differ = sum(verified.differ.values())
    out.say(
        f"{differ:,} of {verified.values:,} spikes differ from those of the thresholds before "
        "they were rounded"
    )
    if result.ann_accuracy is not None:
        out.say(f"accuracy of the ANN: {percent(result.ann_accuracy)}")
    out.checked = True
    out.facts.update(
        network=verified.network.digest,
        samples=result.samples,
        layers={name: asdict(layer) for name, layer in result.layers.items()},
        by_steps=[asdict(row) for row in result.by_steps],
        values=verified.values,
        spikes_differ=differ,
        proven=dict(verified.proven),
    )
    if result.ann_accuracy is not None:
        out.facts.update(ann_accuracy=result.ann_accuracy, accuracy=result.by_steps[-1].accuracy)
