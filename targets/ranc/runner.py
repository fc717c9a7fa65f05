"""RANC's own C++ simulator, which its users have: compiled once, and run anew for each sample."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import JSON_BYTES, parse_json, read_bytes, read_json
from lehr.simulate.result import Trace
from lehr.targets.ranc.files import CONFIG, MAP, NETWORK
from lehr.targets.ranc.placing import NEURONS
from lehr.targets.simulators import simulator
from lehr.targets.stepped import stepped
from lehr.targets.upstream import Upstream
from lehr.targets.verilog import call

_COMPILER = "g++ is not on this machine; install a C++ compiler (Debian: apt install g++)"
_AGAIN = "build the artefact again"
_SUBJECT = "the simulator of RANC"
UPSTREAM = Upstream(
    "LEHR_RANC",
    _SUBJECT,
    ("src/main.cpp", "src/corecontroller.cpp", "extern/cxxopts.hpp"),
    "simulator",
    "clone UA-RCL/RANC from GitHub and set LEHR_RANC to its folder simulator",
)
_COMPILE = ("g++", "-std=c++11", "-O2", "-w", "-Iextern")
_COMPLAINT = re.compile(r"\[(?:WARNING|ERROR)\] ([^\[\n]*)")
_ENDS = re.compile(r"^(\tNeuron spikes\.\n)?\tNeuron ends at potential: (-?[0-9]+)$", re.MULTILINE)


class RancRunner:
    """Runs a built artefact in RANC's simulator."""

    def missing(self) -> str | None:
        """Return what this machine lacks and how to get it, or None."""
        return UPSTREAM.missing() or (None if shutil.which("g++") else _COMPILER)

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Return spikes and membranes of every layer from the trace.

        Those of the output layer come from the output bus.

        Args:
            folder: a built artefact.
            x: spikes, uint8 `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the simulator's sources or a compiler are not there.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run.
        """
        try:
            described = read_json(folder / MAP, _AGAIN)
            shape, steps, late = (
                tuple(described["shape"]),
                int(described["steps"]),
                int(described["late"]),
            )
            layers, output, inputs = described["layers"], described["output"], described["inputs"]
            cores = int(described["cores"])
            network = parse_json(read_bytes(folder / NETWORK, JSON_BYTES, _AGAIN))
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(f"{folder} describes no cores ({error}); {_AGAIN}") from None
        x = stepped(x, shape, steps, 1)
        samples, steps = x.shape[:2]
        ticks = steps + late + 1
        fired = np.zeros((samples, ticks, cores, NEURONS), np.uint8)
        ended = np.zeros(fired.shape, np.int32)
        bus = np.zeros((samples, ticks, network["output_bus"]["num_outputs"]), np.uint8)
        with tempfile.TemporaryDirectory(prefix="lehr-ranc-") as scratch:
            work = Path(scratch)
            command = self._compiled(work)
            (work / CONFIG).write_bytes(read_bytes(folder / CONFIG, JSON_BYTES, _AGAIN))
            for sample in range(samples):
                network["packets"] = packets(x[sample].reshape(steps, -1), inputs, ticks)
                (work / "input.json").write_text(json.dumps(network, separators=(",", ":")))
                _ran(command, work, ticks)
                fired[sample], ended[sample] = _traced(work / "trace.txt", fired.shape[1:])
                bus[sample] = _from_bus(work / "output.txt", bus.shape[1:])
        spikes, membranes = {}, {}
        for layer in layers:
            name, start, whole = layer["name"], layer["late"], (samples, steps, *layer["shape"])
            core, row = np.array(layer["rows"], np.int64).T
            membranes[name] = ended[:, start : start + steps, core, row].reshape(whole)
            # the bus tells at the beginning of a tick what came in the one before
            shown = (
                bus[:, start + 1 : start + 1 + steps, : len(core)]
                if name == output
                else fired[:, start : start + steps, core, row]
            )
            spikes[name] = shown.reshape(whole)
        return Trace(spikes, membranes)

    def _compiled(self, work: Path) -> list[str]:
        folder = UPSTREAM.folder()
        named = sorted(
            each
            for part in ("src", "extern")
            for each in (folder / part).rglob("*")
            if each.suffix in (".cpp", ".h", ".hpp")
        )
        files = UPSTREAM.read(str(each.relative_to(folder)) for each in named)
        own = [name for name in files if name.startswith("src/") and name.endswith(".cpp")]

        def build(folder: Path) -> list[str]:
            call([*_COMPILE, *own, "-o", "ranc_sim"], folder, "does not compile", _SUBJECT)
            return ["ranc_sim"]

        place = work / "simulator"
        place.mkdir()
        version = call(["g++", "--version"], work, "has no compiler", _SUBJECT).partition("\n")[0]
        return simulator(files, build, " ".join((version, *_COMPILE)), place)


def packets(
    x: npt.NDArray[np.uint8], inputs: list[list[int]], ticks: int
) -> list[list[dict[str, Any]]]:
    """Return the packets of each tick.

    Args:
        x: spikes of a sample, `[T, inputs]`.
        inputs: input, core, axon and wait of each way in.
        ticks: how many there are.
    """
    by_tick: list[list[dict[str, Any]]] = [[] for _ in range(ticks)]
    for index, core, axon, wait in inputs:
        for step in np.flatnonzero(x[:, index]):
            if step + wait < ticks:
                by_tick[step + wait].append(
                    {"destination_core": [core, 0], "destination_axon": axon, "destination_tick": 0}
                )
    return by_tick


def _ran(command: list[str], work: Path, ticks: int) -> None:
    """Run one sample; what the simulator complains of is an error."""
    switches = [
        "-i",
        "input.json",
        "-o",
        "output.txt",
        "-c",
        CONFIG,
        "--ticks",
        str(ticks),
        "-t",
        "trace.txt",
        "-r",
        str(ticks + 1),
    ]
    said = call([*command, *switches], work, "does not run", _SUBJECT)
    if complaint := _COMPLAINT.search(said):
        raise NotBitExact(f"{_SUBJECT} says '{complaint[1].strip()}'; {_AGAIN}")


def _traced(
    path: Path, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Spikes and membranes, `[ticks, cores, 256]`."""
    lines = _ENDS.findall(path.read_text("utf-8-sig"))
    if len(lines) != int(np.prod(shape)):
        raise NotBitExact(
            f"{_SUBJECT} traces {len(lines):,} membranes, not {int(np.prod(shape)):,}; {_AGAIN}"
        )
    spikes = np.array([bool(spike) for spike, _ in lines], np.uint8)
    return spikes.reshape(shape), np.array([int(value) for _, value in lines], np.int32).reshape(
        shape
    )


def _from_bus(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Spikes that the output bus tells, `[ticks, outputs]`."""
    values = np.array(path.read_text("utf-8-sig").split(), np.uint8)
    if values.size != int(np.prod(shape)):
        raise NotBitExact(
            f"the output bus of RANC tells {values.size:,} values, not {int(np.prod(shape)):,}; "
            f"{_AGAIN}"
        )
    return values.reshape(shape)
