"""Measure how long processes take from start to end, and where that goes.

    python benchmarks/startup.py [--repeats 5] [--lehr PROGRAM]

`lehr --help` runs against the imports that it needs and those that it leaves to the commands; `lehr
simulate` on 16 images of 100 steps with an empty and with a full cache of machine code, against
imports alone. The processes take turns; of each the least time counts, by the clock and of the
processor. `--lehr` names the lehr of another environment, such as one with a wheel, which brings
compiled kernels.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import typer
from networks import CASES, at_rate, inputs, network

from lehr import nirfile

IMPORTS = ("pass", "import typer", "import numpy", "import numba", "import torch")


def taken(command: list[str], cache: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor, with machine code in the folder `cache`."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "NUMBA_CACHE_DIR": cache}
    )
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


HERE = Path(sys.executable).with_name("lehr")


def main(repeats: int = 5, lehr: Path = HERE) -> None:
    """Time processes from start to end; of another environment's lehr if one is named."""
    with tempfile.TemporaryDirectory() as folder:
        x = inputs(CASES["fashion-mnist"], 16)
        nirfile.write(at_rate(network(CASES["fashion-mnist"]), x[:4], 0.1), Path(folder) / "m.nir")
        np.savez(Path(folder) / "x.npz", input=x)
        simulate = [
            str(lehr),
            "simulate",
            f"{folder}/m.nir",
            "-i",
            f"{folder}/x.npz",
            "--threads",
            "1",
        ]
        commands = {"lehr --help": [str(lehr), "--help"], "lehr simulate": simulate}
        commands |= {f"python -c '{what}'": [sys.executable, "-c", what] for what in IMPORTS}
        shown("lehr simulate, empty cache", *taken(simulate, f"{folder}/cache"))
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                times[name].append(taken(command, f"{folder}/cache"))
    for name, each in times.items():
        shown(name, *(min(column) for column in zip(*each, strict=True)))


def shown(name: str, clock: float, processor: float) -> None:
    """Print a line."""
    typer.echo(
        f"{name:<28}{clock * 1e3:7.0f} ms by the clock{processor * 1e3:7.0f} ms of the processor"
    )


if __name__ == "__main__":
    typer.run(main)
