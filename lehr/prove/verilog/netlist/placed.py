"""The netlist of an fpga artefact, as Yosys and nextpnr make it here, and whose its nets are.

Nothing of the artefact is run: the tools get copies of its Verilog, its images and its constraints,
and the switches that are in the Makefile of what lehr builds for the device.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lehr.errors import FileRefused
from lehr.prove.solver import z3
from lehr.prove.verilog.netlist.cells import Net, Netlist, placed
from lehr.prove.verilog.yosys import WAY_OUT, Clocks, read_verilog
from lehr.reading import read_bytes, read_json
from lehr.targets.fpga.devices import Device
from lehr.targets.fpga.render import DESCRIPTION
from lehr.targets.limited import call_within
from lehr.targets.verilog import command

_BYTES = 1 << 26
_RECODED = re.compile(r"Recoding FSM `\S*?\\(\S+?)\$\d+' .*\n.*\n((?:  [01]+ -> [-01]+\n)+)")
_CODE = re.compile(r"  ([01]+) -> ([-01]+)\n")


@dataclass(frozen=True)
class Bit:
    """A bit of a wire of the Verilog."""

    wire: str
    at: int

    def of(self, clocks: Clocks, clock: int) -> Any:
        """Return whether it is set."""
        return z3.Extract(self.at, self.at, clocks.at(clock, self.wire)) == 1


@dataclass(frozen=True)
class Among:
    """Whether a register is among some numbers: a bit of a state that Yosys wrote otherwise."""

    wire: str
    numbers: tuple[int, ...]

    def of(self, clocks: Clocks, clock: int) -> Any:
        """Return whether it is."""
        wire = clocks.at(clock, self.wire)
        among = [wire == number for number in self.numbers]
        return z3.Or(among) if len(among) > 1 else among[0]


Meaning = Bit | Among


@dataclass(frozen=True)
class Placed:
    """A netlist, and what its nets are in the Verilog.

    Attributes:
        netlist: the cells.
        meanings: of each net that has one; a digit's are the bits that are it for ever.
        modules: by the path of an instance.
        states: the numbers of each register that Yosys writes otherwise.
    """

    netlist: Netlist
    meanings: Mapping[Net, Sequence[Meaning]]
    modules: Mapping[str, str]
    states: Mapping[str, Sequence[int]]

    def module(self, wire: str) -> str:
        """Return the module of the innermost instance that has a wire."""
        path = wire
        while path:
            path = path.rpartition(".")[0]
            if path in self.modules:
                return self.modules[path]
        return ""


@dataclass(frozen=True)
class Design:
    """What an artefact says of its design.

    Attributes:
        folder: of the artefact.
        modules, images: file names.
        clock: MHz that synthesis aims at.
    """

    folder: Path
    modules: Sequence[str]
    images: Sequence[str]
    clock: int

    @property
    def top(self) -> str:
        """Name of the module at the top."""
        return self.modules[-1].removesuffix(".v")

    def texts(self) -> dict[str, str]:
        """Return its modules by file name."""
        return {name: read_verilog(self.folder, name) for name in self.modules}


def read_design(folder: Path) -> Design:
    """Read what an artefact says of its design.

    Raises:
        FileRefused: when it is not as lehr writes it.
    """
    said = read_json(folder / DESCRIPTION, WAY_OUT)
    try:
        modules, images = ([str(each) for each in said[key]] for key in ("modules", "images"))
        clock = int(said["options"]["clock"])
    except (KeyError, TypeError, ValueError):
        modules, images, clock = [], [], 0
    if not modules or not all(re.fullmatch(r"\w+\.(v|mem)", each) for each in (*modules, *images)):
        raise FileRefused(f"{folder / DESCRIPTION} describes no design; {WAY_OUT}")
    return Design(folder, modules, images, clock)


def place(design: Design, device: Device, timeout: float) -> Placed:
    """Synthesize and place a design.

    Args:
        design: which.
        device: that it was built for.
        timeout: seconds for each of the tools.

    Raises:
        NotBitExact: when one of them fails.
        TimeIsUp: when one takes longer.
        ToolMissing: when one is not here.
    """
    assert device.family is not None
    with tempfile.TemporaryDirectory(prefix="lehr-prove-") as scratch:
        folder = Path(scratch)
        for name, text in design.texts().items():
            (folder / name).write_text(text)
        for name in (*design.images, device.pins):
            (folder / name).write_bytes(read_bytes(design.folder / name, _BYTES, WAY_OUT))
        script = device.synthesis(" ".join(design.modules), design.top, "lehr.json")
        switches = device.placement(str(design.clock)).split()
        for arguments, failure in (
            ([command("yosys"), "-q", "-l", "synth.log", "-p", script], "is not taken by Yosys"),
            (
                [command(device.family.nextpnr), *switches, "--write", "placed.json", "-q"],
                "is not placed",
            ),
        ):
            said = {"arguments": arguments, "folder": scratch, "failure": failure}
            call_within(timeout, "lehr.targets.verilog:call", said)
        log = (folder / "synth.log").read_text("utf-8", "replace")
        synthesized = json.loads((folder / "lehr.json").read_bytes())["modules"][design.top]
        (module,) = json.loads((folder / "placed.json").read_bytes())["modules"].values()
    return _named(placed(module), synthesized, log)


def _named(netlist: Netlist, synthesized: Mapping[str, Any], log: str) -> Placed:
    """Return what nets are: by all names that Yosys has for one, of which nextpnr keeps one."""
    codes = {
        wire: [(int(number, 2), code) for number, code in _CODE.findall(lines)]
        for wire, lines in _RECODED.findall(log)
    }
    names = defaultdict[Net, list[tuple[str, int]]](list)
    for name, each in synthesized["netnames"].items():
        for at, net in enumerate(each["bits"], each.get("offset", 0)):
            names[net].append((name, at))
    meanings = defaultdict[Net, list[Meaning]](list)
    for each, called in names.items():
        net = each if isinstance(each, str) else _placed_as(called, netlist.names)
        if net is None:
            continue
        for wire, at in called:
            if wire not in codes:
                meanings[net].append(Bit(wire, at))
            elif numbers := tuple(n for n, code in codes[wire] if code[-1 - at] == "1"):
                meanings[net].append(Among(wire, numbers))
    modules = {
        name: each["attributes"].get("module_hdlname", each["attributes"].get("module", ""))
        for name, each in synthesized["cells"].items()
        if each["type"] == "$scopeinfo"
    }
    states = {wire: [number for number, _ in each] for wire, each in codes.items()}
    return Placed(netlist, meanings, modules, states)


def _placed_as(called: Sequence[tuple[str, int]], nets: Mapping[str, Net]) -> Net | None:
    """Return the net that nextpnr calls by one of some names."""
    return next((nets[name] for name in _spelled(called) if name in nets), None)


def _spelled(called: Sequence[tuple[str, int]]) -> Iterator[str]:
    for wire, at in called:
        for name in (f"{wire}[{at}]", *([wire] if at == 0 else [])):
            yield from (f"{name}$SB_IO_OUT", name)  # what a pin gives, before the pin
