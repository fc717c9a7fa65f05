"""The devices that a design can be placed on: what they have, and how their tools are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LARGE_BITS, LARGE_WIDTH = 262_144, 16
"""An SPRAM of the UP5K: 16,384 words of 16 bits, one port, no contents at the start."""
ICE40_MODES = ((16, 256), (8, 512), (4, 1024), (2, 2048))
"""Width and depth of a block RAM of the iCE40: 4,096 bits."""
ECP5_MODES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16_384))
"""Width and depth of a block RAM of the ECP5: 18,432 bits."""


@dataclass(frozen=True)
class Family:
    """Tools of a family of devices, and how they are called.

    Attributes:
        nextpnr: the name of nextpnr.
        pack: of the program that makes a bitstream of what it placed.
        synth: the command of Yosys.
        modes: width and depth of a block RAM, in all its shapes.
        placed, bitstream: files of what was placed, and for the device.
        output: nextpnr's switch for the former.
        pins: the ending of a file of constraints, and nextpnr's switch for it.
        cells: Yosys' models of the cells, in its share.
    """

    nextpnr: str
    pack: str
    synth: str
    modes: tuple[tuple[int, int], ...]
    placed: str
    bitstream: str
    output: str
    pins: str
    cells: str


ICE40 = Family(
    *(
        "nextpnr-ice40",
        "icepack",
        "synth_ice40",
        ICE40_MODES,
        "lehr.asc",
        "lehr.bin",
        "--asc",
        "pcf",
    ),
    "ice40/cells_sim.v",
)
ECP5 = Family(
    *(
        "nextpnr-ecp5",
        "ecppack",
        "synth_ecp5",
        ECP5_MODES,
        "lehr.config",
        "lehr.bit",
        "--textcfg",
        "lpf",
    ),
    "ecp5/cells_sim.v",
)


@dataclass(frozen=True)
class Board:
    """Well-known board with a device: its name and pins.

    The pins are those of its oscillator, of its serial line, and of a light.
    """

    name: str
    clk: str
    rx: str
    tx: str
    rts_n: str
    busy: str


@dataclass(frozen=True)
class Device:
    """FPGA: what it holds, and how it is built for.

    Attributes:
        clock: MHz that synthesis aims at if nothing is said.
        cells: of a look-up table of four inputs and a flip-flop.
        blocks: block RAMs.
        large: RAMs of 262,144 bits with one port.
        family: its tools; None where they are not said.
        source: where the numbers come from.
        synth: switches of the command of Yosys.
        pnr: of nextpnr.
        defines: what the models of the cells want to have defined.
        board: one that has it.
    """

    clock: int
    cells: int = 0
    blocks: int = 0
    large: int = 0
    family: Family | None = None
    source: str = ""
    synth: str = ""
    pnr: str = ""
    defines: str = ""
    board: Board | None = None

    @property
    def modes(self) -> tuple[tuple[int, int], ...]:
        """Width and depth of a block RAM, in all its shapes."""
        return self.family.modes if self.family else ICE40_MODES

    @property
    def pins(self) -> str:
        """Name of the file of constraints; empty without tools."""
        return f"lehr.{self.family.pins}" if self.family else ""

    def synthesis(self, modules: str, top: str, output: str) -> str:
        """Return commands of Yosys that write a netlist of cells of the device as JSON."""
        assert self.family is not None
        cells = f"{self.family.synth} {self.synth} -top {top}"
        return f"read_verilog -defer {modules}; {cells} -json {output}"

    def placement(self, clock: str) -> str:
        """Return the switches of nextpnr that place lehr.json for a clock of so many MHz."""
        assert self.family is not None
        return f"{self.pnr} --{self.family.pins} {self.pins} --freq {clock} --json lehr.json"


DEVICES: Mapping[str, Device] = {
    "up5k": Device(
        *(18, 5280, 30, 4, ICE40),
        "Lattice FPGA-DS-02008, iCE40 UltraPlus family data sheet",
        *(
            "-spram -dsp",
            "--up5k --package sg48 --pcf-allow-unconstrained",
            "-DICE40_U -DNO_ICE40_DEFAULT_ASSIGNMENTS",
        ),
        Board("iCEBreaker", "35", "6", "9", "4", "37"),
    ),
    "hx8k": Device(
        *(48, 7680, 32, 0, ICE40),
        "Lattice FPGA-DS-02029, iCE40 LP/HX family data sheet",
        *(
            "",
            "--hx8k --package ct256 --pcf-allow-unconstrained",
            "-DICE40_HX -DNO_ICE40_DEFAULT_ASSIGNMENTS",
        ),
        Board("iCE40HX8K-B-EVN", "J3", "B10", "B12", "A15", "C3"),
    ),
    "ecp5": Device(
        *(50, 24_288, 56, 0, ECP5),
        "Lattice FPGA-DS-02012, ECP5 and ECP5-5G family data sheet, LFE5U-25F",
        *("", "--25k --package CABGA381 --speed 6 --lpf-allow-unconstrained", ""),
        Board("ULX3S", "G2", "M1", "L4", "B11", "B2"),
    ),
    "generic": Device(25),
}


def constraints(device: Device, front: str, clock: int) -> bytes:
    """Return the file of constraints: the pins of the device's board.

    Of a front of bytes, which no board has, it has the clock's alone.
    """
    assert device.family is not None
    assert device.board is not None
    board = device.board
    pins = {"clk": board.clk}
    if front == "uart":
        pins |= {"rx": board.rx, "tx": board.tx, "rts_n": board.rts_n, "busy": board.busy}
    lines = [f"# Pins of the board {board.name}; generated by lehr."]
    if device.family is ICE40:
        lines += [f"set_io {name} {pin}" for name, pin in pins.items()] + [
            f"set_frequency clk {clock}"
        ]
    else:
        lines += [line for name, pin in pins.items() for line in _ecp5_pin(name, pin)] + [
            f'FREQUENCY PORT "clk" {clock} MHZ;'
        ]
    return ("\n".join(lines) + "\n").encode()


def _ecp5_pin(name: str, pin: str) -> tuple[str, str]:
    return f'LOCATE COMP "{name}" SITE "{pin}";', f'IOBUF PORT "{name}" IO_TYPE=LVCMOS33;'
