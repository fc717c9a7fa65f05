"""`lehr quantize`: a float graph of NIR as an integer network, and the measured changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli import completing
from lehr.cli.console import Json, Output, percent, session
from lehr.cli.options import FramesOption

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.export.effect import Effect
    from lehr.export.nirgraph import Quantized
    from lehr.export.verified import VerifiedGraph


def quantize(
    graph: Annotated[
        Path, typer.Argument(metavar="GRAPH.nir", help="A float graph that any tool wrote.")
    ],
    calibrate: Annotated[
        Path,
        typer.Option(
            "--calibrate",
            metavar="IN.npz|RECORDING",
            help="Samples, uint8, in an array 'input', optionally 'labels'; or an event camera's "
            "recording, with --frames.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL.nir", help="The file to write.")
    ],
    frames: FramesOption = None,
    dt: Annotated[
        float | None,
        typer.Option(help="Seconds of a step; needed where the graph has time constants."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many steps to run; needed where inputs have no axis of time."
        ),
    ] = None,
    full_scale: Annotated[
        float | None,
        typer.Option(help="What the graph takes inputs divided by: 255 for pixels, 1 for counts."),
    ] = None,
    reset: Annotated[
        str,
        typer.Option(
            metavar="zero|subtract",
            help="A spike sets to v_reset, or takes the threshold off.",
            autocompletion=completing.words("zero", "subtract"),
        ),
    ] = "zero",
    reset_timing: Annotated[
        str,
        typer.Option(
            metavar="same_step|next_step",
            help="When it does it.",
            autocompletion=completing.words("same_step", "next_step"),
        ),
    ] = "same_step",
    fires: Annotated[
        str,
        typer.Option(
            metavar="gt|ge",
            help="Whether a membrane at its threshold fires.",
            autocompletion=completing.words("gt", "ge"),
        ),
    ] = "gt",
    discretize: Annotated[
        str,
        typer.Option(
            metavar="euler|exact",
            help="Decays of 1 - dt/tau, or of exp(-dt/tau).",
            autocompletion=completing.words("euler", "exact"),
        ),
    ] = "euler",
    integrate: Annotated[
        str | None,
        typer.Option(
            metavar="step|ode",
            help="IF and I add r times their input in a step, or r dt.",
            autocompletion=completing.words("step", "ode"),
        ),
    ] = None,
    current: Annotated[
        str,
        typer.Option(
            metavar="new|last",
            help="CubaLIF takes the current of this step, or the last.",
            autocompletion=completing.words("new", "last"),
        ),
    ] = "new",
    readout: Annotated[
        str | None,
        typer.Option(
            metavar="count|last|sum|max",
            help="What is read of the layer before the output.",
            autocompletion=completing.words("count", "last", "sum", "max"),
        ),
    ] = None,
    read_from: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="Which layer decides, where several lead to the output.",
            autocompletion=completing.graph_neurons,
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="int8..int2|ternary|binary",
            help="What weights are rounded to.",
            autocompletion=completing.weights,
        ),
    ] = "int8",
    decay_bits: Annotated[
        int | None, typer.Option(metavar="n", help="Round decays to k/2^n; by --error if left out.")
    ] = None,
    fraction_bits: Annotated[
        int | None, typer.Option(metavar="F", help="Of all layers; by --error if left out.")
    ] = None,
    error: Annotated[
        float,
        typer.Option(
            help="The share of a threshold, or of a time constant, that rounding may come to."
        ),
    ] = 0.01,
    decay: Annotated[
        str,
        typer.Option(
            metavar="own|common",
            help="Decays that differ in a layer: each its own, or the mean.",
            autocompletion=completing.words("own", "common"),
        ),
    ] = "own",
    maps: Annotated[
        str,
        typer.Option(
            metavar="own|mean",
            help="Neurons that differ in a channel: each its own, or the mean.",
            autocompletion=completing.words("own", "mean"),
        ),
    ] = "own",
    samples: Annotated[
        int, typer.Option("-n", "--samples", min=1, help="How many of the samples are run.")
    ] = 64,
    as_json: Json = False,
) -> None:
    """Quantize a float NIR graph to integers; measure the changes.

    They are measured layer by layer, on the samples of --calibrate.

    What NIR does not say is said by options, printed, and recorded in the file.
    """
    with session(as_json) as out:
        from lehr.api import quantize as quantized
        from lehr.recordings import open_inputs

        choices: dict[str, Any] = {
            "dt": dt,
            "reset": reset,
            "reset_timing": reset_timing,
            "fires": fires,
            "discretize": discretize,
            "integrate": integrate,
            "current": current,
            "readout": readout,
            "read_from": read_from,
            "weights": weights,
            "decay_bits": decay_bits,
            "fraction_bits": fraction_bits,
            "error": error,
            "decay": decay,
            "maps": maps,
        }
        verified = quantized(
            graph,
            calibrate,
            output,
            samples=samples,
            frames=frames,
            steps=steps,
            full_scale=full_scale,
            **choices,
        )
        given = open_inputs(calibrate, verified.network.input, frames)
        given.require_classes(math.prod(verified.network.shapes[verified.network.output]))
        out.checked = True
        _print_effect(out, verified, given.labels)
        out.facts["model"] = str(output)
        out.say(f"wrote {output}")
        given_frames = ("--frames", frames) if frames else ()
        out.then("simulate", output, "-i", calibrate, *given_frames)


def _print_effect(
    out: Output, verified: VerifiedGraph, labels: npt.NDArray[np.int64] | None
) -> None:
    net, effect, proven = verified.network, verified.effect, verified.proven
    quantized = verified.quantized
    for note in quantized.notes:
        out.say(note)
    renamed = {source: name for source, name in quantized.graph.names.items() if source != name}
    if renamed:
        out.say("names: " + ", ".join(f"{source} is {name}" for source, name in renamed.items()))
    rows = []
    for name, e in effect.layers.items():
        rates = [f"{value:.4f}" for value in (e.float_rate, e.rate, e.rate_error)]
        apart = (percent(e.spikes_differ), f"{e.membrane_error:.4f}", e.saturations)
        rows.append((name, proven[name], *rates, *apart))
    columns = (
        "rate, float",
        "rate",
        "rate error",
        "spikes differ",
        "membrane error",
        "saturations",
    )
    out.table(("layer", "proven", *columns), rows)
    out.table(
        (
            "layer",
            "weight error",
            "threshold error",
            "decay",
            "moved by",
            "fraction bits",
            "state bits",
        ),
        [
            (
                name,
                percent(e.weight_error),
                percent(e.threshold_error),
                str(quantized.layers[name].decay),
                f"{e.decay_error:.2g}",
                quantized.layers[name].report.folded.fraction_bits,
                quantized.layers[name].report.width.bits,
            )
            for name, e in effect.layers.items()
        ],
    )
    for warning in effect.warnings:
        out.say(f"warning: {warning}")
    agree = float((effect.float_prediction == effect.prediction).mean())
    out.say(f"{percent(agree)} of {effect.samples:,} predictions are the float graph's")
    out.facts.update(
        network=net.digest,
        samples=effect.samples,
        exact=quantized.exact,
        proven=dict(proven),
        semantics=asdict(quantized.semantics),
        names=dict(quantized.graph.names),
        notes=list(quantized.notes),
        warnings=list(effect.warnings),
        predictions_agree=agree,
        layers=_facts(effect, quantized),
    )
    if labels is not None:
        there, here = effect.accuracies(labels)
        out.say(
            f"accuracy: {percent(there)} of the float graph, {percent(here)} of the integer network"
        )
        out.facts.update(float_accuracy=there, accuracy=here)


def _facts(effect: Effect, quantized: Quantized) -> Mapping[str, Any]:
    return {
        name: {
            **asdict(layer),
            "fraction_bits": quantized.layers[name].report.folded.fraction_bits,
            "state_bits": quantized.layers[name].report.width.bits,
            "decay": [quantized.layers[name].decay.numbers, quantized.layers[name].decay.shift],
        }
        for name, layer in effect.layers.items()
    }
