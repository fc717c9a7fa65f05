"""Measure where annealing thresholds pays: the tables of docs/training/thresholds.md on annealing.

    python benchmarks/annealing.py run --data DIR --out OUT [--cell NAME ...] [--seeds 5]
    python benchmarks/annealing.py tables --out OUT
    python benchmarks/annealing.py figure --data DIR --plot FILE.svg

A cell is a data set and a network; in each, every arm trains with every seed, in
phases A, B and C, by `lehr.train.learning.loop.train`. `run` appends a line to OUT/runs.jsonl for
each training, under a digest of its recipe, and trains nothing twice: an interrupted benchmark goes
on where it stopped.

Arms with held thresholds are trained on the whole of a grid. `best fixed` is, for each seed, the
one of them with the highest accuracy on the validation samples, `float` likewise of two thresholds
for float weights: the test samples have no say in any choice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import numpy as np
import torch
import typer
from intervals import spread

from lehr.errors import UsageError
from lehr.plot.style import colour, stroke
from lehr.targets import registry
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.for_target import for_target
from lehr.train.learning.evaluation import BATCH, activity
from lehr.train.learning.loop import train
from lehr.train.learning.rates import firing_rates
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.runs.saving import accuracies
from lehr.train.stand_in import full_scale
from lehr.train.twin.network import Twin

Run = dict[str, Any]
app = typer.Typer(add_completion=False)

FIXED = (1.0, 5.0, 10.0, 20.0, 40.0)
"""Thresholds to hold: from where annealing starts up to where it ends."""

FLOAT = (0.5, 1.0)
"""Thresholds of the float arm, whose weights are some hundredths."""

FRACTION_BITS = 6
"""Of a chip's thresholds, 64 for a weight."""

VALIDATION = 1000
"""Samples to choose by, at most."""


