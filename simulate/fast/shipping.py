"""Write the kernels that come with the wheel: every one for every combination of types.

    python -m lehr.simulate.fast.shipping FILE

It needs numba, which compiles them for a plain processor of x86-64, with SSE 4.2. Nothing in their
code is that processor's own: vectors are LLVM's, and it is made into machine code for another,
of ARM too, where it runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lehr.simulate.fast import calls, machine, shipped
from lehr.simulate.fast.calls import Kernel, Kinds

PLAIN = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}
"""What numba is told to compile for."""
BITS, LISTED, POSITIONS = np.dtype(np.uint64), np.dtype(np.uint32), np.dtype(np.uint16)
BYTES, INT8 = np.dtype(np.uint8), np.dtype(np.int8)
INT16, INT32, INT64 = np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64)
SUMS = INT16, INT32, INT64
"""What sums may be held in."""
VALUES = BYTES, INT32, INT64
"""What values other than bits may be held in."""
LOOKED_UP = (INT8, 0), (INT8, 1), (INT8, 2), (INT16, 0), (INT16, 1)
"""Tables of sums, and what stands for the lanes of their entries."""
LANES = (INT16, INT16), (INT32, INT32), (INT32, INT64), (INT64, INT64)
"""Sums that come in, and lanes of neurons."""


def combinations() -> Iterator[tuple[Kernel, Kinds]]:
    """Return each kernel with the types of its arguments, for all that the planner may ask."""
    numbers, kept = (INT64, INT64), (INT64, INT64, INT32)
    yield calls.pack, (BYTES, BITS, BYTES, INT64, BYTES, INT64, *numbers)
    yield calls.clear, (BITS, *numbers)
    yield calls.keep, (BITS, *numbers)
    yield calls.hold, (BITS, BITS, INT64, BITS, *numbers)
    yield calls.take, (BYTES, BYTES, BYTES, INT64, *numbers)
    yield calls.repeat_bits, (BITS, INT32, BITS, *numbers)
    for into, lanes in product((INT16, INT32), range(3)):
        given = (INT64, *numbers, LISTED)
        yield calls.gather, (BITS, INT8, into, *given, INT64, into, lanes, POSITIONS)
        for together in (1, 2, 3):
            yield calls.cells, (BITS, INT8, into, INT64, *numbers, INT64, BITS, lanes, together)
        yield calls.multiply, (BYTES, INT16, into, INT64, *numbers, INT16, into, lanes)
    listed = (LISTED, LISTED, BITS, INT16, INT64, INT32, INT16, LISTED)
    for into, (tables, lanes) in product((INT16, INT32), LOOKED_UP):
        read, neurons = (BITS, tables, INT64), (into, BITS, into, INT64, *kept, BYTES, into)
        yield calls.look_up, (*read, into, INT64, *numbers, *listed, lanes)
        yield calls.look_up_of_neurons, (*read, *neurons, INT64, *numbers, *listed, lanes)
    for into in SUMS:
        yield calls.count_columns, (BITS, BITS, into, *numbers, LISTED, INT64, POSITIONS)
        yield calls.count_matches, (BITS, BITS, INT64, INT64, into, *numbers)
        yield calls.copy_bits, (BITS, INT32, into, *numbers)
        yield calls.maxima_of_bits, (BITS, INT32, INT32, into, *numbers)
        for source in VALUES:
            yield calls.copy, (source, INT32, into, *numbers)
            yield calls.maxima, (source, INT32, INT32, into, *numbers)
        for weights in (INT8, INT32):
            yield calls.scatter_bits, (BITS, weights, INT32, into, INT64, *numbers)
            for source in VALUES:
                yield calls.scatter, (source, weights, INT32, into, INT64, *numbers)
    for sums, lane in LANES:
        yield calls.neurons, (sums, lane, BITS, lane, INT64, *kept, BYTES, *numbers)
        columns = (BITS, BITS, sums, lane, BITS, lane, INT64, *kept, BYTES, lane, lane, BYTES)
        marked = (LISTED, INT64, POSITIONS)
        yield calls.count_columns_of_neurons, (*columns, INT64, *numbers, *marked)
        table = (sums, lane, lane, BITS, BYTES, INT64)
        yield calls.programs, (*table, *kept, INT64, *numbers)
    for spikes in (BITS, BYTES):
        yield calls.queue_events, (spikes, INT32, INT32, INT64, *numbers)
    events = (INT32, INT64, INT64, INT64, INT64)
    yield calls.event_neurons, (*events, INT64, BYTES, INT64, INT64, *kept, *numbers, INT64, INT64)
    yield calls.event_programs, (*events, INT64, BYTES, INT64, INT64, *kept, *numbers, INT64)


SHARES = 4
"""Shares into which all kernels are cut, each compiled by a process of its own.

They are so many on every machine, for the names that numba gives depend on what a process has
compiled before: so an archive is the same to the byte however many processors made it.
"""


def write(path: Path, kernels: Iterable[tuple[Kernel, Kinds]], shares: int = 1) -> int:
    """Write an archive of kernels, and return how many there are.

    Args:
        path: of the archive.
        kernels: with the kinds of their arguments.
        shares: how many processes compile them; with 1 it is this one.
    """
    wanted = [(kernel.file, kernel.name, kinds) for kernel, kinds in kernels]
    parts = [wanted[first::shares] for first in range(shares)]
    if shares == 1:
        compiled = [_bitcode(part) for part in parts]
    else:
        fresh = get_context("spawn")
        with ProcessPoolExecutor(
            min(shares, os.cpu_count() or 1), mp_context=fresh, max_tasks_per_child=1
        ) as pool:
            compiled = list(pool.map(_bitcode, parts))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        about = json.dumps(shipped.about(machine.kernels_digest()))
        _add(archive, shipped.ABOUT, about.encode())
        for place, (_, name, kinds) in enumerate(wanted):
            code = compiled[place % shares][place // shares]
            _add(archive, shipped.member(name, machine.label_of(kinds)), code)
    return len(wanted)


def _bitcode(kernels: list[tuple[str, str, Kinds]]) -> list[bytes]:
    """Return the intermediate code of kernels, of each by file, name and kinds."""
    return [
        machine.module(file, name, kinds, machine.label_of(kinds)).as_bitcode()
        for file, name, kinds in kernels
    ]


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member that says nothing of the time it was made at."""
    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    if not PLAIN.items() <= os.environ.items():  # numba has read them when this runs
        again = [sys.executable, "-m", __spec__.name, *sys.argv[1:]]
        raise SystemExit(subprocess.run(again, env={**os.environ, **PLAIN}, check=False).returncode)
    sys.stdout.write(f"{write(Path(sys.argv[1]), combinations(), SHARES)} kernels\n")
