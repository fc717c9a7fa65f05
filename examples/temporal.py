"""Train the temporal task of Eshraghian & Lu 2022, which annealed thresholds learn.

Thresholds of 1 and of 5 are too coarse for it, thresholds of 50 are dead, unless Adam wakes them.

    python examples/temporal.py [SEED] [--seeds 5] [--plot FILE.svg] [--paper]

A fixed Poisson input drives a binarized 100-1000-1 network, whose output is to fire once, at step
75, its membrane rising along a ramp before and 0 afterwards: the recipe `temporal`. With `--paper`
the loss is the paper's, the mean square distance from a ramp that crosses the threshold before step
75, and the learning rate stays. Printed losses are in squares of the threshold, the paper's in
squares of that ramp's top.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from lehr.errors import UsageError
from lehr.simulate import simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.loop import train
from lehr.train.objectives.objective import objective
from lehr.train.objectives.timed import Ramp, Timed
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load
from lehr.train.runs.progress import Progress


def held(threshold: float) -> tuple[str, ...]:
    """Hold the thresholds of both layers."""
    return tuple(f"network.layers.{layer}.threshold={{ start = {threshold} }}" for layer in (0, 1))


ARMS: dict[str, tuple[str, ...]] = {
    "held at 1": held(1.0),
    "held at 5": held(5.0),
    "held at 50": held(50.0),
    "held at 50, Adam": (*held(50.0), "train.optimizer=adam", "train.momentum=0"),
    "annealed, 5 to 50": (),
}
PAPER = ("train.objective=ramp", "train.lr_schedule=constant")


@dataclass
class Arm:
    """An arm, trained.

    Attributes:
        loss: by iteration.
        hidden: the hidden layer's firing rate, by iteration.
        timed: whether the output fired once, alone, within 5 steps of 75, by iteration.
        right: whether it does in the end.
        spikes: steps at which the output fires in the end.
        integer: those of the integer network; None where the output is dead, and there is none.
        membrane: of the output in the end, by step, and the ramp that it was to follow, in
            thresholds.
        ramp: that one.
    """

    loss: list[float]
    hidden: list[float]
    timed: list[bool]
    right: bool
    spikes: list[int]
    integer: list[int] | None
    membrane: Tensor
    ramp: Tensor


def trained(recipe: Recipe, data: Dataset, seed: int, folder: Path) -> Arm:
    """Train one arm; a dead output, which ends a run as an error, is what one of them shows."""
    recipe = recipe.model_copy(update={"seed": seed})
    metrics: list[dict[str, Any]] = []
    integer = None
    try:
        network = train(recipe, data, metrics.append, Progress(folder, recipe)).network
        assert network is not None
        trace = simulate(network, data.test.x[:], trace=[network.output]).trace
        integer = trace.spikes[network.output].ravel().nonzero()[0].tolist()
    except UsageError as error:
        typer.echo(error, err=True)
    model = FloatNet(recipe.network, data.shape, full_scale=1)
    Progress.open(folder, recipe, resume=True).restore("model", model)
    labels = torch.from_numpy(data.test.y)
    with torch.no_grad():
        spikes, membrane = model.run(torch.from_numpy(data.test.x[:]).float())
    goal = objective(recipe, data)
    assert isinstance(goal, Timed)
    unit = goal.top if isinstance(goal, Ramp) else goal.threshold
    return Arm(
        [entry["loss"] / unit**2 for entry in metrics],
        [entry["rates"][0] for entry in metrics],
        [entry["train_accuracy"] == 1 for entry in metrics],
        bool(goal.right(spikes, membrane, labels)),
        spikes[-1].flatten().nonzero().flatten().tolist(),
        integer,
        membrane.flatten() / goal.threshold,
        goal.ramp(len(membrane), labels).flatten() / goal.threshold,
    )


def run(seed: int = 0, iterations: int = 1000, changes: Iterable[str] = ()) -> dict[str, Arm]:
    """Train all arms."""
    arms = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, own) in enumerate(ARMS.items()):
            recipe = load("temporal", (f"train.epochs={iterations}", *changes, *own))
            arms[name] = trained(
                recipe, load_dataset(recipe.data, None), seed, Path(folder) / str(number)
            )
    return arms


def draw(arms: dict[str, Arm], path: Path) -> None:
    """Losses over the iterations, and the output's membrane in the end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, arm in arms.items():
        left.semilogy(arm.loss, label=name)
        right.plot(arm.membrane, label=name)
    right.plot(next(iter(arms.values())).ramp, "k--", label="the ramp")
    left.set(xlabel="iteration", ylabel="loss")
    right.set(xlabel="step", ylabel="output membrane / threshold", ylim=(-1.5, 2))
    right.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def table(seeds: Sequence[dict[str, Arm]]) -> str:
    """Return a table in Markdown, a row for each arm, of several seeds."""
    heads = (
        "thresholds",
        "alone within 5 steps of 75 in the end",
        "the output fires at",
        "lowest loss",
        "last loss",
        "iterations with one spike within 5 steps of 75",
        "hidden rate",
    )
    rows: list[Sequence[str]] = [heads, ["---"] * len(heads)]
    for name in ARMS:
        arms = [each[name] for each in seeds]
        rows.append(
            (
                name,
                f"{sum(arm.right for arm in arms)} of {len(arms)}",
                "; ".join(fired(arm.spikes) for arm in arms),
                ", ".join(f"{min(arm.loss):.3f}" for arm in arms),
                ", ".join(f"{arm.loss[-1]:.3f}" for arm in arms),
                ", ".join(str(sum(arm.timed)) for arm in arms),
                ", ".join(f"{arm.hidden[-1]:.3f}" for arm in arms),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fired(steps: Sequence[int]) -> str:
    """Return the steps, or how many they are."""
    return ", ".join(map(str, steps)) if 0 < len(steps) < 4 else f"{len(steps) or 'no'} steps"


def main(
    seed: Annotated[int, typer.Argument()] = 0,
    seeds: int = 1,
    plot: Path | None = None,
    paper: bool = False,
    iterations: int = 1000,
) -> None:
    """Train the arms of the temporal task and print what became of them."""
    runs = [run(each, iterations, PAPER if paper else ()) for each in range(seed, seed + seeds)]
    typer.echo(table(runs))
    differ = [
        f"{name}, seed {each}"
        for each, arms in enumerate(runs, seed)
        for name, arm in arms.items()
        if arm.integer not in (None, arm.spikes)
    ]
    typer.echo(
        f"integer networks that fire at other steps: {'; '.join(differ)}"
        if differ
        else "every integer network fires at the very same steps"
    )
    if plot is not None:
        draw(runs[0], plot)


if __name__ == "__main__":
    typer.run(main)
