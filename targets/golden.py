"""Golden vectors: inputs and the reference's every spike and membrane, in raw files that any language reads.

golden/golden.json                 samples, steps, and for each layer its file stem and shape
golden/input.u8                    uint8  [samples, steps, *input shape]
golden/00_conv1.spikes.u8          uint8  [samples, steps, *layer shape]
golden/00_conv1.membrane.i32       int32, little-endian, the same shape
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.artifact import BuildPlan, to_json
from lehr.errors import FileRefused
from lehr.network import Network
from lehr.simulate import Trace, simulate
from lehr.simulate.result import check_input

FOLDER = "golden"


def stem(net: Network, layer: str) -> str:
    """Where the vectors of a neuron layer are, without their endings."""
    return f"{FOLDER}/{list(net.neurons).index(layer):02d}_{layer[:64]}"


def per_step(net: Network, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`x` as `[N, T, *shape]`: inputs that are held for all steps are repeated."""
    held, steps = check_input(net, x)
    return np.repeat(x[:, None], steps, axis=1) if held else x


def golden_plan(net: Network, x: npt.NDArray[np.uint8]) -> BuildPlan:
    """Run the reference on `x` and lay down what it did."""
    return lay_down(net, x, simulate(net, x, trace=net.neurons).trace)


def lay_down(net: Network, x: npt.NDArray[np.uint8], trace: Trace) -> BuildPlan:
    """The files for inputs `x` and the reference's trace of them."""
    x = per_step(net, x)
    layers = [{"layer": name, "stem": stem(net, name), "shape": list(net.shapes[name])} for name in net.neurons]
    files = {
        f"{FOLDER}/golden.json": to_json({"samples": len(x), "steps": x.shape[1], "layers": layers}),
        f"{FOLDER}/input.u8": x.tobytes(),
    }
    for name in net.neurons:
        files[f"{stem(net, name)}.spikes.u8"] = trace.spikes[name].tobytes()
        files[f"{stem(net, name)}.membrane.i32"] = trace.membranes[name].astype("<i4").tobytes()
    return BuildPlan(files)


def read_golden(net: Network, folder: Path, limit: int | None = None) -> tuple[npt.NDArray[np.uint8], Trace]:
    """Inputs and expected trace of the first `limit` samples in a built artefact.

    Raises:
        FileRefused: when a file is missing or has not the size that golden.json tells.
    """
    try:
        told = json.loads((folder / FOLDER / "golden.json").read_bytes())
        lead = (int(told["samples"]), int(told["steps"]))

        def load(name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
            return np.fromfile(folder / name, dtype).reshape(*lead, *shape)[:limit]

        x = load(f"{FOLDER}/input.u8", "u1", net.input.shape).astype(np.uint8)
        spikes = {n: load(f"{stem(net, n)}.spikes.u8", "u1", net.shapes[n]).astype(np.uint8) for n in net.neurons}
        membranes = {n: load(f"{stem(net, n)}.membrane.i32", "<i4", net.shapes[n]).astype(np.int32) for n in net.neurons}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileRefused(f"the golden vectors in {folder / FOLDER} cannot be read ({error}); build the artefact again") from None
    return x, Trace(spikes, membranes)
