"""Measure what schedules of thresholds do to the test accuracy of the `digits` recipe.

The accuracy is that after phase A; these are the figures of docs/training/thresholds.md.

    python benchmarks/schedules.py
"""

from __future__ import annotations

from typing import Any

import typer

from lehr.train.data import load_dataset
from lehr.train.learning.evaluation import accuracy
from lehr.train.learning.loop import train
from lehr.train.objectives.objective import objective
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load

RATE_CONTROLLED = {"schedule": "rate-controlled"}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as the recipe names them": ({}, {}),
    "held at final": ({}, {"thresholds": "final"}),
    "linear, until 0.5": ({"schedule": "linear"}, {}),
    "linear, until 1": ({"schedule": "linear", "until": 1.0}, {}),
    "cosine, until 0.5": ({"schedule": "cosine"}, {}),
    "step, 4 stages, until 0.5": ({"schedule": "step", "stages": 4}, {}),
    "restarts, 3 cycles, until 0.5": (
        {"schedule": "restarts"},
        {"cycles": 3, "lr_schedule": "restarts"},
    ),
    "restarts, 3 cycles, until 1": (
        {"schedule": "restarts", "until": 1.0},
        {"cycles": 3, "lr_schedule": "restarts"},
    ),
    "rate-controlled from 1": ({**RATE_CONTROLLED, "start": 1.0}, {}),
    "rate-controlled from 1, floor 0.2": ({**RATE_CONTROLLED, "start": 1.0, "floor": 0.2}, {}),
    "rate-controlled, 0.1 in output": ({**RATE_CONTROLLED, "start": 1.0, "floor": 0.1}, {}),
    "rate-controlled from 0.1": ({**RATE_CONTROLLED, "start": 0.1}, {}),
}
"""Keys of every layer's threshold, and of the training, by name.

A floor is set in the hidden layers alone, unless the name says more.
"""


def variant(threshold: dict[str, Any], training: dict[str, Any], output_floor: bool) -> Recipe:
    """Return the digits recipe, phase A alone, with other thresholds."""
    recipe = load("digits").model_dump(mode="json", exclude_none=True)
    del recipe["finetune"]
    recipe["train"] |= training
    for layer in recipe["network"]["layers"]:
        ends = {key: layer["threshold"][key] for key in ("start", "final")}
        kept = {"start": ends["start"]} if threshold.get("schedule") == "rate-controlled" else ends
        if threshold:
            layer["threshold"] = {**kept, **threshold}
    if not output_floor:
        recipe["network"]["layers"][-1]["threshold"].pop("floor", None)
    return Recipe.model_validate(recipe)


def main() -> None:
    """Train every variant, and print what becomes of it.

    It is its test accuracy, the last threshold of its output, and the epochs in which its output
    was silent.
    """
    data = load_dataset(load("digits").data, None)
    for name, changes in VARIANTS.items():
        recipe = variant(*changes, output_floor=name.endswith("in output"))
        trained = train(recipe, data)
        silent = [entry["epoch"] for entry in trained.metrics if entry["rates"][-1] == 0]
        last = trained.metrics[-1]["thresholds"][-1]
        typer.echo(
            f"{name:34}{100 * accuracy(trained.model, data.test, objective(recipe, data)):6.2f} %  "
            f" threshold {last:7.2f}   silent {silent}"
        )


if __name__ == "__main__":
    main()
