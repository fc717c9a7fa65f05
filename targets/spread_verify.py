"""Verification of many samples by workers, each in the artefact's own tool."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from lehr.artifact import AGAIN, MANIFEST, BuildPlan, read_manifest
from lehr.reading import read_bytes
from lehr.targets.golden import LARGEST, golden_samples
from lehr.targets.verification import TIMEOUT, Verified, verified_of, verify_within
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Send, Task, Workers, as_bytes


def verify_by(
    workers: Workers, folder: Path, limit: int | None = None, timeout: float = TIMEOUT
) -> Verified:
    """Verify as `lehr.targets.verification.verify` does, some samples at each worker.

    Each of them plans and runs the artefact for itself. What a tool says of a run, as of its time,
    is of one run of all samples, and is left out.

    Args:
        workers: who verify.
        folder: that `build` made, here or elsewhere.
        limit: how many golden samples to run; all if None.
        timeout: seconds that each worker may take.

    Raises:
        WorkerLost: when a part has ended three workers.
        UsageError, FileRefused, ToolMissing, NotBitExact: as `verify`.
    """
    read_manifest(folder)  # says what is wrong with a folder that is none
    files = {} if workers.here else _files(folder)
    shared = Parcel({"folder": str(folder.absolute()) if workers.here else None}, files)
    there = golden_samples(folder)
    samples = there if limit is None else min(limit, there)
    size = max(1, -(-samples // workers.size))

    def tasks() -> Iterator[Task]:
        for start in range(0, max(1, samples), size):
            stop = min(start + size, samples)
            facts = {"start": start, "stop": stop, "timeout": timeout}
            yield Task(f"samples {start:,} to {stop - 1:,}", part, partial(Parcel, facts), shared)

    parts = [verified_of(parcel.facts) for _, parcel in spread(workers, tasks()) if parcel]
    return reduce(_joined, parts)


def part(own: Parcel, shared: Parcel, _: Send) -> Parcel:
    """Verify some samples; what a worker does."""
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        folder = shared.facts["folder"] or scratch
        if not shared.facts["folder"]:
            files = {name: array.tobytes() for name, array in shared.arrays.items()}
            BuildPlan(files).fill(Path(scratch))
        return Parcel(verify_within(Path(folder), **own.facts))


def _files(folder: Path) -> dict[str, Any]:
    names = (MANIFEST, *read_manifest(folder)["files"])
    return {name: as_bytes(read_bytes(folder / name, LARGEST, AGAIN)) for name in names}


def _joined(one: Verified, later: Verified) -> Verified:
    return replace(
        one,
        samples=one.samples + later.samples,
        comparison=one.comparison.then(later.comparison, one.samples),
        decided=one.decided + later.decided,
        misjudged=(*one.misjudged, *(one.samples + each for each in later.misjudged)),
        figures=(),
        predictions=one.predictions + later.predictions,
        around=one.around or later.around,
    )
