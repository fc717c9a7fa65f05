"""`lehr demo`: the whole line on real digits, from training to a C program, proven exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.console import Json, Output, percent, session
from lehr.cli.training import epochs_shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Comparison, Result, Trace
    from lehr.train.data import Split
    from lehr.train.learning.loop import Trained

RECIPE = "digits"
BASELINE = ("train.epochs=10",)
TARGETS = {"onnx": "ONNX Runtime", "c": "C"}
SUMMARY = "summary.json"
OWN = ("run/*", "model.nir", "in.npz", "out.npz", *(f"{target}/*" for target in TARGETS), SUMMARY)


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.")
    ] = Path("lehr-demo"),
    as_json: Json = False,
) -> None:
    """Take real digits from training to a verified C program.

    A network is trained on handwritten digits, exported, simulated, built and verified, in about a
    minute.
    """
    with session(as_json) as out:
        from lehr import nirfile
        from lehr.artifact import check_replaceable, to_json
        from lehr.atomic import write_bytes, writing_folder
        from lehr.errors import NotBitExact
        from lehr.npz import npz_bytes
        from lehr.simulate import compare, simulate
        from lehr.simulate.partial import arrays_of
        from lehr.train.data import load_dataset
        from lehr.train.learning.loop import train
        from lehr.train.recipefile import ARMS, load
        from lehr.train.runs.saving import accuracies, save
        from lehr.train.twin.network import Twin, trace

        check_replaceable(output, SUMMARY, OWN)
        recipe = load(RECIPE)
        data = load_dataset(recipe.data, None)
        plain = load(RECIPE, (*ARMS["float"], *BASELINE))
        with epochs_shown(plain, "float baseline") as report:
            baseline = train(plain, data, report)
        with epochs_shown(recipe, "annealed and binarized") as report:
            trained = train(recipe, data, report)
        shares_trained = accuracies(trained, data, recipe)
        shares = {
            "float weights": accuracies(baseline, data, recipe)["phase A"],
            "annealed and binarized": shares_trained["phase A"],
            "integer": shares_trained["integer"],
        }
        check_replaceable(output, SUMMARY, OWN)  # training took a minute
        with writing_folder(output) as part:
            save(part / "run", recipe, trained, data, shares_trained)
            nirfile.write(_network(trained), part / "model.nir")
            net = nirfile.read(part / "model.nir")
            reference = simulate(net, data.test.x, trace=net.neurons)
            shares["reference simulator"] = reference.accuracy(data.test.y)
            write_bytes(part / "in.npz", npz_bytes({"input": data.test.x, "labels": data.test.y}))
            write_bytes(part / "out.npz", npz_bytes(arrays_of(reference)))
            latents = trained.twin.latents() if trained.twin else {}
            pairs = {
                "trained model": compare(
                    trace(Twin(_network(trained), latents=latents), data.test.x), reference.trace
                )
            }
            skipped = _targets(part, net, data.test, reference, shares, pairs)
            facts = _facts(shares, reference, pairs, skipped)
            write_bytes(part / SUMMARY, to_json(facts))
        out.checked = True
        out.facts.update(facts, output=str(output))
        _print(out, net, reference, shares, pairs, skipped)
        out.say(
            f"wrote {output}: the run, model.nir, in.npz, out.npz, "
            f"{', '.join(n for n in TARGETS if TARGETS[n] in pairs)}, {SUMMARY}"
        )
        out.then("report", output / "run", "-o", "report.html")
        for warning in trained.warnings:
            out.warn(warning)
        if not all(pair.equal for pair in pairs.values()):
            out.fail(NotBitExact.exit_code)


def _network(trained: Trained) -> Network:
    assert trained.network is not None
    return trained.network


def _targets(
    folder: Path,
    net: Network,
    test: Split,
    reference: Result,
    accuracies: dict[str, float],
    pairs: dict[str, Comparison],
) -> dict[str, str]:
    """Build for each target and run it on all test samples.

    Returns the reason for which a target was left out, by its title.
    """
    from lehr.simulate import compare
    from lehr.targets import registry
    from lehr.targets.build import GOLDEN_SAMPLES, build

    skipped = {}
    for name, title in TARGETS.items():
        target = registry.get(name)
        build(net, target, test.x[:GOLDEN_SAMPLES]).plan.write(folder / name)
        runner = target.runner()
        missing = "it has no tool" if runner is None else runner.missing()
        if missing or runner is None:
            skipped[title] = str(missing)
            continue
        ran = runner.run(folder / name, test.x)
        pairs[title] = compare(reference.trace, ran)
        accuracies[title] = _accuracy(net, ran, test.y)
    return skipped


def _accuracy(net: Network, trace: Trace, labels: npt.NDArray[np.int64]) -> float:
    counts = trace.spikes[net.output].sum(axis=1, dtype="int64").reshape(len(labels), -1)
    return float((counts.argmax(axis=1) == labels).mean())


def _facts(
    accuracies: Mapping[str, float],
    reference: Result,
    pairs: Mapping[str, Comparison],
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    compared = {
        title: {
            "values": pair.values,
            "membranes_differ": pair.membranes,
            "spikes_differ": pair.spikes,
            "first": pair.first and str(pair.first),
        }
        for title, pair in pairs.items()
    }
    return {
        "accuracy": dict(accuracies),
        "spike_rates": dict(reference.rates),
        "compared_with_reference": compared,
        "skipped": dict(skipped),
    }


def _print(
    out: Output,
    net: Network,
    reference: Result,
    accuracies: Mapping[str, float],
    pairs: Mapping[str, Comparison],
    skipped: Mapping[str, str],
) -> None:
    rows = []
    for station, accuracy in accuracies.items():
        pair = pairs.get("trained model" if station == "integer" else station)
        rows.append(
            (
                station,
                percent(accuracy),
                ""
                if pair is None
                else f"{pair.membranes:,} of {pair.values:,} membranes differ, "
                f"{pair.spikes:,} spikes",
            )
        )
    rows += [(title, "skipped", reason) for title, reason in skipped.items()]
    out.table(("station", "test accuracy", "against the reference simulator"), rows)
    samples = len(reference.counts)
    spikes = [
        (
            name,
            "x".join(map(str, net.shapes[name])),
            f"{int(reference.trace.spikes[name].sum()) / samples:,.1f}",
            f"{rate:.4f}",
        )
        for name, rate in reference.rates.items()
    ]
    out.table(("layer", "shape", "spikes per image", "spikes per neuron and step"), spikes)
    for title, pair in pairs.items():
        if pair.first is not None:
            out.say(f"{title}: first difference: {pair.first}")
