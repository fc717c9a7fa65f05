"""Measure `lehr simulate` on inputs that are larger than the memory that it may take.

    python benchmarks/inputs.py [KIND ...] [--events 100000000] [--samples 1000000] [--limit 1024]

Recordings of a camera of 320x240 pixels, and samples of 28x28 pixels in shards of 10,000, are made
in a temporary folder, one kind after the other, and removed again. Each is simulated by `lehr
simulate ... -o OUT.npz` with a small network; `npz-traced` keeps all spikes and membranes of the
last layer as well. Printed is what was resident of its process and of those that it started,
together, at its highest of every 10 ms; seconds of the processor leave out the process that reads
HDF5. More MiB than the limit are an error.
"""

from __future__ import annotations

import io
import math
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import numpy.typing as npt
import typer

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron
from lehr.npz import Archive

WIDTH, HEIGHT, DOWNSAMPLE = 320, 240, 4
A_MICROSECOND, A_STEP = 10, 1000
"""Events of the camera in a microsecond, and microseconds of a step."""
A_SHARD, CLASSES = 10_000, 10
BLOCK = 1 << 20
CAMERA = Input((2, HEIGHT // DOWNSAMPLE, WIDTH // DOWNSAMPLE), "spikes")
IMAGES = Input((1, 28, 28), "u8")
Columns = tuple[npt.NDArray[np.int64], ...]


def events(count: int) -> Iterator[Columns]:
    """Yield times, columns, rows and polarities of so many events, some at a time."""
    rng = np.random.default_rng(0)
    for first in range(0, count, BLOCK):
        many = min(BLOCK, count - first)
        drawn = (rng.integers(0, highest, many) for highest in (WIDTH, HEIGHT, 2))
        yield np.arange(first, first + many) // A_MICROSECOND, *drawn


def write_dat(path: Path, count: int) -> None:
    """Write Prophesee's DAT."""
    with path.open("wb") as file:
        file.write(b"%% Version 2\n%% Height %d\n%% Width %d\n\x0c\x08" % (HEIGHT, WIDTH))
        for t, x, y, p in events(count):
            np.stack([t, x | y << 14 | p << 28], axis=1).astype("<u4").tofile(file)


def write_evt3(path: Path, count: int) -> None:
    """Write Prophesee's EVT 3.0: of each event both parts of its time, the row and the pixel."""
    with path.open("wb") as file:
        file.write(b"%% evt 3.0\n%% geometry %dx%d\n%% end\n" % (WIDTH, HEIGHT))
        for t, x, y, p in events(count):
            high, low = 8 << 12 | t >> 12 & 0xFFF, 6 << 12 | t & 0xFFF
            np.stack([high, low, y, 2 << 12 | p << 11 | x], axis=1).astype("<u2").tofile(file)


def write_npy(path: Path, count: int) -> None:
    """Write records of numpy."""
    dtype = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    records = np.lib.format.open_memmap(path, "w+", dtype, (count,))
    for number, columns in enumerate(events(count)):
        block = records[number * BLOCK : (number + 1) * BLOCK]
        for name, column in zip("txyp", columns, strict=True):
            block[name] = column


def write_columns(path: Path, count: int) -> None:
    """Write a list each of t, x, y and p, packed."""
    t, x, y, p = (np.zeros(count, dtype) for dtype in ("<u4", "<u2", "<u2", "u1"))
    for number, columns in enumerate(events(count)):
        here = slice(number * BLOCK, (number + 1) * BLOCK)
        t[here], x[here], y[here], p[here] = columns
    np.savez_compressed(path, t=t, x=x, y=y, p=p)


def write_dsec(path: Path, count: int) -> None:
    """Write HDF5 in the layout of DSEC."""
    with h5py.File(path, "w") as file:
        types = {"t": "<u4", "x": "<u2", "y": "<u2", "p": "u1"}
        for name, dtype in types.items():
            file.create_dataset(f"events/{name}", (count,), dtype, chunks=(min(count, 1 << 16),))
        for number, columns in enumerate(events(count)):
            for name, column in zip("txyp", columns, strict=True):
                file[f"events/{name}"][number * BLOCK : (number + 1) * BLOCK] = column


def shards(count: int) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Yield the images and labels of each shard."""
    rng = np.random.default_rng(0)
    for first in range(0, count, A_SHARD):
        many = min(A_SHARD, count - first)
        shape = (many, *IMAGES.shape)
        pixels = rng.integers(0, 256, shape) * (rng.random(shape) < 0.3)
        yield {"input": pixels.astype(np.uint8), "labels": rng.integers(0, CLASSES, many)}


def write_archives(folder: Path, count: int) -> None:
    """Write shards by numpy.savez."""
    for number, arrays in enumerate(shards(count)):
        np.savez(folder / f"{number:06}.npz", input=arrays["input"], labels=arrays["labels"])


def write_packed(folder: Path, count: int) -> None:
    """Write shards by numpy.savez_compressed."""
    for number, arrays in enumerate(shards(count)):
        path = folder / f"{number:06}.npz"
        np.savez_compressed(path, input=arrays["input"], labels=arrays["labels"])


def write_hdf5(folder: Path, count: int) -> None:
    """Write shards by h5py, packed."""
    for number, arrays in enumerate(shards(count)):
        with h5py.File(folder / f"{number:06}.h5", "w") as file:
            chunks = (min(256, len(arrays["input"])), *IMAGES.shape)
            file.create_dataset("input", data=arrays["input"], chunks=chunks, compression="gzip")
            file["labels"] = arrays["labels"]


def write_tars(folder: Path, count: int) -> None:
    """Write shards by WebDataset's convention."""
    for number, arrays in enumerate(shards(count)):
        with tarfile.open(folder / f"{number:06}.tar", "w") as tar:
            for sample, (x, label) in enumerate(zip(*arrays.values(), strict=True)):
                buffer = io.BytesIO()
                np.save(buffer, x)
                for end, data in (("npy", buffer.getvalue()), ("cls", b"%d" % int(label))):
                    entry = tarfile.TarInfo(f"{sample:06}.{end}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))


RECORDINGS: Mapping[str, tuple[str, Callable[[Path, int], None]]] = {
    "dat": ("r.dat", write_dat),
    "evt3": ("r.raw", write_evt3),
    "npy": ("r.npy", write_npy),
    "columns": ("r.npz", write_columns),
    "dsec": ("r.h5", write_dsec),
}
SHARDS: Mapping[str, Callable[[Path, int], None]] = {
    "hdf5": write_hdf5,
    "npz": write_archives,
    "npz-traced": write_archives,
    "npz-packed": write_packed,
    "tar": write_tars,
}
Kinds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KIND", help=f"Of {', '.join((*RECORDINGS, *SHARDS))}; all if left out."
    ),
]


def network(entry: Input, thresholds: tuple[int, int]) -> Network:
    """Return a network of random weights, a convolution and a linear layer, of ten steps."""
    rng, (first, last) = np.random.default_rng(1), thresholds
    conv = Conv2d(_signs(rng, (8, entry.shape[0], 5, 5)), stride=(4, 4))
    shape = conv.output_shape(entry.shape)
    nodes = {
        "conv": conv,
        "lif1": _neurons(8, first),
        "flat": Flatten(),
        "fc": Linear(_signs(rng, (CLASSES, math.prod(shape)))),
        "lif2": _neurons(CLASSES, last),
    }
    order = (INPUT, *nodes, OUTPUT)
    return Network(nodes, tuple(pairwise(order)), entry, 10)


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    return rng.choice(np.array([-1, 1], np.int8), shape)


def _neurons(count: int, threshold: int) -> Neuron:
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=24)
    return Neuron(np.full(count, threshold, np.int32), np.zeros(count, np.int32), arithmetic)


