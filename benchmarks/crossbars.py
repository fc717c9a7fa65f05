"""Measure what memristive crossbars cost in accuracy, and what training with noise brings back.

    python benchmarks/crossbars.py effects [--devices 20]
    python benchmarks/crossbars.py training [--seeds 5] [--deviation 0.3] [--set train.epochs=12]

The first runs the zoo's `digits` on devices with one fault at a time, the second trains the recipe
`digits` with and without `train.weight_noise`, seed by seed, and runs both on the same devices with
that variation. Both use the recipe's 300 test images; intervals are of 95 %, by Student's
distribution: over devices in the first, over training seeds in the second, each the mean of its
devices.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from intervals import spread

from lehr import zoo
from lehr.network import Network
from lehr.nirfile import read
from lehr.simulate import simulate as exactly
from lehr.simulate.crossbar import Device, simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load

CELLS: dict[str, Any] = {"g_min": 2e-6, "g_max": 1e-4}
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "variation 0.1": {"variation": {"deviation": 0.1}},
    "variation 0.2": {"variation": {"deviation": 0.2}},
    "variation 0.3": {"variation": {"deviation": 0.3}},
    "variation 0.5": {"variation": {"deviation": 0.5}},
    "read noise 0.1": {"variation": {"read": 0.1}},
    "1 % stuck at g_min": {"stuck": {"low": 0.01}},
    "5 % stuck at g_min": {"stuck": {"low": 0.05}},
    "1 % stuck at g_max": {"stuck": {"high": 0.01}},
    "5 % stuck at g_max": {"stuck": {"high": 0.05}},
    "drift 0.01, 10^4": {"drift": {"exponent": 0.01, "time": 1e4}},
    "drift 0.05, 10^4": {"drift": {"exponent": 0.05, "time": 1e4}},
    "converter of 8 bits": {"converter": {"bits": 8}},
    "converter of 6 bits": {"converter": {"bits": 6}},
}

app = typer.Typer(add_completion=False)


@app.command()
def effects(devices: Annotated[int, typer.Option(min=2)] = 20) -> None:
    """Run the zoo's digits on devices with one fault at a time."""
    with tempfile.TemporaryDirectory() as folder:
        net = read(zoo.get("digits", Path(folder)) / "model.nir")
    data = load_dataset(load("digits").data, None)
    typer.echo(f"digits: exact {exact_accuracy(net, data):.2f} %, {devices} devices each")
    for name, fault in FAULTS.items():
        values = accuracies(net, data, Device(**CELLS, **fault), devices)
        typer.echo(f"{name}: {spread(values, ' %')}, {min(values):.2f} to {max(values):.2f} %")


@app.command()
def training(
    seeds: Annotated[int, typer.Option(min=2)] = 5,
    devices: Annotated[int, typer.Option(min=1)] = 20,
    deviation: Annotated[float, typer.Option(min=0.01)] = 0.3,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
) -> None:
    """Train with and without noise, and run both on the same devices."""
    settings = tuple(overrides or ())
    recipe = load("digits", settings)
    data = load_dataset(recipe.data, None)
    device = Device(**CELLS, variation={"deviation": deviation})  # type: ignore[arg-type]
    arms = {
        "plain": recipe,
        "noise": load("digits", (*settings, f"train.weight_noise.deviation={deviation}")),
    }
    means: dict[str, list[float]] = {name: [] for name in arms}
    exact: dict[str, list[float]] = {name: [] for name in arms}
    for seed in range(seeds):
        for name, net in trained(arms, data, seed):
            exact[name].append(exact_accuracy(net, data))
            means[name].append(fmean(accuracies(net, data, device, devices)))
            typer.echo(
                f"seed {seed}, {name}: exact {exact[name][-1]:.2f} %, on devices "
                f"{means[name][-1]:.2f} %"
            )
    for what, values in (("exact", exact), ("on devices", means)):
        gained = [a - b for a, b in zip(values["noise"], values["plain"], strict=True)]
        for name in arms:
            typer.echo(f"{name}, {what}: {spread(values[name], ' %')}")
        typer.echo(f"noise - plain, {what}: {spread(gained, ' points', '+')}")


def trained(arms: dict[str, Recipe], data: Dataset, seed: int) -> Iterator[tuple[str, Network]]:
    """Train each arm from one seed."""
    for name, recipe in arms.items():
        torch.set_num_threads(recipe.train.threads)
        result = train(recipe.model_copy(update={"seed": seed}), data)
        assert result.network is not None
        yield name, result.network


def exact_accuracy(net: Network, data: Dataset) -> float:
    """Return the percentage of test images that the exact network gets right."""
    x, labels = test_images(data)
    return 100 * exactly(net, x).accuracy(labels)


def accuracies(net: Network, data: Dataset, device: Device, devices: int) -> list[float]:
    """Return the percentage of test images that each device gets right."""
    x, labels = test_images(data)
    return [100 * simulate(net, x, device, seed=seed).accuracy(labels) for seed in range(devices)]


def test_images(data: Dataset) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the recipe's test images, uint8, and their labels."""
    return np.asarray(data.test.x[:]), np.asarray(data.test.y)


if __name__ == "__main__":
    app()
