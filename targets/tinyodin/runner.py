"""The machine's own Verilog, which its users have, under Verilator: programmed as the artefact says, and fed with events."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact, ToolMissing
from lehr.reading import read_bytes, read_json
from lehr.simulate import Trace
from lehr.targets.simulators import simulator
from lehr.targets.tinyodin.events import events, read_output
from lehr.targets.verilog import call, command, missing, verilate

VARIABLE = "LEHR_TINYODIN_RTL"
_MODULES = ("tinyODIN", "aer_out", "controller", "fifo", "lif_neuron", "neuron_core", "scheduler", "spi_slave", "synaptic_core")
SOURCES = tuple(f"{module}.v" for module in _MODULES)
BENCH, MAP = "lehr_tb.v", "map.json"
IMAGES = ("program.hex", "clear.hex", "neurons.hex", "synapses.hex")
_LARGEST = 1 << 24
"""Bytes of a file."""
_WAY_OUT = "give a whole artefact of target tinyodin, or build it again"
_GET = f"clone ChFrenkel/tinyODIN from GitHub and set {VARIABLE} to the folder of its Verilog, where tinyODIN.v is"


def rtl() -> Path | str:
    """The folder with the machine's Verilog, or what is missing and what to do."""
    named = os.environ.get(VARIABLE)
    if not named:
        return f"the Verilog of tinyODIN is not known here; {_GET}"
    for folder in (Path(named), Path(named) / "src"):
        if all((folder / name).is_file() for name in SOURCES):
            return folder
    lacking = next(name for name in SOURCES if not (Path(named) / name).is_file())
    return f"{VARIABLE} is {named}, where no {lacking} is; {_GET}"


class TinyOdinRunner:
    """Runs a built artefact in the machine's Verilog.

    Args:
        over_spi: the memories are written, and cleared between samples, word by word over SPI, and what they then hold is compared with
            the artefact's images; else they are loaded at once, and the registers alone go over SPI.
    """

    def __init__(self, over_spi: bool = False) -> None:
        self.over_spi = over_spi
        self.was_full = False
        """Whether the scheduler's queue was full at any time in the last run."""

    def missing(self) -> str | None:
        """What this machine lacks and how to get it, or None."""
        found = rtl()
        return found if isinstance(found, str) else missing("verilator")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of the layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the Verilog or Verilator is not there.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        described = read_json(folder / MAP, _WAY_OUT)
        try:
            name, layer, shape = str(described["layer"]), tuple(described["shape"]), tuple(described["input"])
            steps, leaks, neurons = int(described["steps"]), bool(described["leaks"]), int(np.prod(layer))
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(f"{folder / MAP} describes no crossbar ({error}); {_WAY_OUT}") from None
        if x.shape[1:] == shape:
            x = np.repeat(x[:, None], steps, axis=1)
        if x.dtype != np.uint8 or x.shape[2:] != shape:
            raise FileRefused(f"input is {x.dtype} {list(x.shape)}, the artefact takes uint8 {list(shape)} at each step; reshape it")
        samples, steps = x.shape[:2]
        inputs = x.reshape(samples, steps, -1)
        with tempfile.TemporaryDirectory(prefix="lehr-tinyodin-") as made:
            work = Path(made)
            lengths = {image: self._copied(folder / image, work / image) for image in IMAGES}
            (work / "events.hex").write_text("".join(f"{word:04x}\n" for word in events(inputs, leaks)))
            switches = [f"+words={lengths['program.hex']}", f"+clears={lengths['clear.hex']}"]
            switches += [f"+rows={inputs.shape[2]}", f"+neurons={neurons}", *(["+spi"] if self.over_spi else [])]
            lines = call([*self._compiled(folder, work), *switches], work, "of tinyODIN does not run").splitlines()
            if "PASS" not in lines:
                raise NotBitExact(f"the Verilog of tinyODIN does not pass: {lines[0] if lines else 'no output'}; build the artefact again")
            self.was_full = "full" in lines
            spikes, membranes = read_output((work / "output.hex").read_text(), samples, steps, neurons)
        whole = (samples, steps, *layer)
        return Trace({name: spikes.reshape(whole)}, {name: membranes.reshape(whole)})

    def _copied(self, source: Path, to: Path) -> int:
        """Copy an image; returns how many words it has."""
        data = read_bytes(source, _LARGEST, _WAY_OUT)
        to.write_bytes(data)
        return len(data.split())

    def _compiled(self, folder: Path, work: Path) -> list[str]:
        sources = rtl()
        if isinstance(sources, str):
            raise ToolMissing(sources)
        files = {name: read_bytes(sources / name, _LARGEST, _GET) for name in SOURCES}
        files[BENCH] = read_bytes(folder / BENCH, _LARGEST, _WAY_OUT)
        place = work / "simulator"
        place.mkdir()
        version = call([command("verilator"), "--version"], work, "has no simulator").strip()
        return simulator(files, lambda made: verilate(made, "lehr_tb", [*SOURCES, BENCH]), version, place)
