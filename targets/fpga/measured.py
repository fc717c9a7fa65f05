"""Measurements of a built design: cells and timing, clocks, and the energy that they come to.

Cells and timing are nextpnr's, the clocks those of a simulation.
"""

from __future__ import annotations

from pathlib import Path

from lehr.artifact import AGAIN
from lehr.reading import read_json, read_text
from lehr.targets.contract import Table

NEXTPNR, CYCLES, PHASES = (
    Path("report") / name for name in ("nextpnr.json", "cycles.txt", "phases.txt")
)
_BYTES, _WAY_OUT = 1 << 26, "remove it, and let make write it again"
"""What a tool's report may have: nextpnr tells of every net."""
PARTS = {
    "ICESTORM_LC": "cells (a table and a flip-flop)",
    "ICESTORM_RAM": "block RAM of 4 kbit",
    "ICESTORM_SPRAM": "SPRAM of 256 kbit",
    "ICESTORM_DSP": "multipliers",
    "TRELLIS_COMB": "look-up tables",
    "TRELLIS_FF": "flip-flops",
    "TRELLIS_RAMW": "writes of distributed RAM",
    "DP16KD": "block RAM of 18 kbit",
    "MULT18X18D": "multipliers",
    "SB_IO": "pins",
    "TRELLIS_IO": "pins",
}
CORE_VOLTS = 1.219
IDLE_UA, CLOCK_UA_PER_MHZ, CELL_UA_PER_MHZ = 92.1, 43.5, 0.1625
POWER_SOURCE = (
    "core of an iCE40UP5K-SG48, as github.com/tinyvision-ai-inc/ice40_power measured it: 92.1 uA "
    "with the clock halted, 613.5 uA with one"
    " of 12 MHz, 351 uA more for 180 cells that multiply; every cell is taken as that busy, "
    "memories and pins are left out"
)


def report(folder: Path, device: str) -> tuple[Table, ...]:
    """Return what was measured of a built design so far.

    Resources and timing come after `make synth`, clocks after `make cycles`; after both also time,
    rate and energy.
    """
    placed = read_json(folder / NEXTPNR, _WAY_OUT, _BYTES) if (folder / NEXTPNR).exists() else None
    tables = [] if placed is None else [_resources(placed["utilization"]), _timing(placed["fmax"])]
    if (folder / CYCLES).exists():
        description = read_json(folder / "lehr_fpga.json", AGAIN)
        lines = read_text(folder / CYCLES, _BYTES, _WAY_OUT).splitlines()
        runs = sorted(map(_run, lines), key=lambda run: run[1])
        count = min(3, len(runs))
        thirds = [
            _means(runs[part * len(runs) // count : (part + 1) * len(runs) // count])
            for part in range(count)
        ]
        mhz = (
            None
            if placed is None
            else min(clock["constraint"] for clock in placed["fmax"].values())
        )
        tables.append(_speed(thirds, int(description["neurons"]) * int(description["steps"]), mhz))
        if (folder / PHASES).exists():
            spent = [int(line) for line in read_text(folder / PHASES, _BYTES, _WAY_OUT).split()]
            tables.append(
                _phases(spent, [layer["layer"] for layer in description["layers"]], len(runs))
            )
        if len(runs[0]) > 2:
            tables.append(_engines([layer["layer"] for layer in description["layers"]], runs))
        if mhz is not None and placed is not None and device == "up5k":
            tables.append(_energy(thirds, mhz, placed["utilization"]["ICESTORM_LC"]["used"]))
    return tuple(tables)


def _run(line: str) -> tuple[int, ...]:
    """Clocks and spikes of an inference, and the clocks that each engine of a chain works."""
    return tuple(map(int, line.split()))


def _means(runs: list[tuple[int, ...]]) -> tuple[int, float, float]:
    """Return samples, mean clocks and mean spikes."""
    clocks, spikes = (sum(run[column] for run in runs) / len(runs) for column in (0, 1))
    return len(runs), clocks, spikes


def _engines(layers: list[str], runs: list[tuple[int, ...]]) -> Table:
    """Return the mean clocks of an inference in which each engine of a chain works.

    In the others it waits for its neighbours.
    """
    clocks, *working = ([run[column] for run in runs] for column in (0, *range(2, len(layers) + 2)))
    shares = [
        (name, sum(mine) / len(runs), sum(mine) / sum(clocks))
        for name, mine in zip(layers, working, strict=True)
    ]
    rows = [(name, f"{mine:,.0f}", f"{100 * share:.1f} %") for name, mine, share in shares]
    return Table(
        "work of the engines in an inference, in simulation",
        ("engine", "clocks", "of all"),
        tuple(rows),
    )


def _resources(utilization: dict[str, dict[str, int]]) -> Table:
    rows = [
        (
            what,
            utilization[part]["used"],
            utilization[part]["available"],
            f"{100 * utilization[part]['used'] / utilization[part]['available']:.1f} %",
        )
        for part, what in PARTS.items()
        if utilization.get(part, {}).get("available")
    ]
    return Table("resources", ("what", "used", "there", "share"), tuple(rows))


def _timing(clocks: dict[str, dict[str, float]]) -> Table:
    rows = [
        (
            name.split("$")[0],
            f"{c['constraint']:.2f}",
            f"{c['achieved']:.2f}",
            f"{1e3 / c['constraint'] - 1e3 / c['achieved']:.2f}",
        )
        for name, c in clocks.items()
    ]
    return Table("timing", ("clock", "asked MHz", "reached MHz", "worst slack ns"), tuple(rows))


def _speed(thirds: list[tuple[int, float, float]], updates: int, mhz: float | None) -> Table:
    """Return means over thirds of the samples, those with the fewest spikes first.

    The `updates` are those of neurons in an inference.
    """
    columns = [
        "samples",
        "spikes",
        "a neuron and step",
        "clocks",
        *(["us", "inferences/s"] if mhz is not None else []),
    ]
    rows: list[tuple[object, ...]] = []
    for samples, clocks, spikes in thirds:
        time = () if mhz is None else (f"{clocks / mhz:,.1f}", f"{1e6 * mhz / clocks:,.0f}")
        rows.append((samples, f"{spikes:,.0f}", f"{spikes / updates:.4f}", f"{clocks:,.0f}", *time))
    return Table("an inference, by spikes, in simulation", tuple(columns), tuple(rows))


def _phases(spent: list[int], layers: list[str], samples: int) -> Table:
    """Return the mean clocks of an inference by what the engine waits for.

    These are words and events, or neurons alone.
    """
    names = [
        "input",
        *(f"{layer}, {what}" for layer in layers for what in ("sums", "neurons")),
        "between steps",
    ]
    rows = [
        (name, f"{count / samples:,.0f}", f"{100 * count / sum(spent):.1f} %")
        for name, count in zip(names, spent, strict=True)
    ]
    return Table("what the clocks are spent on", ("on", "clocks", "share"), tuple(rows))


def _energy(thirds: list[tuple[int, float, float]], mhz: float, cells: int) -> Table:
    watts = CORE_VOLTS * 1e-6 * (IDLE_UA + mhz * (CLOCK_UA_PER_MHZ + CELL_UA_PER_MHZ * cells))
    rows = [
        (f"{spikes:,.0f}", f"{1e3 * watts:.2f}", f"{watts * clocks / mhz:.2f}", POWER_SOURCE)
        for _, clocks, spikes in thirds
    ]
    return Table(
        "energy of an inference, an estimate", ("spikes", "mW", "uJ", "source"), tuple(rows)
    )