@dataclass(frozen=True)
class Cell:
    """A table: what all its arms have in common.

    Attributes:
        data: of the recipe.
        hidden: neurons of each hidden layer.
        steps: of an inference.
        beta: of all neurons.
        final: where annealing brings all thresholds; it starts at `FIXED[0]`.
        rate: by which exponential annealing closes its gap in a batch.
        epochs: of phase A.
        batch: samples of a batch.
        optimizer: of phase A, with the learning rate `lr`.
        slope_in: of the network, with a slope of 3 thresholds, or of 1 weight.
        target: in whose form it is trained, if any.
        prescribed: whether the integer thresholds of the arms that end at `final` may be nothing
            else, in all phases.
        arms: to train.
    """

    data: Mapping[str, Any]
    hidden: tuple[int, ...]
    steps: int = 6
    beta: str = "7/8"
    final: float = 20.0
    rate: float = 0.01
    epochs: int = 12
    batch: int = 50
    optimizer: str = "adam"
    lr: float = 2e-3
    slope_in: str = "thresholds"
    target: str | None = None
    prescribed: bool = False
    arms: tuple[str, ...] = ("fixed", "annealed", "rate", "float")

    @property
    def grid(self) -> tuple[float, ...]:
        """The thresholds to hold, the last of them `final`."""
        return tuple(value for value in FIXED if value <= self.final)

    def thresholds(self) -> dict[str, dict[str, Any]]:
        """Return every arm's threshold, by the name of its runs."""
        start, final = FIXED[0], self.final
        moved: dict[str, dict[str, Any]] = {
            "annealed": {"start": start, "final": final, "rate": self.rate},
            "rate": {"start": start, "final": final, "schedule": "rate-controlled"},
        }
        held = [start, *self.grid[1:-1], final] if "fixed" in self.arms else []
        held += [final] if "final" in self.arms else []
        return {
            **{f"fixed {value:g}": {"start": value} for value in held},
            **{name: value for name, value in moved.items() if name in self.arms},
            **{
                f"float {value:g}": {"start": value}
                for value in (FLOAT if "float" in self.arms else ())
            },
        }

    def table(self, arm: str, seed: int) -> dict[str, Any]:
        """Return the recipe of an arm's run, as a table."""
        biases = self.target is None
        layers = [
            {
                "type": "linear",
                "features": features,
                "bias": biases,
                "threshold": self.thresholds()[arm],
                **({} if biases else {"fraction_bits": FRACTION_BITS}),
            }
            for features in (*self.hidden, 10)
        ]
        network: dict[str, Any] = {
            "steps": self.steps,
            "beta": self.beta,
            "slope": 3.0 if self.slope_in == "thresholds" else 1.0,
            "slope_in": self.slope_in,
            "layers": layers,
        }
        if arm.startswith("float"):
            network["weights"] = "float"
        elif self.prescribed and arm in (f"fixed {self.final:g}", "annealed", "rate"):
            only = int(self.final * (1 << FRACTION_BITS))
            network["thresholds"] = {"multiple": only, "highest": only}
        return {
            "name": "annealing",
            "description": arm,
            "seed": seed,
            "data": dict(self.data),
            "network": network,
            "train": {
                "epochs": self.epochs,
                "batch_size": self.batch,
                "lr": self.lr,
                "optimizer": self.optimizer,
            },
            "finetune": {"epochs": 2, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
        }


MNIST = {"name": "mnist", "train_samples": 2000}
FASHION = {"name": "fashion-mnist", "train_samples": 2000}
SPOKEN = {"name": "fsdd", "steps": 20, "step_ms": 30.0}
CODED = {
    "name": "mnist",
    "train_samples": 2000,
    "test_samples": 5000,
    "encoding": "rate",
    "steps": 8,
}
HELD, ENDS = ("fixed", "annealed"), ("final", "annealed")
CELLS = {
    "MNIST, 5 layers": Cell(MNIST, (128,) * 4),
    "MNIST, 5 layers, to 40": Cell(
        MNIST, (128,) * 4, final=40.0, arms=("fixed", "annealed", "float")
    ),
    "MNIST, 5 layers, slope in weights": Cell(MNIST, (128,) * 4, slope_in="weights", arms=ENDS),
    "MNIST, 3 layers": Cell(MNIST, (128,) * 2),
    "MNIST, 8 layers": Cell(MNIST, (128,) * 7),
    "MNIST, 5 layers, SGD": Cell(MNIST, (128,) * 4, optimizer="sgd", lr=5e-3),
    "Fashion-MNIST, 5 layers": Cell(FASHION, (128,) * 4),
    "spoken digits, 3 layers": Cell(SPOKEN, (128,) * 2, steps=20, beta="15/16", arms=HELD),
    "MNIST, 5 layers, loihi prescribes 1,280": Cell(
        CODED, (128,) * 4, steps=8, target="loihi", prescribed=True, arms=HELD
    ),
}
"""By title; all layers are fully connected, without batch norm."""

FIGURE = "MNIST, 5 layers, to 40"
"""The cell that is drawn."""


def recipe_of(cell: Cell, table: dict[str, Any], data: Dataset) -> Recipe:
    """Return the recipe, in the form of the cell's target."""
    recipe = Recipe.model_validate(table)
    if cell.target is None or not recipe.network.integer:
        return recipe
    return for_target(recipe, registry.get(cell.target), data)


def digest(cell: Cell, table: dict[str, Any]) -> str:
    """Return what a run is known by: the recipe, but for its description, and the target."""
    known = {**table, "description": "", "target": cell.target}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


@cache
def loaded(data: str, folder: Path) -> Dataset:
    """Read a data set, with no more than VALIDATION samples to choose by."""
    whole = load_dataset(DataRecipe.model_validate_json(data), folder)
    return replace(whole, validation=whole.validation.take(VALIDATION))


def trained(cell: Cell, table: dict[str, Any], data: Dataset) -> Run:
    """Train a run, and measure what it leaves: the integer network or, of float weights, phase A's.

    Where the output falls silent the training ends; every answer is then the first class.
    """
    recipe, begun, entries = recipe_of(cell, table, data), time.process_time(), list[Run]()
    result: Run = {"silent": False}
    try:
        run = train(recipe, data, entries.append)
    except UsageError as error:
        if "fired no spike in the whole last epoch" not in str(error):
            raise
        result |= {
            "silent": True,
            "validation": float(np.mean(data.validation.y == 0)),
            "accuracy": float(np.mean(data.test.y == 0)),
            "spikes": None,
        }
    else:
        reached = accuracies(run, data, recipe)
        model = run.twin or run.model
        result |= {
            "validation": validated(entries),
            "accuracy": reached.get("integer", reached["phase A"]),
            "phase A": reached["phase A"],
            "spikes": spikes_of(model, data.test),
        }
    return result | {
        "rates": [entry["rates"] for entry in entries if entry["phase"] == "A"],
        "seconds": round(time.process_time() - begun, 1),
    }


def spikes_of(model: FloatNet | Twin, split: Split) -> float:
    """Return the spikes of an inference, of all layers together, on average."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(split), BATCH):
            spikes, _ = model.run(torch.from_numpy(split.x[start : start + BATCH]).float())
            total += sum(float(layer.double().sum()) for layer in spikes)
    return total / len(split)


def known(out: Path) -> dict[str, Run]:
    """Return the runs of an output folder, by digest."""
    path = out / "runs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {run["digest"]: run for run in map(json.loads, lines)}


def chosen(cells: Sequence[str] | None) -> dict[str, Cell]:
    """Return the cells of these titles, all if None."""
    if wrong := [name for name in cells or () if name not in CELLS]:
        raise SystemExit(f"cell {wrong[0]!r} is none; use one of: {'; '.join(CELLS)}")
    return {name: CELLS[name] for name in cells or CELLS}


# -------------------------------------------------------------------- tables
@dataclass
class Arm:
    """The runs of an arm.

    Attributes:
        choice: whether they are the best of several, each seed's own.
        runs: one for each seed, in the seeds' order.
    """

    choice: bool
    runs: list[Run] = field(default_factory=list)

    @property
    def accuracies(self) -> list[float]:
        """In percent."""
        return [100 * run["accuracy"] for run in self.runs]

    @property
    def chosen(self) -> str:
        """The thresholds that were chosen, in brackets; nothing where all runs have one."""
        at = sorted({float(run["arm"].split()[1]) for run in self.runs if " " in run["arm"]})
        return f" ({', '.join(f'{value:g}' for value in at)})" if self.choice else ""


def arms_of(cell: Cell, runs: Mapping[str, Run], seeds: int) -> dict[str, Arm]:
    """Return the rows of a cell's table; seeds that lack a run are left out of all of them."""
    rows: dict[str, Arm] = {}
    names = cell.thresholds()
    for seed in range(seeds):
        of_seed = {name: runs.get(digest(cell, cell.table(name, seed))) for name in names}
        if any(run is None for run in of_seed.values()):
            continue
        for row, run in _rows(cell, {name: run for name, run in of_seed.items() if run}):
            rows.setdefault(row, Arm(row in ("best fixed", "float"))).runs.append(run)
    return rows


def _rows(cell: Cell, of_seed: Mapping[str, Run]) -> Iterator[tuple[str, Run]]:
    """Yield the arms of one seed."""

    def best(kind: str) -> Run:
        members = [run for name, run in of_seed.items() if name.startswith(kind)]
        return max(members, key=lambda run: run["validation"])

    if "fixed" in cell.arms:
        yield f"start, {FIXED[0]:g}", of_seed[f"fixed {FIXED[0]:g}"]
        yield "best fixed", best("fixed")
    yield f"final, {cell.final:g}", of_seed[f"fixed {cell.final:g}"]
    for name, row in (("annealed", "annealed"), ("rate", "annealed, rate-controlled")):
        if name in of_seed:
            yield row, of_seed[name]
    if "float" in cell.arms:
        yield "float", best("float")


def markdown(title: str, rows: Mapping[str, Arm]) -> Iterator[str]:
    """Yield the lines of a table."""
    seeds = len(next(iter(rows.values())).runs)
    annealed = rows["annealed"].accuracies
    yield f"**{title}**, {seeds} seeds"
    yield ""
    yield "| arm | accuracy, % | annealed minus it | spikes an inference | silent |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, arm in rows.items():
        values = arm.accuracies
        gains = [one - other for one, other in zip(annealed, values, strict=True)]
        spikes = [run["spikes"] for run in arm.runs if run["spikes"] is not None]
        cells = (
            f"{name}{arm.chosen}",
            spread(values),
            "" if name == "annealed" else spread(gains, sign="+"),
            f"{mean(spikes):,.0f}" if spikes else "",
            str(sum(run["silent"] for run in arm.runs) or ""),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


Data = Annotated[Path, typer.Option(help="folder of the official files")]
Out = Annotated[Path, typer.Option(help="folder of runs.jsonl")]
Plot = Annotated[Path, typer.Option(help="the picture's file")]
Cells = Annotated[list[str] | None, typer.Option("--cell", help="titles; all if none is given")]
Seeds = Annotated[int, typer.Option(min=2, help="0 to one less")]


@app.command()
def run(data: Data, out: Out, cells: Cells = None, seeds: Seeds = 5) -> None:
    """Train what OUT does not know yet."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for title, cell in chosen(cells).items():
        for seed in range(seeds):
            for arm in cell.thresholds():
                table = cell.table(arm, seed)
                key = digest(cell, table)
                if key in known(out):
                    continue
                of_cell = loaded(json.dumps(dict(cell.data)), data)
                result = trained(cell, table, of_cell)
                about = {"digest": key, "cell": title, "arm": arm, "seed": seed}
                with (out / "runs.jsonl").open("a") as lines:
                    lines.write(json.dumps(about | result) + "\n")
                typer.echo(
                    f"{title}, {arm}, seed {seed}: {100 * result['accuracy']:.1f} %, of validation "
                    f"{100 * result['validation']:.1f} %, "
                    f"{result['seconds']} s of the processor"
                )


@app.command()
def tables(out: Out, cells: Cells = None, seeds: Seeds = 5) -> None:
    """Print the tables of what OUT knows."""
    runs = known(out)
    for title, cell in chosen(cells).items():
        if rows := arms_of(cell, runs, seeds):
            for line in markdown(title, rows):
                typer.echo(line)
    typer.echo(f"{sum(run['seconds'] for run in runs.values()) / 60:.0f} min of the processor")


@app.command()
def figure(data: Data, plot: Plot, cell: str = FIGURE, seed: int = 0) -> None:
    """Train a cell's `final` and `annealed` in phase A, and draw their firing rates by epoch.

    Prints how many neurons of each layer never fire on the validation samples, before and after.
    """
    from matplotlib.figure import Figure

    torch.set_num_threads(1)
    of_cell = chosen([cell])[cell]
    drawing = Figure(figsize=(9, 3.2), layout="constrained")
    axes = drawing.subplots(1, 2, sharey=True)
    for ax, arm in zip(axes, (f"fixed {of_cell.final:g}", "annealed"), strict=True):
        table = of_cell.table(arm, seed)
        del table["finetune"]
        of_data = loaded(json.dumps(dict(of_cell.data)), data)
        recipe, split = recipe_of(of_cell, table, of_data), of_data.validation
        torch.manual_seed(seed)  # as training begins
        untrained = FloatNet(recipe.network, of_data.shape, full_scale(of_data)).eval()
        run = train(recipe, of_data)
        by_epoch = [rates_of(untrained, split), *(entry["rates"] for entry in run.metrics)]
        for number, rates in enumerate(zip(*by_epoch, strict=True)):
            look = {"color": colour(number), "linestyle": stroke(number)}
            ax.plot(rates, label=f"layer {number + 1}", **look)
        title = f"{arm.replace('fixed', 'held at')}: {100 * validated(run.metrics):.1f} %"
        ax.set(xlabel="epoch", title=title, ylim=(0, None))
        ax.grid(axis="y")
        for when, model in (("before", untrained), ("after", run.model)):
            silent = ", ".join(f"{layer.silent}" for layer in activity(model, split))
            typer.echo(f"{arm}, neurons that never fire {when}: {silent}")
    axes[0].set(ylabel="spikes per neuron and step")
    axes[1].legend(fontsize="small", loc="upper right", ncols=2)
    drawing.savefig(plot, metadata={"Date": None})


def rates_of(model: FloatNet, split: Split) -> list[float]:
    """Return spikes per neuron and step of each layer."""
    with torch.no_grad():
        return firing_rates(model.run(torch.from_numpy(split.x).float())[0], len(split))


def validated(metrics: Sequence[Run]) -> float:
    """Return the accuracy on the validation samples of the network that a training leaves."""
    last = [entry for entry in metrics if entry["phase"] == metrics[-1]["phase"]]
    if last[-1]["phase"] == "A":
        return float(last[-1]["validation_accuracy"])
    return float(max(entry["validation_accuracy"] for entry in last))


if __name__ == "__main__":
    app()
