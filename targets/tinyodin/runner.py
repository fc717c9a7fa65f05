"""Machine's own Verilog, which its users have, under Verilator.

It is programmed as the artefact says, and fed with events.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_bytes, read_json
from lehr.simulate import Trace
from lehr.targets.stepped import stepped
from lehr.targets.tinyodin.events import events, read_output
from lehr.targets.upstream import Upstream, verilated
from lehr.targets.verilog import call, missing

_MODULES = (
    "tinyODIN",
    "aer_out",
    "controller",
    "fifo",
    "lif_neuron",
    "neuron_core",
    "scheduler",
    "spi_slave",
    "synaptic_core",
)
SOURCES = tuple(f"{module}.v" for module in _MODULES)
UPSTREAM = Upstream(
    "LEHR_TINYODIN_RTL",
    "the Verilog of tinyODIN",
    SOURCES,
    "src",
    "clone ChFrenkel/tinyODIN from GitHub and set LEHR_TINYODIN_RTL to the folder of its Verilog, "
    "where tinyODIN.v is",
)
BENCH, MAP = "lehr_tb.v", "map.json"
IMAGES = ("program.hex", "clear.hex", "neurons.hex", "synapses.hex")
_LARGEST = 1 << 24
"""Bytes of a file."""
_WAY_OUT = "give a whole artefact of target tinyodin, or build it again"


class TinyOdinRunner:
    """Runs a built artefact in the machine's Verilog.

    Args:
        over_spi: the memories are written, and cleared between samples, word by word over SPI, and
            what they then hold is compared with the artefact's images; else they are loaded at
            once, and the registers alone go over SPI.
    """

    def __init__(self, over_spi: bool = False) -> None:
        self.over_spi = over_spi
        self.was_full = False
        """Whether the scheduler's queue was full at any time in the last run."""

    def missing(self) -> str | None:
        """Return what this machine lacks and how to get it, or None."""
        return UPSTREAM.missing() or missing("verilator")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of the layer for inputs `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the Verilog or Verilator is not there.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        described = read_json(folder / MAP, _WAY_OUT)
        try:
            name, layer, shape = (
                str(described["layer"]),
                tuple(described["shape"]),
                tuple(described["input"]),
            )
            steps, leaks, neurons = (
                int(described["steps"]),
                bool(described["leaks"]),
                int(np.prod(layer)),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(
                f"{folder / MAP} describes no crossbar ({error}); {_WAY_OUT}"
            ) from None
        x = stepped(x, shape, steps)  # a pixel is as many events
        samples, steps = x.shape[:2]
        inputs = x.reshape(samples, steps, -1)
        with tempfile.TemporaryDirectory(prefix="lehr-tinyodin-") as scratch:
            work = Path(scratch)
            lengths = {image: self._copied(folder / image, work / image) for image in IMAGES}
            (work / "events.hex").write_text(
                "".join(f"{word:04x}\n" for word in events(inputs, leaks))
            )
            switches = [f"+words={lengths['program.hex']}", f"+clears={lengths['clear.hex']}"]
            switches += [
                f"+rows={inputs.shape[2]}",
                f"+neurons={neurons}",
                *(["+spi"] if self.over_spi else []),
            ]
            simulator = verilated(
                UPSTREAM, BENCH, read_bytes(folder / BENCH, _LARGEST, _WAY_OUT), work
            )
            lines = call([*simulator, *switches], work, "of tinyODIN does not run").splitlines()
            if "PASS" not in lines:
                raise NotBitExact(
                    f"the Verilog of tinyODIN does not pass: {lines[0] if lines else 'no output'}; "
                    "build the artefact again"
                )
            self.was_full = "full" in lines
            spikes, membranes = read_output(
                (work / "output.hex").read_text(), samples, steps, neurons
            )
        whole = (samples, steps, *layer)
        return Trace({name: spikes.reshape(whole)}, {name: membranes.reshape(whole)})

    def _copied(self, source: Path, to: Path) -> int:
        """Copy an image; returns how many words it has."""
        data = read_bytes(source, _LARGEST, _WAY_OUT)
        to.write_bytes(data)
        return len(data.split())
