"""`lehr export`: a trained run, a snnTorch model or a network for another tool, as `.nir` file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, session
from lehr.cli.foreign import ForReader, from_network, print_reader_check
from lehr.cli.options import InputFile
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.export.torchmodels.network import FromTorch
    from lehr.network import Network

_FACTORY = re.compile(r"(?P<path>.+\.py)(:(?P<factory>\w+))?")


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL.py:FACTORY|MODEL.nir",
            help="Folder that `lehr train` wrote (RUN/last is its last epoch), or a Python file "
            "and a function in it that returns a trained snnTorch model, or, with --for, a .nir "
            "file of lehr's. The code in a Python file is run, as Python would run it: use only "
            "files that you trust.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL.nir", help="The file to write.")
    ],
    sample: InputFile = None,
    reader: ForReader = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of a model: for how many steps inputs without an axis of time are held."
        ),
    ] = None,
    full_scale: Annotated[
        float | None,
        typer.Option(help="Of a model: what it takes inputs divided by, 255 for pixels."),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="M,...",
            help="Of a model: what it takes from inputs after that, one number or one a channel.",
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(metavar="S,...", help="Of a model: and what it divides them by then."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="int2..int8",
            help="Of a model: round real weights to that.",
            autocompletion=completing.integer_weights,
        ),
    ] = None,
    decay_bits: Annotated[
        int | None, typer.Option(help="Of a model: round decays to k/2^n.", metavar="n")
    ] = None,
    fraction_bits: Annotated[
        int | None, typer.Option(help="Of a model: fraction bits of all layers.", metavar="F")
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Of a model: least fraction bits with which rounding moves nothing by more of a "
            "threshold.",
        ),
    ] = None,
    readout: Annotated[
        str | None,
        typer.Option(
            metavar="count|last|sum|max",
            help="Of a model: what decides, the count of the last layer's spikes or, of its "
            "membranes or values, the last, the sum or the maximum.",
            autocompletion=completing.words("count", "last", "sum", "max"),
        ),
    ] = None,
    read_from: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER", help="Of a model whose forward returns several answers: which decides."
        ),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Of a model: whether a spike that differs from the model's is a failure. It is, "
            "unless rounding is asked for.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a trained network to NIR, and verify the file.

    The file is compared with the network, spike by spike. A model is run in double precision on
    the samples of -i IN.npz, and every spike of every layer compared.
    """
    with session(as_json) as out:
        asked = {
            "--weights": weights,
            "--decay-bits": decay_bits,
            "--fraction-bits": fraction_bits,
            "--error": error,
        }
        named = _FACTORY.fullmatch(source)
        if named is None:
            network = Path(source).suffix.lower() == ".nir" and not Path(source).is_dir()
            others = {
                "-i": None if network else sample,
                "--steps": steps,
                "--full-scale": full_scale,
                "--mean": mean,
                "--std": std,
                "--readout": readout,
                "--read-from": read_from,
                "--strict": strict,
                **asked,
            }
            if given := [option for option, value in others.items() if value is not None]:
                kind = "a network" if network else "a run"
                raise UsageError(
                    f"{given[0]} is for a model, as model.py:factory, but {source} is {kind}; "
                    "leave it out"
                )
            if not network:
                _from_run(out, Path(source), output, reader)
            elif reader is None:
                raise UsageError(
                    f"{source}: which tool's importer is the network to be written for? say it by "
                    "--for, as --for snntorch"
                )
            else:
                from_network(out, Path(source), reader, sample, output)
            return
        if named["factory"] is None:
            raise UsageError(
                f"{source}: which function in it makes the model? give it as {source}:factory"
            )
        if sample is None:
            raise UsageError(
                f"{source}: no samples to compare on; give them with -i IN.npz, in an array 'input'"
            )
        from lehr.export.torchmodels.file import load_model
        from lehr.export.torchmodels.network import from_torch
        from lehr.network import HIGHEST, kind_divided
        from lehr.samples import read_samples

        model = load_model(Path(named["path"]), named["factory"])
        converted = from_torch(
            model,
            read_samples(sample, HIGHEST[kind_divided(full_scale)])[0],
            steps=steps,
            full_scale=full_scale,
            mean=_numbers("--mean", mean),
            std=_numbers("--std", std),
            weights=weights,  # type: ignore[arg-type]  # from_torch refuses what is no kind
            decay_bits=decay_bits,
            fraction_bits=fraction_bits,
            error=error,
            readout=readout,  # type: ignore[arg-type]  # and what is no readout
            read_from=read_from,
        )
        _from_model(out, source, converted, output, strict, reader)


def _numbers(name: str, text: str | None) -> list[float] | None:
    """Return the numbers that an option lists, as 0.49,0.48,0.45."""
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(
            f"{name} is {text!r}; give one number, or one a channel with commas between, as "
            "0.49,0.48,0.45"
        ) from None


