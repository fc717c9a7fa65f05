"""Cells, memories and clock of a built design, as Yosys and nextpnr find them on this machine."""

from __future__ import annotations

import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from lehr.errors import NotBitExact, NotMappable
from lehr.reading import read_json
from lehr.targets.contract import Figure
from lehr.targets.fpga.devices import DEVICES, Family
from lehr.targets.fpga.measured import NEXTPNR, PARTS
from lehr.targets.verilog import call, command, missing

_BYTES, _WAY_OUT = 1 << 26, "build the artefact again"
_REFUSALS = ("Unable to place", "no BELs", "no Bels", "Max frequency")
"""What nextpnr says of a design that is too large, or too slow, for a device."""


def synthesize(folder: Path, device: str) -> tuple[Figure, ...]:
    """Place a design, and return the cells and memories that it takes and the clock it reaches.

    Args:
        folder: a built artefact, which is not written to.
        device: a key of `DEVICES`; nothing is measured of one that no tool places on.

    Raises:
        NotMappable: when the device is too small for it, or too slow for the clock that was asked.
        NotBitExact: when a tool fails on it.
    """
    family = DEVICES[device].family
    if family is None or shutil.which("make") is None:
        return ()
    if missing("yosys") or missing(family.nextpnr):
        return ()
    with tempfile.TemporaryDirectory(prefix="lehr-fpga-") as scratch:
        work = Path(scratch) / "artefact"
        shutil.copytree(folder, work)
        call(["make", "-s", "lehr.json"], work, "is not taken by Yosys")
        try:
            call(["make", "-s", family.placed], work, "is not placed")
        except NotBitExact as error:
            reason = _refusal(work)
            if reason is None:
                raise
            raise NotMappable(
                f"the design does not fit {device}: nextpnr says {reason!r}; give fewer lanes, a "
                "slower clock, or another device"
            ) from error
        placed = read_json(work / NEXTPNR, _WAY_OUT, _BYTES)
    return _figures(placed, _tools(family))


def _refusal(work: Path) -> str | None:
    """Return the line in which nextpnr says that a design does not fit; None if it says none."""
    log = work / "pnr.log"
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return next((line for line in said if any(each in line for each in _REFUSALS)), None)


def _figures(placed: dict[str, Any], tools: str) -> tuple[Figure, ...]:
    """Return parts that are used, and the time of the slowest path: all are better low."""
    used = {
        what.partition(" (")[0]: placed["utilization"][part]
        for part, what in PARTS.items()
        if placed["utilization"].get(part, {}).get("available") and not part.endswith("_IO")
    }
    parts = [
        Figure(what, count["used"], f"of {count['available']:,}", tools)
        for what, count in used.items()
    ]
    slowest = min(clock["achieved"] for clock in placed["fmax"].values())
    return (*parts, Figure("slowest path", round(1e3 / slowest, 2), "ns", tools))


def _tools(family: Family) -> str:
    """Return the names of the tools, with their versions where they are packages."""
    versions = {each.metadata["Name"].lower(): each.version for each in metadata.distributions()}
    names = []
    for tool in ("yosys", family.nextpnr):
        program = Path(command(tool)).name
        names.append(f"{program} {versions[program]}" if program in versions else program)
    return ", ".join(names)
