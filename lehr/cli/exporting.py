"""`lehr export`: a trained run, a snnTorch model of one's own, or a network of lehr's for another tool, as a `.nir` file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import Json, Output, session
from lehr.cli.foreign import ForReader, from_network, reader_file
from lehr.cli.foreign import write as write_foreign
from lehr.cli.options import InputFile
from lehr.cli.proven import explained, marks, require_proven
from lehr.errors import NotBitExact, UsageError

if TYPE_CHECKING:
    from lehr.export.torch_network import FromTorch
    from lehr.export.torch_run import Spikes
    from lehr.network import Network
    from lehr.simulate.result import Trace

_FACTORY = re.compile(r"(?P<path>.+\.py)(:(?P<factory>\w+))?")


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL.py:FACTORY|MODEL.nir",
            help="Folder that `lehr train` wrote (RUN/last is its last epoch), or a Python file and a function in it that returns a "
            "trained snnTorch model, or, with --for, a .nir file of lehr's. The code in a Python file is run, as Python would run it: "
            "use only files that you trust.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL.nir", help="The file to write.")],
    sample: InputFile = None,
    reader: ForReader = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of a model: for how many steps inputs without an axis of time are held.")
    ] = None,
    full_scale: Annotated[float | None, typer.Option(help="Of a model: what it takes inputs divided by, 255 for pixels.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="int2..int8", help="Of a model: round real weights to that.")] = None,
    decay_bits: Annotated[int | None, typer.Option(help="Of a model: round decays to k/2^n.", metavar="n")] = None,
    fraction_bits: Annotated[int | None, typer.Option(help="Of a model: fraction bits of all layers.", metavar="F")] = None,
    error: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of a model: least fraction bits with which rounding moves nothing by more of a threshold."),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Of a model: whether a spike that differs from the model's is a failure. It is, unless rounding is asked for.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a trained network to NIR, and verify the file against it, spike by spike.

    A model is run in double precision on the samples of -i IN.npz, and every spike of every layer compared.
    """
    with session(as_json) as out:
        asked = {"--weights": weights, "--decay-bits": decay_bits, "--fraction-bits": fraction_bits, "--error": error}
        named = _FACTORY.fullmatch(source)
        if named is None:
            network = Path(source).suffix.lower() == ".nir" and not Path(source).is_dir()
            others = {"-i": None if network else sample, "--steps": steps, "--full-scale": full_scale, "--strict": strict, **asked}
            if given := [option for option, value in others.items() if value is not None]:
                kind = "a network" if network else "a run"
                raise UsageError(f"{given[0]} is for a model, as model.py:factory, but {source} is {kind}; leave it out")
            if not network:
                _from_run(out, Path(source), output, reader)
            elif reader is None:
                raise UsageError(f"{source}: which tool's importer is the network to be written for? say it by --for, as --for snntorch")
            else:
                from_network(out, Path(source), reader, sample, output)
            return
        if named["factory"] is None:
            raise UsageError(f"{source}: which function in it makes the model? give it as {source}:factory")
        if sample is None:
            raise UsageError(f"{source}: no samples to compare on; give them with -i IN.npz, in an array 'input'")
        from lehr.export.torch_file import load_model
        from lehr.export.torch_network import from_torch
        from lehr.samples import read_samples

        model = load_model(Path(named["path"]), named["factory"])
        made = from_torch(
            model,
            read_samples(sample)[0],
            steps=steps,
            full_scale=full_scale,
            weights=weights,  # type: ignore[arg-type]  # from_torch refuses what is no kind
            decay_bits=decay_bits,
            fraction_bits=fraction_bits,
            error=error,
        )
        given = [option for option, value in asked.items() if value is not None]
        _from_model(out, source, made, output, strict, given, reader)


def _from_run(out: Output, run: Path, output: Path, reader: str | None) -> None:
    """Write a trained run and compare it with the twin that was trained; for an importer, if one is named."""
    from lehr import nirfile
    from lehr.atomic import writing
    from lehr.export.checkpoint import SAMPLES_FILE, load_run
    from lehr.samples import read_samples
    from lehr.simulate import compare, simulate
    from lehr.train.twin import Twin, trace
    from lehr.widths import analyse

    told = load_run(run)
    if not told.stated:
        unseen = "so that damage to its weights cannot be seen"
        out.note(f"{run} is an older lehr's and states no digests, {unseen}; train it again to have them")
    widths = analyse(told.network)
    widths.require_float32()
    x, _ = read_samples(run / SAMPLES_FILE)
    foreign = reader_file(told.network, reader)
    with writing(output) as part:
        part.write_bytes(nirfile.to_bytes(told.network))
        exported = nirfile.read(part)
        result = simulate(exported, x, trace=exported.neurons)
        compared = compare(trace(Twin(told.network, latents=told.latents), x), result.trace)
        compared.require_equal("the exported file against the trained model")
        if foreign:
            write_foreign(out, exported, foreign, x, part)
    rows = [
        (
            name,
            layer.bits,
            f"{layer.membrane[0]:,}..{layer.membrane[1]:,}",
            "always" if layer.settled else f"{exported.steps} steps",
            f"{result.rates[name]:.4f}",
        )
        for name, layer in widths.layers.items()
    ]
    out.table(("layer", "state bits", "proven membrane bounds", "hold for", "spike rate"), rows)
    out.say(f"{compared.spikes} of {compared.values:,} spikes differ, {compared.membranes} of {compared.values:,} membranes differ")
    out.checked = True
    out.facts.update(
        model=str(output),
        network=exported.digest,
        values=compared.values,
        spikes_differ=compared.spikes,
        membranes_differ=compared.membranes,
        rates=dict(result.rates),
        state_bits={name: layer.bits for name, layer in widths.layers.items()},
    )
    out.say(f"wrote {output}")


