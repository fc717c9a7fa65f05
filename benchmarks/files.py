"""Measure what it costs to write, read and refuse `.nir` files, in processor time.

The time of the process that reads is included.

    python benchmarks/files.py [--nodes 5000]
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import typer

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.nirfile import read, write
from lehr.nodes import Node

NEURONS = Neuron(
    np.array([5]), np.array([1]), Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2)
)


def chain(nodes: list[Node], shape: tuple[int, ...]) -> Network:
    """Return a network of nodes one after another."""
    named = {f"n{number}": node for number, node in enumerate(nodes)}
    return Network(named, tuple(pairwise((INPUT, *named, OUTPUT))), Input(shape, "spikes"), 4)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of `work` and of the processes that it starts and ends."""

    def spent() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    before = spent()
    work()
    return spent() - before


def refuse(path: Path) -> None:
    """Read a file that is to be refused."""
    try:
        read(path)
    except FileRefused:
        return
    raise AssertionError(f"{path} was read")


def main(nodes: Annotated[int, typer.Option(help="In each network.")] = 5000) -> None:
    """Print a line for each kind of network, and one for a file that is refused."""
    linear, conv = Linear(np.ones((1, 1), np.int8)), Conv2d(np.ones((1, 1, 1, 1), np.int8))
    networks = {
        "weights and neurons in turn": chain([linear, NEURONS] * (nodes // 2), (1,)),
        "convolutions": chain([*[conv] * (nodes - 1), NEURONS], (1, 2, 2)),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nir"
        for name, net in networks.items():
            writing = seconds(lambda net=net: write(net, path))  # type: ignore[misc]
            reading = min(seconds(lambda: read(path)) for _ in range(3))
            typer.echo(
                f"{name}, {len(net.nodes):,} nodes: {path.stat().st_size:,} bytes, written in "
                f"{writing:.2f} s, read in {reading:.2f} s"
            )
        write(chain([linear, NEURONS], (1,)), path)
        with h5py.File(path, "a") as file:
            file["node/elsewhere"] = h5py.ExternalLink("other.h5", "/weight")
        typer.echo(
            "a small file with a link to another, refused in "
            f"{min(seconds(lambda: refuse(path)) for _ in range(5)) * 1000:.0f} ms"
        )


if __name__ == "__main__":
    typer.run(main)
