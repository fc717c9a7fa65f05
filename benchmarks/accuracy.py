"""Measure what recipes reach in several arms, and what their integer networks cost.

    python benchmarks/accuracy.py RECIPE ... --data DIR [--seeds 5] [--arm ARM ...] [--arms FILE]
        [--base ARM] [--set KEY=VALUE ...] [--keep DIR] [--no-train] [--validation]
        [--workers N|ray|ray://HOST:PORT]

An arm is `float`, `binarized` or `annealed` (which are run if none is named), or a name and what
`lehr train --set` changes in it, as `--arm "wide=network.layers.0.channels=64;train.epochs=20"`;
`--arm plain=` changes nothing. `--arms` reads them from a TOML file, of lines such as
`wide = ["network.layers.0.channels=64", "train.epochs=20"]`.

Trains each arm with each seed, as `lehr train` does, and prints a table in Markdown for each
recipe. Accuracy is that of the integer network, and of a float arm that of the network after phase
A; differences are paired by seed with those of the base arm, `--base`, or the first. `+-` is the
half of Student's 95 % interval. Spikes are those of all neurons and operations one for each event
and each weight other than 0 that it meets, on the test samples.

`--keep` keeps runs, and a record of each, in a folder: a run that is there is not trained again,
and one that was interrupted goes on. `--no-train` prints those that are there. With `--validation`
accuracies are of the validation samples, to choose by. With `--workers` runs are trained at the
same time, and are the same.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from intervals import spread
from memory import state_bytes, weight_bytes

from lehr.export.checkpoint import load_run
from lehr.simulate.fast.engine import Engine
from lehr.simulate.statistics import operations
from lehr.train.data import Dataset, load_dataset
from lehr.train.for_target import for_target, target_of
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.recipefile import ARMS, load, parse, to_toml
from lehr.train.runs.running import kept_progress
from lehr.train.runs.several import Training, trained_each
from lehr.workers.asked import workers_of
from lehr.workers.work import Workers

Record = Mapping[str, Any]
"""Of one run: `recipe` (its text), `accuracy` and `validation` (0..1), `tested`, `seconds` of the
processor in training (None where a run was interrupted), and for an integer network `spikes` and
`operations` an inference, `weight_bytes` and `state_bytes`."""


def arm_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of an arm, and the assignments that make it, from `--arm`."""
    name, given, changes = text.partition("=")
    if not given:
        if name not in ARMS:
            raise typer.BadParameter(
                f"{name!r} is none of {', '.join(ARMS)}; write an arm of your own as NAME= or "
                "NAME=KEY=VALUE;KEY=VALUE"
            )
        return name, ARMS[name]
    return name, tuple(change.strip() for change in changes.split(";") if change.strip())


def train_all(
    wanted: Mapping[Path, Recipe], data: Path | None, workers: Workers | None
) -> Iterator[tuple[Path, float | None]]:
    """Train the runs that are not there, by their folders, and yield all of them.

    With each come the seconds of the processor that it took; None where it had been begun before.
    """
    by_data: dict[DataRecipe, list[Training]] = {}
    for run, settings in wanted.items():
        if run.exists():
            yield run, None
            continue
        read = dataset(settings.data, data)
        chip = target_of(settings, None)
        each = settings if chip is None else for_target(settings, chip, read)
        kept = kept_progress(run, each, resume=True)
        by_data.setdefault(settings.data, []).append(Training(each, run, kept))
    for recipe, trainings in by_data.items():
        begun = {each.folder for each in trainings if each.kept.metrics}
        for training, facts in trained_each(trainings, dataset(recipe, data), workers):
            yield training.folder, None if training.folder in begun else facts["seconds"]


def record_of(run: Path, settings: Recipe, seconds: float | None, data: Path | None) -> Record:
    """Return the record of a run."""
    state = json.loads((run / "state.json").read_text())
    phase, epoch = max(state["epochs"].items())
    (validation,) = (
        entry["validation_accuracy"]
        for entry in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        if (entry["phase"], entry["epoch"]) == (phase, epoch)
    )
    record = {
        "recipe": to_toml(settings).decode(),
        "accuracy": state["accuracy"].get("integer", state["accuracy"]["phase A"]),
        "validation": validation,
        "tested": state["tested"],
        "seconds": seconds,
    }
    return (
        record if "integer" not in state["accuracy"] else {**record, **costs(run, settings, data)}
    )


def costs(run: Path, settings: Recipe, data: Path | None) -> Record:
    """Return what the integer network of a run costs, by the test samples."""
    net, x = load_run(run).network, dataset(settings.data, data).test.x[:]
    result = Engine(net).run(x)
    fired = sum(int(layer.spikes.sum()) for layer in result.layers.values())
    events = sum(each.events for each in operations(net, result).values())
    return {
        "spikes": fired / len(x),
        "operations": events / len(x),
        "weight_bytes": weight_bytes(net),
        "state_bytes": state_bytes(net),
    }


