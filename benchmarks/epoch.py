"""Measure what an epoch of phase A takes besides its iterations.

    python benchmarks/epoch.py [RECIPE ...] [--batches 12] [--repeats 3]

`lehr train`'s own loop runs on made-up samples of the recipe's size, of which none are downloaded:
pixels at random, or 5 % of spikes. Printed is the processor time of a batch, the least of the
repeats, by what it is spent on, and the share of all. What an epoch does once, at its end, is left
out: most of it is evaluation, on samples of its own.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from typing import Annotated

import numpy as np
import typer

from lehr.nodes import InputKind
from lehr.train.data import Dataset
from lehr.train.data.dataset import Split
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load

SHAPES = {
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "shd": (700,),
    "digits": (1, 8, 8),
    "dvs-gesture": (2, 32, 32),
    "nmnist": (2, 34, 34),
}
LOOP = "_epoch"
"""The function of `lehr.train.learning.loop` that trains for an epoch."""
CLASSES = {"shd": 20, "dvs-gesture": 11}
PARTS = {
    "forward, loss, backward": ("run", "__call__", "penalty", "backward"),
    "update": ("zero_grad", "update", "step", "after_batch", "after_loss"),
    "samples": ("_batches",),
    "metrics": ("firing_rates", "add", "right"),
    "end": ("accuracy", "require_finite", "trained", "eval", "train", "metrics", "thresholds"),
}
"""By part, the functions that the loop of an epoch calls for it."""


def made_up(recipe: Recipe, batches: int) -> Dataset:
    """Return samples at random for so many batches, and one of validation."""
    name, random = recipe.data.name, np.random.default_rng(0)
    count, steps = batches * recipe.train.batch_size, recipe.data.steps

    def split(samples: int) -> Split:
        size = (samples, *([] if steps is None else [steps]), *SHAPES[name])
        x = (
            random.integers(0, 256, size, np.uint8)
            if steps is None
            else (random.random(size, np.float32) < 0.05).astype(np.uint8)
        )
        return Split(x, random.integers(0, CLASSES.get(name, 10), samples))

    kind: InputKind = "u8" if steps is None else "spikes"
    return Dataset(split(count), split(1), split(1), CLASSES.get(name, 10), kind, steps)


def seconds(recipe: Recipe, data: Dataset) -> dict[str, float]:
    """Train for an epoch, and return the processor time of its parts."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(train, recipe, data)
    entries = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    called = dict.fromkeys([*PARTS, "rest"], 0.0)
    for (_, _, name), (_, _, own, _, callers) in entries:
        if name == LOOP:
            called["rest"] += own
        for (_, _, caller), (_, _, _, total) in callers.items():
            if caller == LOOP:
                part = next((part for part, names in PARTS.items() if name in names), "rest")
                called[part] += total
    return called


def main(
    recipes: Annotated[list[str] | None, typer.Argument(metavar="RECIPE")] = None,
    batches: int = 12,
    repeats: int = 3,
) -> None:
    """Print what a batch takes, and what of it is no iteration."""
    for name in recipes or ["fashion-mnist-fast", "dvs-gesture-fast", "shd-fast"]:
        recipe = load(name)
        once = recipe.train.model_copy(update={"epochs": 1})
        recipe = recipe.model_copy(update={"train": once, "finetune": None})
        data = made_up(recipe, batches)
        runs = [seconds(recipe, data) for _ in range(1 + repeats)][1:]  # the first one compiles
        least = {part: min(run[part] for run in runs) for part in runs[0]}
        del least["end"]
        whole = sum(least.values())
        each = (
            f"{part} {1e3 * spent / batches:.1f} ms ({spent / whole:.1%})"
            for part, spent in least.items()
        )
        typer.echo(f"{name}, {batches} batches of {recipe.train.batch_size}: {', '.join(each)}")


if __name__ == "__main__":
    typer.run(main)
