"""Measure a training iteration of phase A against a plain per-step snnTorch loop.

The network is the same, and both are interleaved in one run.

    python benchmarks/training.py [SHAPE ...] [--batch N] [--repeats 3]

The plain loop is how such networks are usually written: every layer is called once a time step, and
binarizes its weights there. For each shape it prints the time of both (forward, loss, backward;
float32; the least of the repeats in processor time of the one thread, which other programs on the
machine disturb least), their ratio, how many output spikes differ, the greatest relative error of a
weight's gradient, and the memory that a first iteration takes on top.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import snntorch
import snntorch.functional
import torch
import typer
from measuring import forget_peak, peak_so_far
from snntorch import surrogate
from torch import Tensor

from lehr.train.floats.model import FULL_SCALE, FloatNet
from lehr.train.learning.allocation import keep_freed_memory
from lehr.train.recipe import NetworkRecipe

Clock = Callable[[], float]
FIRING = 0.1
"""Share of neuron-steps that spike, in every layer: thresholds are set to it."""


@dataclass(frozen=True)
class Case:
    """A network and its input."""

    input: tuple[int, ...]
    held: bool
    steps: int
    beta: str
    layers: tuple[dict[str, Any], ...]
    batch: int


def conv(channels: int, padding: int = 0) -> dict[str, Any]:
    """5x5, pooled 2x2."""
    return {
        "type": "conv",
        "channels": channels,
        "kernel": 5,
        "padding": padding,
        "pool": 2,
        "threshold": {"start": 1},
    }


def linear(features: int) -> dict[str, Any]:
    """Fully connected."""
    return {"type": "linear", "features": features, "threshold": {"start": 1}}


CASES = {
    "fashion-mnist": Case((1, 28, 28), True, 100, "7/8", (conv(16), conv(64), linear(10)), 32),
    "mnist": Case((1, 28, 28), True, 100, "253/256", (conv(16), conv(64), linear(10)), 32),
    "shd": Case((700,), False, 333, "243/256", (linear(3000), linear(20)), 16),
    "dvs-gesture": Case((2, 32, 32), False, 100, "15/16", (conv(16), conv(32), linear(11)), 8),
}


def prepared(case: Case) -> tuple[FloatNet, Tensor, Tensor]:
    """Return the network with thresholds at which every layer fires as it should.

    With it go an input and its labels.
    """
    torch.manual_seed(0)
    recipe = NetworkRecipe.model_validate(
        {"steps": case.steps, "beta": case.beta, "slope": 1.0, "layers": case.layers}
    )
    net = FloatNet(recipe, case.input, FULL_SCALE if case.held else 1)
    if case.held:
        x = torch.randint(0, 256, (case.batch, *case.input)).float()
    else:
        x = (torch.rand(case.batch, case.steps, *case.input) < 0.05).float()
    for layer, block in enumerate(net.layers):
        low, high = 0.0, 1e4
        for _ in range(20):
            block.neurons.threshold.fill_((low + high) / 2)
            with torch.no_grad():
                quiet = float(net.run(x[:4])[0][layer].mean()) < FIRING
            low, high = (low, (low + high) / 2) if quiet else ((low + high) / 2, high)
    return net, x, torch.randint(0, case.layers[-1]["features"], (case.batch,))


def plain(net: FloatNet) -> Callable[[Tensor], Tensor]:
    """Return the same network, step by step."""
    neurons = [
        snntorch.Leaky(
            beta=block.neurons.beta,
            threshold=float(block.neurons.threshold),
            spike_grad=surrogate.fast_sigmoid(block.neurons.slope),
        )
        for block in net.layers
    ]

    def forward(x: Tensor) -> Tensor:
        held = x.ndim == len(net.shape) + 1
        membranes, spikes = [neuron.reset_mem() for neuron in neurons], []
        for t in range(net.steps):
            s = (x if held else x[:, t]) / net.full_scale
            for i, (block, neuron) in enumerate(zip(net.layers, neurons, strict=True)):
                current = block.norm(
                    block.pool(block.weight(s.flatten(1) if len(block.shape) == 1 else s))
                )
                s, membranes[i] = neuron(current, membranes[i])
            spikes.append(s)
        return torch.stack(spikes)

    return forward


def iteration(
    forward: Callable[[Tensor], Tensor], net: FloatNet, x: Tensor, y: Tensor, clock: Clock
) -> tuple[float, Tensor, list[Tensor]]:
    """Seconds by a clock, output spikes and the gradients of all weights."""
    net.zero_grad()
    start = clock()
    spikes = forward(x)
    snntorch.functional.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(spikes, y).backward()
    seconds = clock() - start
    return (
        seconds,
        spikes.detach(),
        [parameter.grad for parameter in net.parameters() if parameter.grad is not None],
    )


def compared(
    forwards: Mapping[str, Callable[[Tensor], Tensor]],
    net: FloatNet,
    x: Tensor,
    y: Tensor,
    repeats: int,
    clock: Clock,
) -> str:
    """Return the times of the plain loop and of lehr, interleaved, and what differs."""
    best = dict.fromkeys(forwards, float("inf"))
    results: dict[str, tuple[Tensor, list[Tensor]]] = {}
    for _ in range(repeats):
        for which, forward in forwards.items():
            seconds, spikes, gradients = iteration(forward, net, x, y, clock)
            best[which] = min(best[which], seconds)
            results[which] = (spikes, [gradient.clone() for gradient in gradients])
    (expected, right), (output, gradients) = results["plain"], results["lehr"]
    error = max(float((a - b).norm() / b.norm()) for a, b in zip(gradients, right, strict=True))
    different = int((expected != output).sum())
    return (
        f"batch {len(x)}, {net.steps} steps: plain {best['plain'] * 1e3:.0f} ms, lehr "
        f"{best['lehr'] * 1e3:.0f} ms: {best['plain'] / best['lehr']:.2f} times as fast; "
        f"{different} of {expected.numel()} output spikes differ "
        f"({float(expected.mean()):.1%} fire), gradients {error:.1e} apart"
    )


def peak(name: str, batch: int, which: str) -> float:
    """MiB that one iteration adds to a fresh process."""
    command = [sys.executable, __file__, name, "--batch", str(batch), "--peak", which]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="SHAPE")] = None,
    batch: Annotated[int, typer.Option(help="In place of the shape's own.")] = 0,
    repeats: int = 3,
    peak_of: Annotated[str, typer.Option("--peak", hidden=True)] = "",
) -> None:
    """Time a training iteration of phase A against a plain loop."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as `lehr train` does, and for the plain loop as well
    for name in names or list(CASES):
        case = CASES[name]
        net, x, y = prepared(replace(case, batch=batch or case.batch))
        forwards: dict[str, Callable[[Tensor], Tensor]] = {"plain": plain(net), "lehr": net}
        if peak_of:
            forget_peak()  # of setting thresholds
            before = peak_so_far()
            iteration(forwards[peak_of], net, x, y, time.process_time)
            typer.echo(peak_so_far() - before)
            return
        line = compared(forwards, net, x, y, repeats, time.process_time)
        memory = {which: peak(name, len(x), which) for which in forwards}
        typer.echo(f"{name}, {line}, memory {memory['plain']:.0f} and {memory['lehr']:.0f} MiB")


if __name__ == "__main__":
    typer.run(main)
