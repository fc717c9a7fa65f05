"""ONNX Runtime on the CPU, in one thread, so that a run is the same every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.extras import pip_line
from lehr.simulate.result import Trace
from lehr.targets.onnx.graph import MEMBRANE, SPIKES, STATES, STEPS

FILE = "model.onnx"
NEEDED = ("onnx", "onnxruntime")
"""Packages that make the model, and that run it."""


class OnnxRuntime:
    """Runs `model.onnx` of an artefact.

    Attributes:
        optimise: let ONNX Runtime rewrite the graph before it runs; the result is the same.
    """

    def __init__(self, optimise: bool = True) -> None:
        self.optimise = optimise

    def missing(self) -> str | None:
        """Return why ONNX Runtime cannot be used, or None."""
        lacking = next((name for name in NEEDED if not find_spec(name)), None)
        return lacking and f"target onnx needs {lacking}; {pip_line(lacking)}"

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Return spikes and membranes of every neuron layer, `[N, T, *shape]`.

        Inputs are `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when ONNX Runtime is not installed.
            NotBitExact: when it does not load or run the model.
            FileRefused: when `x` does not fit the model.
            UsageError: when the model was built without a trace.
        """
        if why := self.missing():
            raise ToolMissing(why)
        with _reported(folder / FILE):
            session = self._session(folder / FILE)
            facts = session.get_modelmeta().custom_metadata_map
            steps, stepwise = int(facts[STEPS]), STATES in facts
            entry, names = (
                session.get_inputs()[0],
                [output.name for output in session.get_outputs()],
            )
        layers = [name.removeprefix(SPIKES) for name in names if name.startswith(SPIKES)]
        if not layers:
            raise UsageError(
                f"{folder / FILE} has no outputs for spikes and membranes; build it with the "
                "option trace=1"
            )
        shape = tuple(entry.shape[1 if stepwise else 2 :])
        if x.shape[1:] == shape:
            x = np.repeat(x[:, None], steps, axis=1)
        if x.dtype != np.uint8 or x.shape[2:] != shape:
            wanted = ", ".join(map(str, entry.shape))
            raise FileRefused(
                f"input is {x.dtype} {list(x.shape)}, {FILE} takes uint8 [{wanted}]; convert or "
                "reshape it"
            )
        with _reported(folder / FILE):
            outputs = (
                _stepwise(session, names, json.loads(facts[STATES]), x)
                if stepwise
                else session.run(names, {entry.name: x})
            )
            outputs = dict(zip(names, outputs, strict=True))
        return Trace(
            {layer: outputs[SPIKES + layer] for layer in layers},
            {layer: outputs[MEMBRANE + layer] for layer in layers},
        )

    def _session(self, path: Path) -> Any:
        import onnxruntime as ort

        session_options = ort.SessionOptions()
        session_options.intra_op_num_threads = session_options.inter_op_num_threads = 1
        session_options.use_deterministic_compute = True
        session_options.log_severity_level = (
            3  # errors are raised as well; warnings about the machine would go to stderr
        )
        level = ort.GraphOptimizationLevel
        session_options.graph_optimization_level = (
            level.ORT_ENABLE_ALL if self.optimise else level.ORT_DISABLE_ALL
        )
        return ort.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])


def _stepwise(
    session: Any, names: list[str], states: list[tuple[str, str, int]], x: npt.NDArray[np.uint8]
) -> list[npt.NDArray[Any]]:
    """Return all outputs of a model of one step, for inputs `[N, T, *shape]`.

    The steps are their second axis.
    """
    kinds = {entry.name: (entry.type, entry.shape[1:]) for entry in session.get_inputs()}
    fed = {}
    for before, _, first in states:
        kind, shape = kinds[before]
        fed[before] = np.full(
            (len(x), *shape), first, kind.removeprefix("tensor(").removesuffix(")")
        )
    every = []
    for t in range(x.shape[1]):
        every.append(session.run(names, {**fed, "input": x[:, t]}))
        fed = {before: every[-1][names.index(after)] for before, after, _ in states}
    return [np.stack(values, axis=1) for values in zip(*every, strict=True)]


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn whatever ONNX Runtime raises over the model into one sentence."""
    try:
        yield
    except Exception as error:  # its classes share no base but this one
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NotBitExact(
            f"{path}: ONNX Runtime does not run it ({reason}); build the artefact again"
        ) from error
