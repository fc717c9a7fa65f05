"""Measuring on a machine that does other things, too: sides take turns, each one's least counts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np


class Spent(NamedTuple):
    """Seconds of the processor, of all threads together, and by the clock."""

    processor: float
    clock: float


def spent(run: Callable[[], object]) -> Spent:
    """Return the time that one call takes."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return Spent(time.process_time() - processor, time.perf_counter() - clock)


def interleaved(sides: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Spent]:
    """Return the least time that each side takes, both numbers for themselves."""
    by_side: dict[str, list[Spent]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            by_side[name].append(spent(run))
    return {
        name: Spent(min(s.processor for s in each), min(s.clock for s in each))
        for name, each in by_side.items()
    }


def peak_so_far() -> float:
    """Resident MiB of this process at its highest since `forget_peak`."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def forget_peak() -> None:
    """Let the highest be what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


@numba.njit  # type: ignore[untyped-decorator]
def _chain(rounds: int, x: np.uint64) -> np.uint64:
    """Six operations a round, of which each waits for the one before and takes one cycle."""
    for _ in range(rounds):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


def gigahertz() -> float:
    """Return the clock of the core that this runs on.

    It comes from a chain of operations that takes six cycles a round.
    """
    rounds = 20_000_000
    _chain(1, np.uint64(1))
    return (
        max(6 * rounds / spent(lambda: _chain(rounds, np.uint64(1))).processor for _ in range(3))
        / 1e9
    )
