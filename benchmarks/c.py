"""Measure target c on a Cortex-M4: instructions, counted by QEMU.

A run prints the same on every machine.

    python benchmarks/c.py              three ways to sum binary weights, by the rate of spikes
    python benchmarks/c.py --networks   bytes and instructions of whole networks, at 10 % spikes

The three ways are in c_kernels/kernels.c: `event` adds the row of every spike to a sum for each
output; `sliced` adds eight rows to counters, 32 outputs at once; `popcount` counts, for every
output, the bits that its weights and the inputs have in common. All three must give equal sums.
Target c chooses between the first two (targets/c/slices.py), whose constants are about the slopes
of these figures.
"""

from __future__ import annotations

import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from simulator import CASES, at_rate, inputs, network

from lehr.arithmetic import Arithmetic
from lehr.errors import ToolMissing
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.targets.build import build
from lehr.targets.c import C
from lehr.targets.c.figures import missing
from lehr.targets.c.layout import Layout
from lehr.widths import fit_state_bits

KERNELS = Path(__file__).parent / "c_kernels" / "kernels.c"
SHAPES = ((72, 16), (400, 64), (1024, 10), (3000, 20), (700, 3000))
PER_MILLE = (10, 20, 50, 100, 200, 500)


def kernels(work: Path, sources: int, outputs: int) -> list[list[int]]:
    """Per mille of spikes, then instructions of each way, for a layer."""
    sizes = {
        "INPUTS": sources,
        "OUTPUTS": outputs,
        "RATES": ",".join(map(str, PER_MILLE)),
    }
    flags = " ".join(("-O2", *(f"-D{name}={value}" for name, value in sizes.items())))
    done = subprocess.run(
        ["make", "-s", "-B", f"CFLAGS={flags}", "check-cortex-m"],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        [int(word) for word in line.split()] for line in (done.stdout + done.stderr).splitlines()
    ]


def small() -> Network:
    """Return any network: what its artefact has beside the library runs the kernels."""
    nodes = {
        "fc": Linear(np.ones((1, 1), np.int8)),
        "lif": Neuron(np.ones(1, np.int32), np.zeros(1, np.int32), Arithmetic()),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1,), "spikes"), steps=1)


def ways() -> None:
    """Instructions of a layer in a step, by way and rate."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "c"
        C().plan(small(), {}).write(work)
        (work / "main.c").write_bytes(KERNELS.read_bytes())
        for sources, outputs in SHAPES:
            typer.echo(
                f"{sources} to {outputs}: instructions of a step\n  spikes      event     sliced   "
                "popcount"
            )
            for per_mille, *instructions in kernels(work, sources, outputs):
                typer.echo(
                    f"  {per_mille / 10:4.0f} % "
                    + "".join(f"{count:11,}" for count in instructions)
                )


def networks(names: list[str], samples: int) -> None:
    """Bytes and instructions of whole networks, summed one by one and as target c chooses."""
    for name in names:
        x = inputs(CASES[name], samples)
        net = fit_state_bits(at_rate(network(CASES[name]), x, 0.1))
        for rate, events in (("0", "one by one"), ("10", "as chosen")):
            built = build(net, C(), x, {"rate": rate}, measure=True)
            ram = {"RAM": Layout(net, float(rate) / 100).memory.bytes}
            figures = ram | {figure.name: figure.value for figure in built.measured}
            shown = ", ".join(f"{what} {value:,}" for what, value in figures.items())
            spikes = " ".join(f"{100 * value:.1f}" for value in built.rates.values())
            typer.echo(f"{name}, {net.steps} steps, {spikes} % spikes, {events}: {shown}")


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="NETWORK")] = None,
    whole: Annotated[bool, typer.Option("--networks", help="Whole networks.")] = False,
    samples: Annotated[int, typer.Option(min=1, help="Of whole networks.")] = 2,
) -> None:
    """Print one of the tables."""
    lacking = missing("arm-none-eabi-gcc", "qemu-system-arm")
    if lacking:
        raise ToolMissing(lacking)
    if whole:
        networks(names or list(CASES), samples)
    else:
        ways()


if __name__ == "__main__":
    typer.run(main)
