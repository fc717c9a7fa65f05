"""Measure what workers cost and bring: this process, two processes, and two nodes of Ray.

    python benchmarks/scale.py [--samples 20000] [--seeds 2] [--epochs 10] [--tasks 300]
        [--repeats 3]

Prints a table in Markdown: seconds until both workers have answered for the first time; the
milliseconds that a task takes which does nothing, sent with a kilobyte; the seconds that a
simulation and a training of several seeds take at workers that were started before, the least of
some repeats; and whether what they write has the same bytes. The network is that of `digits`, its
test samples over and over; one thread each.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import nodes
import numpy as np
import typer

from lehr import nirfile
from lehr.network import Network
from lehr.samples import Samples, open_samples
from lehr.simulate.fast.engine import Engine
from lehr.simulate.pieces import pieces
from lehr.simulate.resuming import simulate_to
from lehr.targets.spread_engine import pieces_by
from lehr.train.data import load_dataset
from lehr.train.recipefile import load
from lehr.train.runs.running import kept_progress
from lehr.train.runs.several import Training, trained_each
from lehr.workers.asked import workers_of
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Task, Workers
from lehr.zoo import get

Team = Workers | None
KILOBYTE = Parcel({"a": 1}, {"x": np.zeros(1024, np.uint8)})


def answered(team: Team, tasks: int) -> None:
    """Do nothing so often."""
    each = Task("nothing", nodes.answer, lambda: KILOBYTE)
    if team is None:
        for _ in range(tasks):
            nodes.answer(each.own(), each.shared, lambda _: None)
        return
    for _ in spread(team, [each] * tasks, level=0):
        pass


def simulated(team: Team, net: Network, samples: Samples, output: Path) -> str:
    """Simulate, and return the digest of the file that is written."""
    if team is None:
        run = Engine(net, 1)
        parts = pieces(lambda x, trace: run.run(x, trace=trace), net, samples)
    else:
        parts = pieces_by(team, "fast", net, samples)
    simulate_to(output, parts, net, samples)
    return digest({output.name: output.read_bytes()})


def trained(team: Team, folder: Path, seeds: int, epochs: int) -> str:
    """Train, and return the digest of the runs."""
    trainings = []
    for seed in range(seeds):
        recipe = load("digits", (f"train.epochs={epochs}", f"seed={seed}"))
        run = folder / f"run-{seed}"
        trainings.append(Training(recipe, run, kept_progress(run, recipe, resume=False)))
    data = load_dataset(trainings[0].recipe.data, None)
    assert all(facts["accuracy"] for _, facts in trained_each(trainings, data, team))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return digest({str(path.relative_to(folder)): path.read_bytes() for path in files})


def digest(files: Mapping[str, bytes]) -> str:
    """Return the sha256 of files and their names."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()


def least(call: Callable[[Path], str], repeats: int) -> tuple[float, set[str]]:
    """Return the seconds of the quickest call, and what all of them return."""
    seconds, results = [], set()
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            results.add(call(Path(folder)))
            seconds.append(time.perf_counter() - start)
    return min(seconds), results


def main(
    samples: int = 20000, seeds: int = 2, epochs: int = 10, tasks: int = 300, repeats: int = 3
) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as scratch, nodes.cluster() as addresses:
        os.environ["RAY_ADDRESS"] = addresses.cluster
        folder = get("digits", Path(scratch) / "digits")
        net, x = nirfile.read(folder / "model.nir"), np.load(folder / "samples.npz")["input"]
        np.savez(
            Path(scratch) / "in.npz", input=np.tile(x, (-(-samples // len(x)), 1, 1, 1))[:samples]
        )
        inputs = open_samples(Path(scratch) / "in.npz")
        rows, written = [], [set[str](), set[str]()]
        for name, asked in (("this process", "1"), ("2 processes", "2"), ("Ray, 2 nodes", "ray")):
            team = workers_of(asked)
            start = time.perf_counter()
            with nullcontext() if team is None else team:
                answered(team, 2)
                first = time.perf_counter() - start
                empty, _ = least(lambda _, team=team: str(answered(team, tasks)), repeats)
                both = (
                    lambda folder, team=team: simulated(team, net, inputs, folder / "out.npz"),
                    lambda folder, team=team: trained(team, folder, seeds, epochs),
                )
                times = []
                for call, digests in zip(both, written, strict=True):
                    seconds, results = least(call, repeats)
                    times.append(seconds)
                    digests |= results
            rows.append(
                (name, f"{first:.2f}", f"{1000 * empty / tasks:.2f}", *(f"{t:.2f}" for t in times))
            )
        heads = (
            "workers",
            "start, s",
            "a task, ms",
            f"simulation of {samples:,}, s",
            f"{seeds} seeds, s",
        )
        for row in (heads, ["---"] * len(heads), *rows):
            typer.echo(f"| {' | '.join(row)} |")
        for what, digests in zip(("simulation", "training"), written, strict=True):
            typer.echo(f"{what}: {'the same bytes' if len(digests) == 1 else 'DIFFERENT BYTES'}")
        if any(len(digests) != 1 for digests in written):
            raise SystemExit(4)


if __name__ == "__main__":
    typer.run(main)
