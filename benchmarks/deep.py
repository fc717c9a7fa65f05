"""Measure what deep networks take from a model in snnTorch to verified C.

    python benchmarks/deep.py [vgg11] [resnet19] [--samples 4]

Each command of `lehr` is a process of its own: the table has the processor time of it and of all
that it starts, and the most memory that one of these processes has at a time. The networks are in
`deep_networks.py`. It ends with an error where a spike differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import deep_networks
import numpy as np
import typer

LEHR = str(Path(sys.executable).parent / "lehr")


@dataclass(frozen=True)
class Taken:
    """What a command took, and what it printed with --json.

    Attributes:
        processor, clock: seconds.
        memory: MiB, of the largest process at its highest.
        facts: of the command.
    """

    processor: float
    clock: float
    memory: float
    facts: dict[str, Any]


def taken(arguments: list[str], folder: Path) -> Taken:
    """Run a command of lehr in a folder; it has to succeed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([LEHR, *arguments, "--json"], cwd=folder, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read().decode()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, printed)
    return Taken(used.ru_utime + used.ru_stime, clock, used.ru_maxrss / 1024, json.loads(printed))


def commands(name: str) -> dict[str, list[str]]:
    """Return the commands that a network goes through, by name."""
    model, out, given = f"{name}.nir", f"{name}-c", ["-i", "in.npz"]
    factory = f"{deep_networks.__file__}:{name}"
    held = ["--steps", str(deep_networks.STEPS), "--full-scale", "255"]
    return {
        "export": ["export", factory, *given, *held, "-o", model],
        "simulate": ["simulate", model, *given],
        "build --target c": ["build", model, "--target", "c", *given, "-o", out],
        "verify": ["verify", out],
    }


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="NETWORK")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Images that are run.")] = 4,
) -> None:
    """Print the table."""
    typer.echo("| network | parameters | command | processor, s | clock, s | memory, MiB |")
    typer.echo("| --- | ---: | --- | ---: | ---: | ---: |")
    for name in names or deep_networks.MADE:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            count = deep_networks.write_trained(name, folder)
            np.savez(folder / "in.npz", input=deep_networks.images(samples, 7))
            first = f"{name} | {count:,}"
            for command, arguments in commands(name).items():
                took = taken(arguments, folder)
                typer.echo(
                    f"| {first} | {command} | {took.processor:.1f} | {took.clock:.1f} | "
                    f"{took.memory:,.0f} |"
                )
                first = " | "
                if differ := took.facts.get("spikes_differ"):
                    raise AssertionError(f"{name}: {command}: {differ} spikes differ")


if __name__ == "__main__":
    typer.run(main)