def _from_model(
    out: Output, source: str, made: FromTorch, output: Path, strict: bool | None, asked: Sequence[str], reader: str | None
) -> None:
    """Write a converted model and compare it with the model itself; for an importer, if one is named."""
    from lehr import nirfile
    from lehr.atomic import writing
    from lehr.simulate import simulate

    foreign = reader_file(made.network, reader)
    expected = made.spikes()
    with writing(output) as part:
        part.write_bytes(nirfile.to_bytes(made.network))
        exported = nirfile.read(part)
        result = simulate(exported, made.sample, trace=exported.neurons)
        differ = {name: int((spikes != result.trace.spikes[name]).sum()) for name, spikes in expected.items()}
        total, values = sum(differ.values()), sum(spikes.size for spikes in expected.values())
        proven = marks(exported, [name for name, layer in made.layers.items() if not layer.exact])
        if total:
            require_proven(source, proven, differ, _first(expected, result.trace), _ITS_FORWARD)
        if total and strict:
            raise NotBitExact(
                f"{source}: {total:,} of {values:,} spikes differ from the model's, {_first(expected, result.trace)}; {_way_out(made)}"
            )
        if strict is None:
            _require_explained(source, made, exported, differ, asked)
        if foreign:
            write_foreign(out, exported, foreign, made.sample, part)
    rows = []
    for name, neuron in exported.neurons.items():
        low, high = int(neuron.threshold.min()), int(neuron.threshold.max())
        threshold = f"{low:,}" if low == high else f"{low:,}..{high:,}"
        bits = neuron.fields.fraction_bits, neuron.fields.state_bits
        rows.append((name, threshold, *bits, proven[name], f"{result.rates[name]:.4f}", f"{differ[name]:,}"))
    out.table(("layer", "threshold", "fraction bits", "state bits", "proven", "spike rate", "spikes differ"), rows)
    notes = [note for layer in made.layers.values() for note in layer.notes]
    notes += [f"{name}: spikes never, or always; these samples say nothing of it" for name, rate in result.rates.items() if rate in (0, 1)]
    for note in notes:
        out.say(note)
    out.say(f"{total:,} of {values:,} spikes differ")
    out.checked = True
    out.facts.update(
        model=str(output),
        network=exported.digest,
        values=values,
        spikes_differ=total,
        exact=made.exact,
        proven=proven,
        notes=notes,
        rates=dict(result.rates),
        state_bits={name: neuron.fields.state_bits for name, neuron in exported.neurons.items()},
    )
    out.say(f"wrote {output}")


_ITS_FORWARD = (
    "look whether its forward does in a later step what its layers do not say, such as counting its calls; else report it as a bug of lehr"
)


def _require_explained(source: str, made: FromTorch, net: Network, differ: Mapping[str, int], asked: Sequence[str]) -> None:
    """Refuse spikes that differ in a layer though no rounding that was asked for leads to it."""
    allowed = explained(net, {name: layer.rounded for name, layer in made.layers.items()}, asked)
    for name, count in differ.items():
        if count and name not in allowed:
            options = f"{' and '.join(asked)} round nothing that leads there" if asked else "nothing was asked to be rounded"
            raise NotBitExact(f"{source}: {count:,} spikes of {name} differ from the model's, and {options}; {_way_out(made)}")


def _first(expected: Mapping[str, Spikes], trace: Trace) -> str:
    """Where the first spike differs: in the first sample and step in which one does, in the first layer."""
    import numpy as np

    found = []
    for depth, (name, spikes) in enumerate(expected.items()):
        wrong = spikes != trace.spikes[name]
        if wrong.any():
            sample, step, *neuron = (int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
            found.append((sample, step, depth, f"first {name} neuron ({', '.join(map(str, neuron))}) at step {step} of sample {sample}"))
    return min(found)[-1]


def _way_out(made: FromTorch) -> str:
    reason = next((note for layer in made.layers.values() if not layer.exact for note in layer.notes), "nothing is known to be rounded")
    return f"{reason}: train with numbers that need no rounding, or accept it with --no-strict"
