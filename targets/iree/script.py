"""Compile ONNX models with IREE and run them; nothing of lehr is imported.

    python script.py in.npz out.npz model.onnx step.onnx

`in.npz` holds `x`, uint8 `[N, T, *shape]`, and `repeat`: how often an inference is timed, 0 to
compare instead. `out.npz` gets, of each model by its stem, `STEM/OUTPUT` of every `spikes.LAYER`
and `membrane.LAYER`, `[N, T, *shape]`, and `STEM/prediction`, `[N]`; or `STEM/seconds`, of the
fastest inference of one batch, and `STEM/bytes`, the size of the compiled module.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Arrays = dict[str, npt.NDArray[Any]]
FLAGS = ("--iree-hal-target-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=generic")


def call(*command: object) -> None:
    """Run a tool of IREE; the first error that it tells ends the script."""
    tool = Path(sys.executable).parent / str(command[0])
    done = subprocess.run(
        [tool, *map(str, command[1:])],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = (
            [line for line in done.stderr.splitlines() if "error:" in line]
            or done.stderr.strip().splitlines()
            or ["it ends"]
        )
        sys.exit(f"{command[0]}: {lines[0].partition('error: ')[2] or lines[0]}")


class Module:
    """A model as IREE runs it: its inputs and outputs by name, in the order of the model."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path)
        self.stem = path.stem
        self.states = json.loads(
            {fact.key: fact.value for fact in graph.metadata_props}.get("lehr.states", "[]")
        )
        self.inputs = {value.name: self.described(value) for value in graph.graph.input}
        self.outputs = {value.name: self.described(value) for value in graph.graph.output}
        call("iree-import-onnx", path, "-o", f"{self.stem}.mlir")
        call("iree-compile", f"{self.stem}.mlir", *FLAGS, "-o", f"{self.stem}.vmfb")
        self.bytes = Path(f"{self.stem}.vmfb").stat().st_size
        # it is in the environment alone in which this script runs
        iree = import_module("iree.runtime")
        context = iree.SystemContext(config=iree.Config("local-sync"))
        context.add_vm_module(iree.VmModule.mmap(context.instance, f"{self.stem}.vmfb"))
        self.function = context.modules.module[graph.graph.name]

    @staticmethod
    def described(value: onnx.ValueInfoProto) -> tuple[npt.DTypeLike, list[int]]:
        """Return the type and the shape of a value."""
        tensor = value.type.tensor_type
        return onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), [
            dim.dim_value for dim in tensor.shape.dim
        ]

    def __call__(self, given: Arrays) -> Arrays:
        """Return outputs by name, read as the model says: IREE knows no sign of integers."""
        outputs = self.function(
            *(np.ascontiguousarray(given[name], dtype) for name, (dtype, _) in self.inputs.items())
        )
        results = zip(self.outputs.items(), outputs, strict=True)
        return {
            name: np.array(value, copy=True).view(dtype) for (name, (dtype, _)), value in results
        }

    def first(self) -> Arrays:
        """Return the states before the first step."""
        return {before: np.full(self.inputs[before][1], start) for before, _, start in self.states}

    def run(self, x: npt.NDArray[np.uint8]) -> Arrays:
        """Return all outputs for a batch `[B, T, *shape]`, with the steps as their second axis."""
        if not self.states:
            return self({"input": x})
        every: list[Arrays] = []
        state = self.first()
        for t in range(x.shape[1]):
            every.append(self({"input": x[:, t], **state}))
            state = {before: every[-1][after] for before, after, _ in self.states}
        return {
            name: np.stack([outputs[name] for outputs in every], axis=1) for name in self.outputs
        } | {"prediction": every[-1]["prediction"]}


def in_batches(module: Module, x: npt.NDArray[np.uint8]) -> Arrays:
    """Return outputs for any number of samples.

    Those that a last batch lacks are zeros, and what they give is left out.
    """
    size = module.inputs["input"][1][0]
    padded = np.concatenate([x, np.zeros((-len(x) % size, *x.shape[1:]), x.dtype)])
    parts = [module.run(padded[start : start + size]) for start in range(0, len(padded), size)]
    return {name: np.concatenate([part[name] for part in parts])[: len(x)] for name in parts[0]}


def timed(module: Module, x: npt.NDArray[np.uint8], repeat: int) -> float:
    """Seconds of the fastest run of one batch."""
    batch = np.resize(x, (module.inputs["input"][1][0], *x.shape[1:]))
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        module.run(batch)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main(given: str, destination: str, *paths: str) -> None:
    """Compile, run, and write what came out."""
    with np.load(given) as archive:
        x, repeat = archive["x"], int(archive["repeat"])
    results: Arrays = {}
    for module in map(Module, map(Path, paths)):
        if repeat:
            results |= {
                f"{module.stem}/seconds": np.array(timed(module, x, repeat)),
                f"{module.stem}/bytes": np.array(module.bytes),
            }
        else:
            outputs = in_batches(module, x)
            results |= {
                f"{module.stem}/{n}": v
                for n, v in outputs.items()
                if n.startswith(("spikes.", "membrane.")) or n == "prediction"
            }
    np.savez(destination, **results)  # type: ignore[arg-type]  # names are keywords


if __name__ == "__main__":
    main(*sys.argv[1:])
