"""Sources of others that are not part of lehr, and simulators compiled from them.

A variable says where the sources are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lehr.errors import ToolMissing
from lehr.reading import read_bytes
from lehr.targets.simulators import simulator
from lehr.targets.verilog import VERILATE, call, command, verilate

_LARGEST = 1 << 24
"""Bytes of a file of sources."""


@dataclass(frozen=True)
class Upstream:
    """A clone of somebody's repository that the user has.

    Attributes:
        variable: of the environment, which names its folder.
        subject: what it is, as in "the Verilog of ReckOn".
        needed: files that are in that folder, or in `inside` of it.
        inside: the folder of the repository in which they are.
        get: how to get it, the end of a message.
    """

    variable: str
    subject: str
    needed: tuple[str, ...]
    inside: str
    get: str

    def missing(self) -> str | None:
        """Return the sentence that says what is not there and how to get it, or None."""
        place = self._place()
        return place if isinstance(place, str) else None

    def folder(self) -> Path:
        """Return the folder in which the needed files are.

        Raises:
            ToolMissing: when there is none.
        """
        place = self._place()
        if isinstance(place, str):
            raise ToolMissing(place)
        return place

    def _place(self) -> Path | str:
        named = os.environ.get(self.variable)
        if not named:
            return f"{self.subject} is not known here; {self.get}"
        for folder in (Path(named), Path(named) / self.inside):
            if all((folder / name).is_file() for name in self.needed):
                return folder
        lacking = next(name for name in self.needed if not (Path(named) / name).is_file())
        return f"{self.variable} is {named}, where no {lacking} is; {self.get}"

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Files of it by name.

        Raises:
            ToolMissing: when it is not there.
            FileRefused: when a file cannot be read.
        """
        folder = self.folder()
        return {name: read_bytes(folder / name, _LARGEST, self.get) for name in names}


def verilated(
    sources: Upstream, bench: str, text: bytes, work: Path, switches: Sequence[str] = ()
) -> list[str]:
    """Return the command of Verilog of others under Verilator.

    It is built once for the Verilog, for the testbench and for the switches.

    Args:
        sources: of which the needed files are compiled.
        bench: file name of the testbench, whose module is called as its file.
        text: of the testbench.
        work: a folder in which a new folder `simulator` may be made.
        switches: of Verilator, beside the usual ones.

    Raises:
        ToolMissing: when the Verilog or Verilator is not there.
        NotBitExact: when it does not compile.
    """
    files = {Path(name).name: data for name, data in sources.read(sources.needed).items()} | {
        bench: text
    }
    place = work / "simulator"
    place.mkdir()
    version = call([command("verilator"), "--version"], work, "has no simulator").strip()
    version_and_switches = " ".join((version, *VERILATE, *switches))
    return simulator(
        files,
        lambda there: verilate(there, Path(bench).stem, sorted(files), switches),
        version_and_switches,
        place,
    )
