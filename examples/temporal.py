"""Train the temporal task of Eshraghian & Lu 2022, which annealed thresholds learn.

Thresholds of 1 are too coarse for it, thresholds of 50 are dead.

    python examples/temporal.py [SEED] [--plot FILE.svg] [--iterations 500]

A fixed Poisson input drives a binarized 100-1000-1 network, whose output membrane is to rise along
a ramp that crosses the threshold at step 75, and to be 0 afterwards: the recipe `temporal`. The
loss is the mean square distance from the ramp, printed in squares of its top.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from lehr.errors import UsageError
from lehr.train.data import Dataset, load_dataset
from lehr.train.loop import train
from lehr.train.model import FloatNet
from lehr.train.objective import Ramp, objective
from lehr.train.progress import Progress
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load

ARMS = {
    "threshold 1": tuple(f"network.layers.{layer}.threshold={{ start = 1.0 }}" for layer in (0, 1)),
    "threshold 50": ("train.thresholds=final",),
    "annealed, 5 to 50": (),
}


@dataclass
class Arm:
    """An arm, trained.

    Attributes:
        loss: by iteration.
        hidden: the hidden layer's firing rate, by iteration.
        timed: whether the output fired once, alone, within 5 steps of 75, by iteration.
        spikes: steps at which the output fires in the end.
        membrane: of the output in the end, by step, and the ramp that it was to follow, in units of
            the ramp's top.
    """

    loss: list[float]
    hidden: list[float]
    timed: list[bool]
    spikes: list[int]
    membrane: Tensor


def trained(recipe: Recipe, data: Dataset, seed: int, folder: Path) -> Arm:
    """Train one arm; a dead output, which ends a run as an error, is what one of them shows."""
    recipe = recipe.model_copy(update={"seed": seed})
    metrics: list[dict[str, Any]] = []
    try:
        train(recipe, data, metrics.append, Progress(folder, recipe))
    except UsageError as error:
        print(error)
    model = FloatNet(recipe.network, data.shape, full_scale=1)
    Progress.open(folder, recipe, resume=True).restore("model", model)
    with torch.no_grad():
        spikes, membrane = model.run(torch.from_numpy(data.test.x).float())
    goal = objective(recipe, data)
    assert isinstance(goal, Ramp)
    return Arm(
        [entry["loss"] / goal.top**2 for entry in metrics],
        [entry["rates"][0] for entry in metrics],
        [entry["train_accuracy"] == 1 for entry in metrics],
        spikes[-1].flatten().nonzero().flatten().tolist(),
        membrane.flatten() / goal.top,
    )


def run(seed: int = 0, iterations: int = 500) -> dict[str, Arm]:
    """Train all arms."""
    arms = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, changes) in enumerate(ARMS.items()):
            recipe = load("temporal", (f"train.epochs={iterations}", *changes))
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
    ramp = [
        step / 75 if step <= 75 else 0.0 for step in range(len(next(iter(arms.values())).membrane))
    ]
    right.plot(ramp, "k--", label="the ramp")
    left.set(xlabel="iteration", ylabel="loss / top²")
    right.set(xlabel="step", ylabel="output membrane / top", ylim=(-1.5, 2))
    right.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main(
    seed: Annotated[int, typer.Argument()] = 0, plot: Path | None = None, iterations: int = 500
) -> None:
    """Train the three arms of the temporal task and print what became of them."""
    arms = run(seed, iterations)
    for name, arm in arms.items():
        print(
            f"{name}: lowest loss {min(arm.loss):.3f}, last {arm.loss[-1]:.3f}, hidden rate "
            f"{arm.hidden[-1]:.4f}"
        )
        print(
            f"  one spike within 5 steps of 75 in {sum(arm.timed)} iterations of {len(arm.timed)}"
        )
        print(f"  the output fires at {arm.spikes or 'no step'}")
    if plot is not None:
        draw(arms, plot)


if __name__ == "__main__":
    typer.run(main)
