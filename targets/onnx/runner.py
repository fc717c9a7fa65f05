"""ONNX Runtime on the CPU, in one thread, so that a run is the same every time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import NotBitExact, ToolMissing, UsageError
from lehr.simulate.result import Trace
from lehr.targets.onnx.model import STEPS, membrane_name, spikes_name

FILE = "model.onnx"


class OnnxRuntime:
    """Runs `model.onnx` of an artefact.

    Attributes:
        optimise: let ONNX Runtime rewrite the graph before it runs; the result is the same.
    """

    def __init__(self, optimise: bool = True) -> None:
        self.optimise = optimise

    def missing(self) -> str | None:
        """Why ONNX Runtime cannot be used, or None."""
        return None if find_spec("onnxruntime") else "ONNX Runtime is not installed; pip install onnxruntime"

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer.

        Raises:
            ToolMissing: when ONNX Runtime is not installed.
            NotBitExact: when it does not load or run the model.
            UsageError: when the model was built without a trace.
        """
        if why := self.missing():
            raise ToolMissing(why)
        try:
            session = self._session(folder / FILE)
            steps = int(session.get_modelmeta().custom_metadata_map[STEPS])
            if x.ndim < len(session.get_inputs()[0].shape):
                x = np.repeat(x[:, None], steps, axis=1)
            names = [output.name for output in session.get_outputs()]
            made = dict(zip(names, session.run(names, {session.get_inputs()[0].name: x}), strict=True))
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base but this one
            reason = str(error).splitlines()[0]
            raise NotBitExact(f"{folder / FILE}: ONNX Runtime does not run it ({reason}); build the artefact again") from error
        layers = [name.removeprefix(spikes_name("")) for name in names if name.startswith(spikes_name(""))]
        if not layers:
            raise UsageError(f"{folder / FILE} has no outputs for spikes and membranes; build it with the option trace=1")
        return Trace({n: made[spikes_name(n)] for n in layers}, {n: made[membrane_name(n)] for n in layers})

    def _session(self, path: Path) -> Any:
        import onnxruntime as ort

        how = ort.SessionOptions()
        how.intra_op_num_threads = how.inter_op_num_threads = 1
        how.use_deterministic_compute = True
        how.log_severity_level = 3  # errors are raised; warnings about the machine would go to stderr
        level = ort.GraphOptimizationLevel
        how.graph_optimization_level = level.ORT_ENABLE_ALL if self.optimise else level.ORT_DISABLE_ALL
        return ort.InferenceSession(path, how, providers=["CPUExecutionProvider"])
