"""Measure a training iteration on a GPU, as benchmarks/training.py does on the host.

    python benchmarks/gpu.py [SHAPE ...] [--batch N] [--repeats 3]

It prints the same lines, by the clock and without memory, and skips itself by name where torch
finds no CUDA device. Neurons are one kernel a layer and pass (`train/floats/lif_triton.py`), whose
first iteration compiles it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import torch
import typer
from torch import Tensor
from training import CASES, compared, plain, prepared

from lehr.train.runs import device


def clock() -> float:
    """Return seconds, once the GPU has done what it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="SHAPE")] = None,
    batch: Annotated[int, typer.Option(help="In place of the shape's own.")] = 0,
    repeats: int = 3,
) -> None:
    """Time a training iteration of phase A on a GPU against a plain loop."""
    if not torch.cuda.is_available():
        typer.echo("skipped: torch finds no CUDA device")
        return
    gpu = device.prepared("cuda")
    for name in names or list(CASES):
        case = CASES[name]
        net, x, y = prepared(replace(case, batch=batch or case.batch))
        net, x, y = net.to(gpu), x.to(gpu), y.to(gpu)
        forwards: dict[str, Callable[[Tensor], Tensor]] = {"plain": plain(net), "lehr": net}
        typer.echo(f"{name}, {compared(forwards, net, x, y, repeats + 1, clock)}")


if __name__ == "__main__":
    typer.run(main)