def watched(command: list[str]) -> tuple[float, float, float]:
    """Run a command.

    Returns:
        Its seconds, by the clock and of the processor, and the MiB of it and its children at most.
    """
    before, start, highest = used(), time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        highest = max(highest, resident(process.pid))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, used() - before, highest / 2**20


def used() -> float:
    """Return the seconds of the processor that ended children have taken."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def resident(pid: int) -> int:
    """Return the bytes that are resident of a process and of all that it started, together."""
    here = Path(f"/proc/{pid}")
    try:
        pages = int((here / "statm").read_text().split()[1])
        below = [int(each) for each in (here / f"task/{pid}/children").read_text().split()]
    except OSError:  # it has just ended
        return 0
    return pages * resource.getpagesize() + sum(map(resident, below))


def measure(kind: str, folder: Path, count: int, model: Path) -> float:
    """Make an input, simulate it, print what that took, and return the MiB."""
    if kind in RECORDINGS:
        name, write = RECORDINGS[kind]
        given, what = folder / name, "events"
        more = ["--frames", f"step_us={A_STEP},downsample={DOWNSAMPLE}"]
    else:
        given, write, what = folder / "shards", SHARDS[kind], "samples"
        more = ["--trace", "lif2"] if kind == "npz-traced" else []
        given.mkdir()
    write(given, count)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    command = [sys.executable, "-m", "lehr", "simulate", str(model), "-i", str(given), *more]
    clock, processor, highest = watched([*command, "-o", str(folder / "out.npz")])
    with Archive(folder / "out.npz") as out:
        spikes = int(out.read("counts").sum())
    assert spikes, "a network that is silent takes nothing in"
    typer.echo(
        f"{kind:<11}{count:>12,} {what:<8}{size / 2**20:>8,.0f} MiB of input{highest:>7,.0f} MiB "
        f"resident{clock:>8.1f} s by the clock, {processor:.1f} s of the processor: "
        f"{count / processor:,.0f} {what}/s"
    )
    return highest


def main(
    kinds: Kinds = None, events: int = 10**8, samples: int = 10**6, limit: float = 1024
) -> None:
    """Print a line for each kind of input."""
    over = list[str]()
    with tempfile.TemporaryDirectory() as place:
        camera, images = (Path(place) / name for name in ("camera.nir", "images.nir"))
        nirfile.write(network(CAMERA, (20, 20)), camera)
        nirfile.write(network(IMAGES, (1000, 10)), images)
        for kind in kinds or (*RECORDINGS, *SHARDS):
            of_camera = kind in RECORDINGS
            with tempfile.TemporaryDirectory(dir=place) as folder:
                model = camera if of_camera else images
                highest = measure(kind, Path(folder), events if of_camera else samples, model)
            if highest > limit:
                over.append(kind)
    if over:
        raise SystemExit(f"more than {limit:,.0f} MiB: {', '.join(over)}")


if __name__ == "__main__":
    typer.run(main)
