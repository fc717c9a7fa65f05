"""Measure what a batch of phase A takes in several arms of a recipe, side by side in one process.

    python benchmarks/batches.py RECIPE --data DIR --arm NAME=KEY=VALUE;... [--arm ...]
        [--batches 8] [--repeats 10]

Arms are written as for benchmarks/accuracy.py. Each trains on the same samples: a few batches at a
time, one arm after another, so that other programs on the machine disturb all alike. Printed is the
least time of the repeats, of the processor and for one batch (forward, loss, backward, update and
schedules; without evaluation), and its ratio to the first arm's.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from accuracy import arm_of

from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.evaluation import tensors
from lehr.train.learning.phases import PhaseA
from lehr.train.learning.rates import firing_rates
from lehr.train.objectives.objective import objective
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load
from lehr.train.stand_in import full_scale


class Arm:
    """A recipe at the start of phase A, and its data."""

    def __init__(self, recipe: Recipe, folder: Path | None) -> None:
        torch.manual_seed(recipe.seed)
        self.data, self.size = load_dataset(recipe.data, folder), recipe.train.batch_size
        net = FloatNet(recipe.network, self.data.shape, full_scale(self.data))
        self.phase = PhaseA(recipe, net, -(-len(self.data.train) // self.size))
        self.goal = objective(recipe, self.data)

    def seconds(self, batches: int, first: int) -> float:
        """Train on so many batches of samples, from the number `first` on; return their time."""
        start = time.process_time()
        net, phase = self.phase.model.train(), self.phase
        for number in range(first, first + batches):
            part = np.arange(number * self.size, (number + 1) * self.size) % len(self.data.train)
            part.sort()
            x, y = tensors(torch.device("cpu"), self.data.train.x[part], self.data.train.y[part])
            phase.optimizer.zero_grad()
            spikes, membranes = net.run(x)
            self.goal.loss(spikes, membranes, y).backward()
            phase.update()
            phase.schedule.step()
            phase.after_batch(firing_rates(spikes, len(y)))
        return time.process_time() - start


def main(
    recipe: str,
    arm: Annotated[list[str], typer.Option()],
    data: Path | None = None,
    batches: int = 8,
    repeats: int = 10,
) -> None:
    """Train all arms side by side, and print what a batch takes."""
    torch.set_num_threads(1)
    arms = {name: Arm(load(recipe, changes), data) for name, changes in map(arm_of, arm)}
    for each in arms.values():
        each.seconds(batches, 0)  # compiles
    least = dict.fromkeys(arms, float("inf"))
    for repeat in range(1, repeats + 1):
        for name, each in arms.items():
            least[name] = min(least[name], each.seconds(batches, repeat * batches))
    base = next(iter(least.values()))
    typer.echo("| arm | ms a batch | ratio |\n| --- | --- | --- |")
    for name, seconds in least.items():
        typer.echo(f"| {name} | {1e3 * seconds / batches:.1f} | {seconds / base:.2f} |")


if __name__ == "__main__":
    typer.run(main)
