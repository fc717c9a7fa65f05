"""Measure networks trained in a chip's own arithmetic, on the whole test set.

Accuracy is measured with float weights, as integers, and on the chip's own tool.

    python benchmarks/chips.py RECIPE:TARGET ... [--data DIR] [--samples N] [--runs DIR]

Calls `lehr train` for `--target TARGET` and for the arm with float weights in the same arithmetic,
and runs every test sample in the target's own tool. Prints a line for each: accuracies, and how
many of all spikes and membranes that the tool shows differ from the reference simulator's. A
network that maps as another machine's (`TrainingForm.then`) is measured again as that one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from lehr import nirfile
from lehr.network import Network
from lehr.samples import read_samples
from lehr.simulate import Comparison, compare, simulate
from lehr.simulate.result import input_events
from lehr.targets import registry
from lehr.targets.contract import MachineTrace, shown_by
from lehr.targets.golden import per_step
from lehr.targets.training_form import said_by
from lehr.train.recipefile import load, to_toml

CHUNK = 64
SCORES: dict[str, Callable[[Any], Any]] = {
    "count_argmax_lowest": lambda output: output.sum(axis=1, dtype=np.int64),
    "membrane_last_argmax_lowest": lambda output: output[:, -1],
    "membrane_sum_argmax_lowest": lambda output: output.sum(axis=1, dtype=np.int64),
    "membrane_max_argmax_lowest": lambda output: output.max(axis=1),
}
"""Score of what the tool shows of the output, by readout.

It shows spikes where they are counted, membranes else; `[N, T, ...]`.
"""


def lehr(*arguments: str) -> Any:
    """Run a command and return its facts."""
    done = subprocess.run(
        [sys.executable, "-m", "lehr", *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(
            f"lehr {' '.join(arguments)} ended with exit code {done.returncode}: {done.stdout}"
        )
    return json.loads(done.stdout)


def trained(run: Path, *arguments: str) -> dict[str, float]:
    """Train into a folder, unless that is done; the accuracies on the test set."""
    if not run.exists():
        lehr("train", *arguments, "-o", str(run))
    return dict(json.loads((run / "state.json").read_text())["accuracy"])


def float_arm(run: Path, source: list[str]) -> float:
    """Return the accuracy of the arm with float weights, in the arithmetic of a run's recipe.

    No target takes such weights.
    """
    recipe, into = run.with_name(f"{run.name}-float.toml"), run.with_name(f"{run.name}-float")
    recipe.write_bytes(to_toml(load(str(run / "recipe.toml")).model_copy(update={"target": None})))
    return trained(into, str(recipe), "--set", "network.weights=float", *source)["phase A"]


def on_chip(
    net: Network, target: str, x: np.ndarray[Any, np.dtype[np.uint8]], labels: np.ndarray[Any, Any]
) -> tuple[Comparison, float, str]:
    """Run all samples in the target's own tool.

    Return what differs, the accuracy there, and whose decision that is.
    """
    chip = registry.get(target)
    runner, right, total = chip.require_runner(), 0, None
    counted = net.readout == "count_argmax_lowest"
    decides = "by its counts" if counted else "by its membranes"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "built"
        chip.plan(net, {}).with_manifest({"target": target}).write(folder)
        for start in range(0, len(x), CHUNK):
            part = per_step(net, x[start : start + CHUNK])
            got, expected = runner.run(folder, part), simulate(net, part, trace=net.neurons)
            compared = compare(expected.trace, got, shown_by(runner))
            total = compared if total is None else total.then(compared, start)
            if isinstance(got, MachineTrace) and got.decision is not None:
                decision, decides = got.decision, "by itself"
            else:
                output = (got.spikes if counted else got.membranes)[net.output]
                decision = SCORES[net.readout](output).reshape(len(part), -1).argmax(axis=1)
            right += int((decision == labels[start : start + CHUNK]).sum())
    assert total is not None
    return total, right / len(x), decides


def main(
    pairs: Annotated[list[str], typer.Argument(metavar="RECIPE:TARGET")],
    data: Path | None = None,
    samples: Annotated[int | None, typer.Option(help="Test samples; all if not given.")] = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Keep the runs here; those of recipes that have one here are taken as they are."
        ),
    ] = None,
    arm: Annotated[
        bool, typer.Option("--float/--no-float", help="Train the arm with float weights, too.")
    ] = True,
) -> None:
    """Train and print."""
    source = [] if data is None else ["--data", str(data)]
    for pair in pairs:
        recipe, _, target = pair.partition(":")
        with tempfile.TemporaryDirectory() as scratch:
            run, model, inputs = (
                (runs or Path(scratch)) / recipe,
                f"{scratch}/model.nir",
                f"{scratch}/in.npz",
            )
            accuracies = (
                "integer "
                f"{100 * trained(run, recipe, '--target', target, *source)['integer']:.2f} %, "
            )
            if arm:
                accuracies = f"float weights {100 * float_arm(run, source):.2f} %, {accuracies}"
            lehr("export", str(run), "-o", model)
            lehr("recipes", "samples", recipe, "-o", inputs, *source)
            net, (x, labels) = nirfile.read(Path(model)), read_samples(Path(inputs))
            assert labels is not None
            form = registry.get(target).training
            if form is not None and form.machine is not None and form.then is not None:
                net = said_by(net, form.machine, form.then)
                accuracies += f"as {form.then} {100 * simulate(net, x).accuracy(labels):.2f} %, "
            x, labels = x[:samples], labels[:samples]
            start = time.perf_counter()
            compared, accuracy, decides = on_chip(net, target, x, labels)
            seconds = time.perf_counter() - start
            reference = simulate(net, x)
            rate = input_events(per_step(net, x), held=False, steps=net.steps).sum() / (
                len(x) * net.steps * np.prod(net.input.shape)
            )
            shapes = "-".join(
                str(int(np.prod(shape)))
                for shape in (net.input.shape, *(net.shapes[name] for name in net.neurons))
            )
            spikes = sum(int(layer.spikes.sum()) for layer in reference.layers.values()) / len(x)
            typer.echo(
                f"{recipe} on {target}: {shapes}, {net.steps} steps, input rate {rate:.3f}; "
                f"{accuracies}"
                f"{target} {100 * accuracy:.2f} % ({decides}) of {len(x)} test samples, "
                f"{spikes:.1f} spikes each; "
                f"{compared}; {seconds:.0f} s in its tool"
            )


if __name__ == "__main__":
    typer.run(main)
