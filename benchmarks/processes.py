"""Measure one training in one and in several processes.

    python benchmarks/processes.py compare [RECIPE ...] [--processes 2] [--threads 2] [--rounds 3]

`lehr train`'s own loop runs under torchrun on made-up samples, as in `epoch.py`. The sides take
turns: one process of one thread, one of several threads, several of one thread. Printed is what a
batch takes, by the clock and in processor time of all processes together, each the least of all
epochs but the first of every start, which compiles.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from epoch import made_up

from lehr.launched import launched
from lehr.train.learning.loop import train
from lehr.train.processes import first, joined, summed
from lehr.train.recipefile import load

app = typer.Typer()


@app.command()
def side(name: str, batches: int, threads: int, epochs: int) -> None:
    """Train together with the processes of the launcher, and print seconds a batch as JSON."""
    recipe = load(name)
    once = {"epochs": 1 + epochs, "threads": threads, "patience": None}
    training = recipe.train.model_copy(update=once)
    recipe = recipe.model_copy(update={"train": training, "finetune": None})
    data = made_up(recipe, batches)
    ended: list[torch.Tensor] = []

    def report(_: dict[str, Any]) -> None:
        spent = summed(torch.tensor(time.process_time(), dtype=torch.float64))
        ended.append(torch.stack([torch.tensor(time.perf_counter(), dtype=torch.float64), spent]))

    with joined(launched(), "cpu"):
        train(recipe, data, report)
        if first():
            took = torch.stack(ended).diff(dim=0).amin(0) / batches
            typer.echo(json.dumps(took.tolist()))


@app.command()
def compare(
    recipes: Annotated[list[str] | None, typer.Argument(metavar="RECIPE")] = None,
    processes: int = 2,
    threads: int = 2,
    batches: int = 12,
    epochs: int = 4,
    rounds: int = 3,
) -> None:
    """Print what a batch takes."""
    sides = ((1, 1), (1, threads), (processes, 1))
    for name in recipes or ["digits", "fashion-mnist-fast", "dvs-gesture-fast", "shd-fast"]:
        least = {each: [float("inf")] * 2 for each in sides}
        for _ in range(rounds):
            for count, each in sides:
                launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(count))
                given = map(str, ("side", name, batches, each, epochs))
                ran = subprocess.run(
                    [sys.executable, *launcher, str(Path(__file__)), *given],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                took = json.loads(ran.stdout)
                least[count, each] = [*map(min, least[count, each], took)]
        size = load(name).train.batch_size
        typer.echo(f"{name}, {batches} batches of {size}, ms a batch (processor time of all):")
        for (count, each), (clock, spent) in least.items():
            typer.echo(
                f"  {count} x {each} threads  {1e3 * clock:7.1f} ({1e3 * spent:.1f}), "
                f"{least[1, 1][0] / clock:.2f} times as fast"
            )


if __name__ == "__main__":
    app(prog_name="processes.py")