@cache
def dataset(recipe: DataRecipe, folder: Path | None) -> Dataset:
    """Return a data set, read once."""
    return load_dataset(recipe, folder)


def table(runs: Mapping[str, Mapping[int, Record]], base: str, key: str) -> str:
    """Return a table in Markdown, a row for each arm.

    Args:
        runs: records by arm and seed; an arm without any has no row.
        base: the arm that the others are compared with.
        key: `accuracy` or `validation`.
    """
    heads = ("arm", "runs", "accuracy", f"minus {base}", "spikes", "operations", "bytes of weights")
    rows: list[Sequence[str]] = [(*heads, "bytes of state", "processor minutes")]
    rows.append(["---"] * len(rows[0]))
    for arm, records in runs.items():
        if not records:
            continue
        shares = {seed: 100 * record[key] for seed, record in records.items()}
        paired = [
            shares[seed] - 100 * record[key]
            for seed, record in runs[base].items()
            if seed in shares and arm != base
        ]
        minutes = [record["seconds"] / 60 for record in records.values() if record["seconds"]]
        rows.append(
            (
                arm,
                str(len(shares)),
                spread([*shares.values()], " %"),
                spread(paired, sign="+") if paired else "",
                *(
                    f"{mean(record[cost] for record in records.values()):,.0f}"
                    if all(cost in record for record in records.values())
                    else ""
                    for cost in ("spikes", "operations", "weight_bytes", "state_bytes")
                ),
                f"{mean(minutes):.1f}" if minutes else "",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE")],
    data: Path | None = None,
    seeds: int = 1,
    arm: Annotated[list[str] | None, typer.Option()] = None,
    arms: Annotated[Path | None, typer.Option(help="TOML: NAME = [KEY=VALUE, ...]")] = None,
    base: str | None = None,
    changes: Annotated[list[str] | None, typer.Option("--set")] = None,
    keep: Path | None = None,
    train: Annotated[bool, typer.Option("--train/--no-train")] = True,
    validation: bool = False,
    workers: str = "1",
) -> None:
    """Train every recipe in every arm, and print tables of what they reach."""
    chosen = dict(map(arm_of, arm or []))
    if arms is not None:
        chosen |= {name: tuple(each) for name, each in tomllib.loads(arms.read_text()).items()}
    chosen = chosen or {name: ARMS[name] for name in ("float", "binarized", "annealed")}
    base = base or next(iter(chosen))
    if base not in chosen:
        raise typer.BadParameter(f"--base {base!r} is none of the arms {', '.join(chosen)}")
    key = "validation" if validation else "accuracy"
    team = workers_of(workers)
    with tempfile.TemporaryDirectory() as scratch, nullcontext() if team is None else team:
        for recipe in recipes:
            folder = (keep or Path(scratch)) / Path(recipe).stem
            folder.mkdir(parents=True, exist_ok=True)
            runs: dict[str, dict[int, Record]] = {name: {} for name in chosen}
            first = load(recipe, tuple(changes or ())).seed
            wanted: dict[Path, tuple[str, int, Recipe]] = {}
            for seed in range(first, first + seeds):
                for name, own in chosen.items():
                    settings = load(recipe, (*own, *(changes or ()), f"seed={seed}"))
                    record = kept(folder / f"{name}-{seed}.json", settings)
                    if record is None:
                        wanted[folder / f"{name}-{seed}"] = name, seed, settings
                    else:
                        runs[name][seed] = record
            lacking = {run: settings for run, (_, _, settings) in wanted.items() if train}
            for run, seconds in train_all(lacking, data, team):
                name, seed, settings = wanted[run]
                record = record_of(run, settings, seconds, data)
                run.with_name(f"{run.name}.json").write_text(json.dumps(record, indent=1))
                typer.echo(f"{recipe}, {name}, seed {seed}: {record[key]:.4f}", err=True)
                runs[name][seed] = record
            tested = {record["tested"] for each in runs.values() for record in each.values()}
            if not tested:
                raise SystemExit(f"{folder} keeps no run of these arms; leave out --no-train")
            samples = "the validation samples" if validation else f"{max(tested):,} test samples"
            typer.echo(f"\n`{recipe}`, {samples}, seeds {first} to {first + seeds - 1}\n")
            typer.echo(table(runs, base, key))


def kept(file: Path, settings: Recipe) -> Record | None:
    """Return the record of a run that is kept, None where there is none.

    A record of another recipe under the same name ends the benchmark.
    """
    if not file.exists():
        return None
    record: Record = json.loads(file.read_text())
    if parse(record["recipe"], str(file)) != settings:
        raise SystemExit(f"{file} is of another recipe; remove it and its run, or --keep elsewhere")
    return record


if __name__ == "__main__":
    typer.run(main)
