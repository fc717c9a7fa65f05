"""ReckOn's own Verilog, which its users have, under Verilator.

It is programmed over SPI as the artefact says, and fed with events.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_bytes, read_json
from lehr.targets.contract import MachineTrace
from lehr.targets.reckon.host import DUMPED, Host, misheld
from lehr.targets.reckon.words import contents
from lehr.targets.stepped import stepped
from lehr.targets.upstream import Upstream, verilated
from lehr.targets.verilog import call, missing

SOURCES = (
    *("reckon.v", "srnn.v", "spi_slave.v", "lfsr/lfsr_neur_stochround.v", "lfsr/lfsr_noise_neur.v"),
    *("lfsr/lfsr_oneur_stochround.v", "lfsr/lfsr_winp_wrec.v", "lfsr/lfsr_wout.v"),
)
UPSTREAM = Upstream(
    "LEHR_RECKON_RTL",
    "the Verilog of ReckOn",
    SOURCES,
    "src",
    "clone ChFrenkel/ReckOn from GitHub and set LEHR_RECKON_RTL to its folder of Verilog, src",
)
BENCH, MAP, WORDS = "lehr_reckon_tb.v", "map.json", "spi.hex"
_LARGEST = 1 << 24
"""Bytes of a file."""
_WAY_OUT = "give a whole artefact of target reckon, or build it again"
_SWITCHES = ("-O3", "--default-language", "1364-2005")


class ReckonRunner:
    """Runner of a built artefact in the machine's Verilog.

    It compares what memories and registers hold before with the words.

    Args:
        over_spi: all words go over SPI, bit by bit at the highest rate that the machine takes,
            which takes most of the time; else those of memories are put there at once.
    """

    def __init__(self, over_spi: bool = False) -> None:
        self.over_spi = over_spi

    def missing(self) -> str | None:
        """Return what this machine lacks and how to get it, or None."""
        return UPSTREAM.missing() or missing("verilator")

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> MachineTrace:
        """Return spikes and membranes of every layer, and the label that the machine sends.

        Inputs are `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when the Verilog or Verilator is not there.
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when it does not compile or run, or its memories do not hold what was sent.
        """
        try:
            host = Host.of(read_json(folder / MAP, _WAY_OUT))
            words = [
                int(line, 16) for line in read_bytes(folder / WORDS, _LARGEST, _WAY_OUT).split()
            ]
            meant = contents(words)
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(
                f"{folder} describes no network on ReckOn ({error}); {_WAY_OUT}"
            ) from None
        x = stepped(x, host.shape, host.steps, 1)
        with tempfile.TemporaryDirectory(prefix="lehr-reckon-") as scratch:
            work = Path(scratch)
            (work / "stimulus").write_bytes(host.stimulus(words, x, self.over_spi))
            simulator = verilated(
                UPSTREAM, BENCH, read_bytes(folder / BENCH, _LARGEST, _WAY_OUT), work, _SWITCHES
            )
            lines = call(
                [*simulator, "+stimulus=stimulus", "+output=output"], work, "of ReckOn does not run"
            ).splitlines()
            if "PASS" not in lines:
                raise NotBitExact(
                    f"the Verilog of ReckOn does not pass: {lines[0] if lines else 'no output'}; "
                    "build the artefact again"
                )
            output = np.fromfile(work / "output", np.uint32)
        if wrong := misheld(output[:DUMPED], meant):
            raise NotBitExact(
                f"ReckOn is not programmed as it was told: {wrong[0]}; report it as a bug of lehr"
            )
        try:
            return host.trace(output[DUMPED:], *x.shape[:2])
        except ValueError:
            raise NotBitExact(
                "the Verilog of ReckOn tells too much or too little; build the artefact again"
            ) from None
