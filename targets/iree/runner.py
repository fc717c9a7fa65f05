"""IREE in an environment of its own, which compiles both models of an artefact and runs them.

Its runtime runs them on this machine's processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.extras import needed_by
from lehr.simulate import Trace, compare
from lehr.targets.contract import Environment, Figure, MachineTrace
from lehr.targets.onnx.graph import MEMBRANE, SPIKES

IREE = Environment(
    "iree",
    "iree-base-compiler",
    (("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", "onnx==1.23.2"),),
)
MODEL, STEP = "model.onnx", "step.onnx"
FAILURE = "does not compile or run the models"
REPEAT = 20
"""Inferences that are timed; the fastest counts."""
_SCRIPT = Path(__file__).parent / "script.py"


class IreeRuntime:
    """Runs an artefact's two models, which must tell the same."""

    def missing(self) -> str | None:
        """Return why IREE cannot be used, or None."""
        return IREE.missing()

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Return spikes and membranes of every neuron layer, `[N, T, *shape]`.

        Inputs are `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when IREE is not installed.
            NotBitExact: when it does not compile or run a model, or the two differ.
            FileRefused: when the folder has no models, or `x` does not fit them.
        """
        _, steps, *shape = _entry(folder)
        if list(x.shape[1:]) == shape:
            x = np.repeat(x[:, None], steps, axis=1)
        if x.dtype != np.uint8 or list(x.shape[1:]) != [steps, *shape]:
            wanted = ", ".join(map(str, ("N", steps, *shape)))
            raise FileRefused(
                f"input is {x.dtype} {list(x.shape)}, {MODEL} takes uint8 [{wanted}]; convert or "
                "reshape it"
            )
        outputs = IREE.run(_SCRIPT, {"x": x, "repeat": np.array(0)}, FAILURE, _models(folder))
        whole, stepped = (_trace(outputs, Path(name).stem) for name in (MODEL, STEP))
        compare(whole, stepped).require_equal(f"{STEP} against {MODEL}, both in IREE")
        predictions = outputs["model/prediction"], outputs["step/prediction"]
        if not np.array_equal(*predictions):
            raise NotBitExact(
                f"{STEP} predicts other classes than {MODEL} in IREE; report it as a bug of lehr"
            )
        return MachineTrace(whole.spikes, whole.membranes, decision=predictions[0])


def measured(folder: Path) -> tuple[Figure, ...]:
    """Size and speed of an artefact's compiled models on this machine.

    Raises:
        NotBitExact: when IREE fails on it.
        FileRefused: when the folder has no models.
    """
    batch, *shape = _entry(folder)
    outputs = IREE.run(
        _SCRIPT,
        {"x": np.zeros((batch, *shape), np.uint8), "repeat": np.array(REPEAT)},
        FAILURE,
        _models(folder),
    )
    source = f"IREE {IREE.version()}, llvm-cpu, generic processor, here"
    figures = []
    for name, what in ((MODEL, "all steps"), (STEP, "all steps, one after the other")):
        stem = Path(name).stem
        figures.append(Figure(f"{stem}.vmfb", float(outputs[f"{stem}/bytes"]), "bytes", source))
        spent = f"{what}, one thread, silent input, fastest of {REPEAT}; {source}"
        figures.append(
            Figure(
                f"inference of {stem}.vmfb",
                float(outputs[f"{stem}/seconds"]) * 1e3,
                f"ms per {batch} samples",
                spent,
            )
        )
    return tuple(figures)


def _models(folder: Path) -> list[Path]:
    return [(folder / name).resolve() for name in (MODEL, STEP)]


def _entry(folder: Path) -> list[int]:
    """Return the shape of the input of `model.onnx`: batch, steps, and that of a sample."""
    with needed_by("target iree"):
        import onnx
    try:
        graph = onnx.load(folder / MODEL).graph
        return [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    except Exception as error:  # onnx and protobuf raise what they like
        raise FileRefused(
            f"{folder / MODEL} cannot be read ({type(error).__name__}); build the artefact again"
        ) from None


def _trace(outputs: Mapping[str, npt.NDArray[Any]], stem: str) -> Trace:
    """Return the layers of a model's outputs."""
    spikes, membranes = (
        {
            name.removeprefix(prefix): value
            for name, value in outputs.items()
            if name.startswith(prefix)
        }
        for prefix in (f"{stem}/{SPIKES}", f"{stem}/{MEMBRANE}")
    )
    return Trace(spikes, membranes)
