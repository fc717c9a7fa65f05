"""Train the models of the zoo, measure them, and pack them: what reproduces the zoo.

    python -m lehr.zoo.pack [NAME ...] [--data DATA] [--work WORK] [-o OUTPUT]

It runs the very command lines that a model's card shows, in WORK/NAME; a run that is there is taken
as it is. The files of all are written into OUTPUT, as assets of a release, and models of few bytes
into this package as well. Models that are not named stay as they are.
"""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.stats import binomtest

from lehr import __version__, nirfile
from lehr.artifact import BuildPlan, sha256
from lehr.atomic import remove_whole, write_bytes
from lehr.network import Network
from lehr.npz import npz_bytes
from lehr.samples import read_samples
from lehr.spelling import one_of
from lehr.zoo import index
from lehr.zoo.card import card
from lehr.zoo.index import CARD, IN_WHEEL, MODEL, RECIPE, SAMPLES, Entry, File, Share, asset
from lehr.zoo.plans import DATA, PLANS, Plan

KEPT = 16
"""Samples of the test set that come along, spread evenly over it."""
RUN, TEST, FOLDER = "run", "test.npz", "DATA"
"""The run, the file of all test samples, and what a card writes for the folder of the data sets."""
CHECKOUT = Path(__file__).resolve().parents[2]
"""Where the scripts are that some models are made by."""


@dataclass(frozen=True)
class Packed:
    """A model, ready to be written: its entry in the index, and its files by name."""

    entry: Entry
    files: Mapping[str, bytes]


def commands(plan: Plan) -> list[list[str]]:
    """Return the lines that train a model, make its file and its test samples, and measure it."""
    target = ["--target", plan.target] if plan.target else []
    return [
        *([["python", plan.script, MODEL, TEST]] if plan.script else _trained(plan, target)),
        *([["lehr", "check", MODEL, *target]] if plan.target else []),
        ["lehr", "simulate", MODEL, "-i", TEST],
        ["lehr", "simulate", MODEL, "-i", SAMPLES],
    ]


def _trained(plan: Plan, target: list[str]) -> list[list[str]]:
    """Return the lines that make a model by its recipe."""
    source = ["--data", FOLDER] if DATA[plan.data].folder else []
    changes = [word for change in plan.changes for word in ("--set", change)]
    return [
        ["lehr", "train", plan.name, *target, *changes, *source, "-o", RUN],
        ["lehr", "export", RUN, "-o", "step.nir" if plan.after else MODEL],
        *([["python", "-c", plan.after]] if plan.after else []),
        ["lehr", "recipes", "samples", plan.name, *source, "-o", TEST],
    ]


def packed(plan: Plan, work: Path, data: Path | None) -> Packed:
    """Train a model in a folder, unless it has a run, and measure it.

    Args:
        plan: of the model.
        work: the folder; made if it is not there.
        data: the folder with the files of the data sets.

    Raises:
        SystemExit: when a command fails, or the network does not map to its chip.
    """
    work.mkdir(parents=True, exist_ok=True)
    *make, on_test, on_kept = commands(plan)
    for line in make[1:] if (work / RUN).exists() else make:
        _run(line, work, data)
    x, labels = read_samples(work / TEST)
    assert labels is not None
    kept = np.arange(KEPT) * len(x) // KEPT
    (work / SAMPLES).write_bytes(npz_bytes({"input": x[kept], "labels": labels[kept]}))
    measured = _run(on_test, work, data)
    spikes = {name: layer["spikes"] / len(x) for name, layer in measured["layers"].items()}
    net = nirfile.read(work / MODEL)
    contents = {name: (work / name).read_bytes() for name in (MODEL, SAMPLES)}
    if plan.script:  # as a text: Python files in a package are its modules
        script = CHECKOUT / plan.script
        contents[f"{script.name}.txt"] = script.read_bytes()
    else:
        contents[RECIPE] = (work / RUN / RECIPE).read_bytes()
    entry = Entry(
        name=plan.name,
        description=plan.description,
        data=plan.data,
        network=_features(net),
        steps=net.steps,
        target=plan.target,
        accuracy=_share(measured["predictions"], labels),
        kept=_share(_run(on_kept, work, data)["predictions"], labels[kept]),
        spikes=sum(spikes.values()),
        digest=net.digest,
        bundled=False,
        release=__version__,
        files=_files(contents),
    )
    lines = [shlex.join(line) for line in commands(plan)]
    text = card(entry, plan, net, spikes, lines)
    contents[CARD] = text.encode()
    entry = replace(entry, files=_files(contents))
    return Packed(replace(entry, bundled=entry.bytes <= IN_WHEEL), contents)


def write(model: Packed, home: Path, output: Path) -> None:
    """Write a model's files where they belong, and its entry into the index.

    Args:
        model: to be written.
        home: the folder of `index.json` and of the models that come along.
        output: the folder of the assets of a release; made if it is not there.
    """
    name, place = model.entry.name, home / "models" / model.entry.name
    remove_whole(place)  # it may hold files that the model no longer has
    if model.entry.bundled:
        place.parent.mkdir(exist_ok=True)
        BuildPlan(model.files).write(place, CARD, model.files)
    output.mkdir(parents=True, exist_ok=True)
    for file, contents in model.files.items():
        write_bytes(output / asset(name, file), contents)
    facts = asdict(model.entry)
    del facts["name"]
    path = home / index.INDEX
    models = json.loads(path.read_bytes())["models"] if path.exists() else {}
    write_bytes(path, index.index_bytes({**models, name: facts}))


def _run(line: list[str], work: Path, data: Path | None) -> dict[str, Any]:
    """Run a line in a folder; return what it tells with --json, if it is one of lehr's."""
    typer.echo(f"{work.name}$ {shlex.join(line)}", err=True)
    scripts = {plan.script: str(CHECKOUT / plan.script) for plan in PLANS if plan.script}
    places = {FOLDER: str(data), **scripts}
    words = [places.get(word, word) for word in line[1:]]
    ours = line[0] == "lehr"
    words = ["-m", "lehr", *words, "--json"] if ours else words
    done = subprocess.run(
        [sys.executable, *words], cwd=work, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"it ended with exit code {done.returncode}: {done.stdout}")
    return dict(json.loads(done.stdout)) if ours else {}


def _share(predictions: list[int], labels: np.ndarray[Any, np.dtype[np.int64]]) -> Share:
    """Count how many are right, with the interval of the share."""
    right = int((np.array(predictions) == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(0.95, method="wilson")
    return Share(right, len(labels), float(interval.low), float(interval.high))


def _features(net: Network) -> str:
    """Return how many values go in and how many neurons each layer has, as in "64-256-10"."""
    shapes = (net.input.shape, *(net.shapes[name] for name in net.neurons))
    return "-".join(str(math.prod(shape)) for shape in shapes)


def _files(contents: Mapping[str, bytes]) -> dict[str, File]:
    return {name: File(sha256(data), len(data)) for name, data in sorted(contents.items())}


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the files of data sets.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/zoo"),
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the assets.")] = Path(
        "dist/models"
    ),
) -> None:
    """Train and pack the models that are named; all, if none is."""
    plans = {plan.name: plan for plan in PLANS}
    for name in names or plans:
        if name not in plans:
            raise SystemExit(f"no plan is called {name!r}; {one_of(name, plans)}")
    for name in names or plans:
        model = packed(plans[name], work / name, data)
        write(model, index.HOME, output)
        typer.echo(f"{name}: {model.entry.accuracy}, {model.entry.bytes:,} bytes")


if __name__ == "__main__":
    typer.run(main)
