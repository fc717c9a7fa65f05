"""Simulation of the artefact in a folder of its own: Icarus for small networks, Verilator else."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_bytes, read_json
from lehr.simulate import Trace
from lehr.targets.fpga.projections import volume
from lehr.targets.fpga.render import BENCH, DESCRIPTION
from lehr.targets.stepped import stepped
from lehr.targets.verilog import call, command, missing, verilate

Simulator = Literal["iverilog", "verilator"]
_WAY_OUT = "give a whole artefact of target fpga, or build it again"
_LARGEST = 1 << 31
"""Bytes of a file: more than of any network that fits in memory."""
LARGE = 300_000
"""Updates of neurons from which on Verilator is used.

It compiles for half a minute, and is sooner done then than Icarus, which interprets.
"""


class FpgaRunner:
    """Runs a built artefact of target `fpga`.

    Args:
        simulator: which one; by the size of the run, and by what is there, if None.
        switches: further switches of the testbench, as `+gaps=1`.
    """

    def __init__(self, simulator: Simulator | None = None, switches: tuple[str, ...] = ()) -> None:
        self.simulator: Simulator | None = simulator
        self.switches = switches

    def missing(self) -> str | None:
        """Return which tool this machine lacks and how to install it, or None."""
        if self.simulator is not None:
            return missing(self.simulator)
        return missing("iverilog") and missing("verilator") and missing("iverilog")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when there is no simulator.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        with tempfile.TemporaryDirectory(prefix="lehr-fpga-") as scratch:
            work = Path(scratch)
            description = read_json(folder / DESCRIPTION, _WAY_OUT)
            try:
                sources = [*(Path(module).name for module in description["modules"]), BENCH]
                images = [Path(image).name for image in description["images"]]
                shape, steps = tuple(description["input"]), int(description["steps"])
            except (ValueError, KeyError, TypeError) as error:
                raise FileRefused(
                    f"{folder / DESCRIPTION} describes no design ({error}); {_WAY_OUT}"
                ) from None
            for name in (*sources, *images):
                (work / name).write_bytes(read_bytes(folder / name, _LARGEST, _WAY_OUT))
            x = stepped(x, shape, steps)
            program = compile_bench(
                work, self._choose(description, x.shape[0] * x.shape[1]), sources
            )
            x.tofile(work / "input.u8")
            switches = [
                "+input=input.u8",
                "+output=output",
                f"+samples={len(x)}",
                f"+steps={x.shape[1]}",
                *self.switches,
            ]
            lines = call([*program, *switches], work, "does not run").splitlines()
            if "PASS" not in lines:
                raise NotBitExact(
                    f"the Verilog does not run to its end: {lines[0] if lines else 'no output'}; "
                    "build the artefact again"
                )
            return _trace(
                np.fromfile(work / "output", np.uint8), description, x.shape[0], x.shape[1]
            )

    def _choose(self, description: Mapping[str, Any], steps: int) -> Simulator:
        """Return the simulator for a run of so many steps in all."""
        if self.simulator is not None:
            return self.simulator
        neurons = sum(int(np.prod(layer["shape"])) for layer in description["layers"])
        if missing("verilator"):
            return "iverilog"
        if neurons * steps > LARGE or missing("iverilog"):
            return "verilator"
        return "iverilog"


def compile_bench(folder: Path, simulator: Simulator, sources: list[str]) -> list[str]:
    """Compile a design and its testbench; returns the command that runs it in `folder`."""
    if simulator == "iverilog":
        compiler = command("iverilog")
        call(
            [compiler, "-g2005-sv", "-o", "lehr_sim", "-s", "lehr_tb", *sources],
            folder,
            "does not compile",
        )
        return [str(Path(compiler).with_name("vvp")), "-n", "lehr_sim"]
    return verilate(folder, "lehr_tb", sources)


def _trace(
    output: npt.NDArray[np.uint8], description: Mapping[str, Any], samples: int, steps: int
) -> Trace:
    """Return what the engine sent, neuron by neuron, as a trace.

    It sends a byte with the spike, then the membrane; after each step a 0; then the status.
    """
    shapes = {layer["layer"]: tuple(layer["shape"]) for layer in description["layers"]}
    width, neurons = (
        int(description["membrane_bytes"]),
        sum(int(np.prod(shape)) for shape in shapes.values()),
    )
    step = neurons * (1 + width) + 1
    try:
        sent = output.reshape(samples, steps * step + int(description["status_bytes"]))[
            :, : steps * step
        ].reshape(samples, steps, step)
    except ValueError:
        raise NotBitExact(
            "the Verilog sends too much or too little; build the artefact again"
        ) from None
    records = sent[:, :, :-1].reshape(samples, steps, neurons, 1 + width)
    if sent[:, :, -1].any() or (records[..., 0] >> 1 != 1).any():
        raise NotBitExact("the Verilog sends messages out of order; build the artefact again")
    extended = np.repeat(records[..., -1:] >> 7, 4, axis=3) * np.uint8(255)
    extended[..., :width] = records[..., 1:]
    membrane = extended.view("<i4")[..., 0].astype(np.int32)
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    membranes: dict[str, npt.NDArray[np.int32]] = {}
    at = 0
    for name, shape in shapes.items():
        channels, rows, columns = volume(shape)
        size = channels * rows * columns
        # Place by place, the channels of a place one after another; the network counts channel by
        # channel.
        by_place, here = (samples, steps, rows, columns, channels), slice(at, at + size)
        spikes[name] = np.moveaxis(
            (records[:, :, here, 0] % np.uint8(2)).reshape(by_place), 4, 2
        ).reshape(samples, steps, *shape)
        membranes[name] = np.moveaxis(membrane[:, :, here].reshape(by_place), 4, 2).reshape(
            samples, steps, *shape
        )
        at += size
    return Trace(spikes, membranes)
