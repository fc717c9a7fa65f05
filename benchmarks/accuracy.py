"""Measure the test accuracy of recipes in their three arms.

They are float weights, binarized without annealing, and annealed.

    python benchmarks/accuracy.py RECIPE ... --data DIR [--seeds 3] [--arm ARM ...]
        [--set KEY=VALUE ...]

Calls `lehr train` for each arm and prints one line: the accuracy on the test set of what the arm
leaves behind (the integer network; with float weights the float network), its mean and standard
deviation over seeds, and how long a run took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

import typer

from lehr.train.recipefile import ARMS


def runs(
    recipe: str, arm: str, data: Path | None, seeds: int, changes: list[str]
) -> tuple[list[float], float]:
    """Test accuracies by seed, and seconds for one run."""
    assignments = [part for change in (*ARMS[arm], *changes) for part in ("--set", change)]
    source = [] if data is None else ["--data", str(data)]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "lehr",
            "train",
            recipe,
            "-o",
            f"{folder}/run",
            "--json",
            "--seeds",
            str(seeds),
            *source,
            *assignments,
        ]
        start = time.perf_counter()
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        seconds = (time.perf_counter() - start) / seeds
    if ended.returncode:
        raise SystemExit(
            f"{' '.join(command)}\nended with exit code {ended.returncode}: {ended.stdout}"
        )
    accuracies = [run["accuracy"] for run in json.loads(ended.stdout)["runs"]]
    return [accuracy.get("integer", accuracy["phase A"]) for accuracy in accuracies], seconds


def main(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE")],
    data: Path | None = None,
    seeds: int = 1,
    arms: Annotated[list[str] | None, typer.Option("--arm")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set")] = None,
) -> None:
    """Train every recipe in every arm and print what it reaches."""
    for recipe in recipes:
        for arm in arms or ["float", "binarized", "annealed"]:
            accuracies, seconds = runs(recipe, arm, data, seeds, changes or [])
            spread = f" +- {100 * stdev(accuracies):.2f}" if seeds > 1 else ""
            each = ", ".join(f"{100 * value:.2f}" for value in accuracies)
            typer.echo(
                f"{recipe:16}{arm:12}{100 * mean(accuracies):6.2f}{spread} % of the test set "
                f"(seeds: {each}); {seconds / 60:.1f} min a run"
            )


if __name__ == "__main__":
    typer.run(main)