def _from_run(out: Output, run: Path, output: Path, reader: str | None) -> None:
    """Write a trained run, compared with its trained twin, and print the comparison.

    With `reader`, it is written for that importer.
    """
    from lehr.export.checkpoint import load_run
    from lehr.runstate import SAMPLES_FILE
    from lehr.samples import read_samples
    from lehr.simulate.constant import constant_layers
    from lehr.train.runs.exporting import export_run

    trained = load_run(run)
    if not trained.stated:
        unseen = "so that damage to its weights cannot be seen"
        out.note(
            f"{run} is an older lehr's and states no digests, {unseen}; train it again to have them"
        )
    verified = export_run(trained, read_samples(run / SAMPLES_FILE)[0], output, reader)
    exported, result, compared = verified.network, verified.result, verified.compared
    if verified.reader:
        print_reader_check(out, exported, verified.reader)
    rows = [
        (
            name,
            layer.bits,
            f"{layer.membrane[0]:,}..{layer.membrane[1]:,}",
            "always" if layer.settled else f"{exported.steps} steps",
            f"{result.rates[name]:.4f}",
        )
        for name, layer in verified.widths.layers.items()
    ]
    out.table(("layer", "state bits", "proven membrane bounds", "hold for", "spike rate"), rows)
    _note_nearest(out, exported)
    for name, state in constant_layers(exported, result).items():
        out.note(
            f"on the {len(result.counts):,} samples that the run kept, {name} {state}; they say "
            "nothing of it"
        )
    out.say(
        f"{compared.spikes} of {compared.values:,} spikes differ, {compared.membranes} of "
        f"{compared.values:,} membranes differ"
    )
    out.checked = True
    out.facts.update(
        model=str(output),
        network=exported.digest,
        values=compared.values,
        spikes_differ=compared.spikes,
        membranes_differ=compared.membranes,
        rates=dict(result.rates),
        state_bits={name: layer.bits for name, layer in verified.widths.layers.items()},
    )
    out.say(f"wrote {output}")
    if reader is None:
        out.then("check", output)


def _note_nearest(out: Output, net: Network) -> None:
    """Say of which layers NIR has no type."""
    for name, neuron in net.neurons.items():
        if neuron.nir.lacks:
            out.note(
                f"{name}: NIR has no neuron for its update, as {' and '.join(neuron.nir.lacks)}; "
                f"it is written as the nearest, {neuron.nir.kind}, with its update exactly beside "
                "that"
            )


def _from_model(
    out: Output,
    source: str,
    converted: FromTorch,
    output: Path,
    strict: bool | None,
    reader: str | None,
) -> None:
    """Write a converted model, compared with the model itself, and print the comparison.

    With `reader`, it is written for that importer.
    """
    from lehr.export.verified import export_model
    from lehr.simulate.constant import constant_layers

    verified = export_model(converted, output, source=source, strict=strict, reader=reader)
    exported, result, differ, proven = (
        verified.network,
        verified.result,
        verified.differ,
        verified.proven,
    )
    if verified.reader:
        print_reader_check(out, exported, verified.reader)
    total = sum(differ.values())
    rows = []
    for name, neuron in exported.neurons.items():
        low, high = int(neuron.threshold.min()), int(neuron.threshold.max())
        threshold = f"{low:,}" if low == high else f"{low:,}..{high:,}"
        if report := converted.layers.get(name):
            bits = (report.folded.fraction_bits, report.width.bits)
        else:  # neurons that a maximum of spikes became
            bits = (neuron.fields.fraction_bits, neuron.fields.state_bits)
        row = (name, threshold, *bits, proven[name])
        fires = (
            ("-", "-") if neuron.integrates else (f"{result.rates[name]:.4f}", f"{differ[name]:,}")
        )
        rows.append((*row, *fires))
    out.table(
        (
            "layer",
            "threshold",
            "fraction bits",
            "state bits",
            "proven",
            "spike rate",
            "spikes differ",
        ),
        rows,
    )
    notes = [note for layer in converted.layers.values() for note in layer.notes]
    notes += [
        f"{name} {state}; these samples say nothing of it"
        for name, state in constant_layers(exported, result).items()
    ]
    for note in notes:
        out.say(note)
    _note_nearest(out, exported)
    out.say(f"{total:,} of {verified.values:,} spikes differ")
    if (read := verified.membranes) is not None:
        out.say(
            f"{read.differ:,} of {read.values:,} membranes of {read.layer} differ, by at most "
            f"{read.apart:.2g} of the largest; {read.decisions:,} of {len(result.prediction):,} "
            "decisions differ"
        )
        out.facts.update(membranes_differ=read.differ, decisions_differ=read.decisions)
    out.checked = True
    out.facts.update(
        model=str(output),
        network=exported.digest,
        values=verified.values,
        spikes_differ=total,
        exact=converted.exact,
        proven=dict(proven),
        notes=notes,
        rates=dict(result.rates),
        state_bits={name: layer.width.bits for name, layer in converted.layers.items()},
    )
    out.say(f"wrote {output}")
    if reader is None:
        out.then("check", output)
