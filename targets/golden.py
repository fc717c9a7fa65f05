"""Golden vectors: inputs, and every spike and membrane of the reference, in raw files.

Any language reads them:

    golden/golden.json                 samples, steps, and each layer's file stem and shape
    golden/input.u8                    uint8  [samples, steps, *input shape]
    golden/00_conv1.spikes.u8          uint8  [samples, steps, *layer shape]
    golden/00_conv1.membrane.i32       int32, little-endian, the same shape
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.artifact import AGAIN, MANIFEST, BuildPlan, read_manifest, sha256, to_json
from lehr.atomic import writing_folder
from lehr.errors import FileRefused
from lehr.network import Network
from lehr.reading import open_regular, read_json
from lehr.simulate import Trace, simulate
from lehr.simulate.result import check_input

FOLDER = "golden"
LARGEST = 1 << 31
"""Bytes of golden vectors that are read."""
_TRACE_BYTES = 5
"""Of a neuron in a step: its spike and its membrane."""


def stem(net: Network, layer: str) -> str:
    """Return the path of the vectors of a neuron layer, without their endings."""
    return f"{FOLDER}/{list(net.neurons).index(layer):02d}_{layer[:64]}"


def per_step(net: Network, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`x` as `[N, T, *shape]`: inputs that are held for all steps are repeated."""
    held, steps = check_input(net, x)
    return np.repeat(x[:, None], steps, axis=1) if held else x


def golden_plan(net: Network, x: npt.NDArray[np.uint8]) -> BuildPlan:
    """Run the reference on `x` and lay down what it did."""
    return lay_down(net, x, simulate(net, x, trace=net.neurons).trace)


def lay_down(net: Network, x: npt.NDArray[np.uint8], trace: Trace) -> BuildPlan:
    """Return the files for inputs `x` and the reference's trace of them."""
    x = per_step(net, x)
    layers = [
        {"layer": name, "stem": stem(net, name), "shape": list(net.shapes[name])}
        for name in net.neurons
    ]
    files = {
        f"{FOLDER}/golden.json": to_json(
            {"samples": len(x), "steps": x.shape[1], "layers": layers}
        ),
        f"{FOLDER}/input.u8": x.tobytes(),
    }
    for name in net.neurons:
        files[f"{stem(net, name)}.spikes.u8"] = trace.spikes[name].tobytes()
        files[f"{stem(net, name)}.membrane.i32"] = trace.membranes[name].astype("<i4").tobytes()
    return BuildPlan(files)


def golden_samples(folder: Path) -> int:
    """Return how many golden samples a built artefact has.

    Raises:
        FileRefused: when it does not say so.
    """
    return _lead(folder / FOLDER / "golden.json")[0]


def read_golden(
    net: Network, folder: Path, limit: int | None = None, start: int = 0
) -> tuple[npt.NDArray[np.uint8], Trace]:
    """Return inputs and expected trace of the first `limit` samples in a built artefact.

    Those before `start` are left out.

    Raises:
        FileRefused: when a file is missing or has not the size that golden.json says, or they take
            too much memory together.
    """
    lead = _lead(folder / FOLDER / "golden.json")
    inputs = math.prod(net.input.shape)
    neurons = sum(math.prod(net.shapes[name]) for name in net.neurons)
    samples = min(lead[0], limit or lead[0])
    if (size := samples * lead[1] * (inputs + _TRACE_BYTES * neurons)) > LARGEST:
        raise FileRefused(
            f"{folder / FOLDER}: {samples:,} samples take {size:,} bytes, the limit is "
            f"{LARGEST:,}; give fewer with -n"
        )

    def load(name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        return _load(folder / name, np.dtype(dtype), (*lead, *shape), samples)[start:]

    x = load(f"{FOLDER}/input.u8", "u1", net.input.shape)
    spikes = {n: load(f"{stem(net, n)}.spikes.u8", "u1", net.shapes[n]) for n in net.neurons}
    membranes = {
        n: load(f"{stem(net, n)}.membrane.i32", "<i4", net.shapes[n]).astype(np.int32)
        for n in net.neurons
    }
    return x, Trace(spikes, membranes)


def extend_golden(net: Network, folder: Path, x: npt.NDArray[np.uint8]) -> None:
    """Add samples to the golden vectors of an artefact, and to its manifest; all files, or none.

    Args:
        net: its network.
        folder: of the artefact.
        x: `[N, T, *shape]`, of as many steps as the samples that it has.

    Raises:
        FileRefused: when its golden vectors cannot be read, or the folder cannot be written.
    """
    plan = golden_plan(net, np.concatenate([read_golden(net, folder)[0], x]))
    manifest = read_manifest(folder)
    files = manifest["files"] | {name: sha256(data) for name, data in plan.files.items()}
    with writing_folder(folder) as part:
        shutil.copytree(folder, part, symlinks=True, dirs_exist_ok=True)
        plan.fill(part)
        (part / MANIFEST).write_bytes(to_json({**manifest, "files": files}))


def _lead(path: Path) -> tuple[int, int]:
    """Return the samples and steps that a golden.json names."""
    facts = read_json(path, AGAIN)
    lead = [facts.get(name) if isinstance(facts, dict) else None for name in ("samples", "steps")]
    if not all(type(count) is int and count > 0 for count in lead):
        raise FileRefused(f"{path} tells samples and steps of {lead[0]!r} and {lead[1]!r}; {AGAIN}")
    return int(lead[0]), int(lead[1])  # type: ignore[arg-type]


def _load(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], samples: int
) -> npt.NDArray[Any]:
    """Return the first samples of a file that holds an array of some shape."""
    whole = math.prod(shape) * dtype.itemsize
    with open_regular(path, AGAIN) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(whole // shape[0] * samples) if size == whole else b""
    if size != whole or len(data) != whole // shape[0] * samples:
        raise FileRefused(f"{path} has {size:,} bytes, {whole:,} are due by {FOLDER}.json; {AGAIN}")
    return np.frombuffer(data, dtype).reshape(samples, *shape[1:])
