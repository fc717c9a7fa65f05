"""One reader of NIR, run by an interpreter that has it installed; `lehr` need not be there.

READER.py NAME FOLDER prints, as JSON, what becomes of every NETWORK.nir and NETWORK.npz in FOLDER: the output layer's spikes (for
integrators, its values), or why the reader does not take the file; first of the file as it is, then of its graph put into the units that
the reader takes for granted (`adapted`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

DT = 1e-3


class Plain:
    """The equations of NIR's documentation in double precision: one Euler step of 1 ms, `v > v_threshold`, `v = v_reset` at once."""

    def __init__(self, graph: Any) -> None:
        import nirtorch
        import torch

        class Neuron(torch.nn.Module):
            """Any of NIR's six neurons."""

            def __init__(self, node: Any) -> None:
                super().__init__()
                self.told = {
                    key: torch.from_numpy(np.asarray(value, np.float64))
                    for key, value in vars(node).items()
                    if isinstance(value, np.ndarray)
                }

            def forward(self, x: Any, state: Any = None) -> Any:
                told, (v, current) = self.told, (0.0, 0.0) if state is None else state
                if "tau_syn" in told:
                    current = current + DT / told["tau_syn"] * (told["w_in"] * x - current)
                    x = current
                leak = (told["v_leak"] - v) / told.get("tau", told.get("tau_mem")) if "v_leak" in told else 0.0
                gain = told["r"] / told.get("tau", told.get("tau_mem", 1.0))
                v = v + DT * (leak + gain * x)
                if "v_threshold" not in told:
                    return v, (v, current)
                spikes = (v > told["v_threshold"]).double()
                return spikes, (v + spikes * (told["v_reset"] - v), current)

        kinds = (nir.IF, nir.LIF, nir.LI, nir.I, nir.CubaLIF, nir.CubaLI)
        self.net = nirtorch.nir_to_torch(graph, dict.fromkeys(kinds, Neuron), dtype=torch.float64).double()

    def run(self, x: Any) -> Any:
        """The output in every step, `[T, *shape]`, for inputs `[T, *shape]` without a batch."""
        return stepwise(self.net, x)


class SnnTorch:
    """snntorch.import_nir."""

    def __init__(self, graph: Any) -> None:
        from snntorch.import_nir import import_from_nir

        self.net = import_from_nir(graph)

    def run(self, x: Any) -> Any:
        """The output in every step, `[T, *shape]`, for inputs `[T, *shape]` without a batch."""
        return stepwise(self.net, x.float())


class Norse:
    """norse.torch.from_nir with a step of 1 ms."""

    def __init__(self, graph: Any) -> None:
        import norse.torch

        self.net = norse.torch.from_nir(graph, dt=DT)

    def run(self, x: Any) -> Any:
        """The output in every step, `[T, *shape]`, for inputs `[T, *shape]` without a batch."""
        return stepwise(self.net, x.float())


class Sinabs:
    """sinabs.from_nir, which takes all steps of a sample at once."""

    def __init__(self, graph: Any) -> None:
        import sinabs.nir

        self.net = sinabs.nir.from_nir(graph, batch_size=1)

    def run(self, x: Any) -> Any:
        """The output in every step, `[T, *shape]`, for inputs `[T, *shape]` without a batch."""
        out = self.net(x.float())
        return out[0] if isinstance(out, tuple) else out


def stepwise(net: Any, x: Any) -> Any:
    """Output of every step, `[T, *shape]`, of a module that takes its state and returns the new one."""
    import torch

    state, out = None, []
    for now in x:
        made = net(now, state)
        value, state = made if isinstance(made, tuple) else (made, None)
        out.append(value[0] if isinstance(value, tuple) else value)
    return torch.stack(out)


STEP = {"nirtorch": None, "snntorch": 1e-4, "norse": DT, "sinabs": DT}
"""Seconds that a reader takes for one step: snnTorch's import has 0.1 ms, and no way to say another. None: it takes all units."""
READERS = {"nirtorch": Plain, "snntorch": SnnTorch, "norse": Norse, "sinabs": Sinabs}


def adapted(graph: Any, dt: float | None) -> Any:
    """The same equations with weights of floats and, where `dt` is told, resistances of 1 and time constants for steps of `dt` seconds."""
    for node in graph.nodes.values():
        for field in ("weight", "bias"):
            if hasattr(node, field):
                setattr(node, field, np.asarray(getattr(node, field), np.float32))
        if dt is None:
            continue
        for field in ("tau", "tau_mem", "tau_syn"):
            if hasattr(node, field):
                setattr(node, field, getattr(node, field) * (dt / DT))
        gain = node.r * DT if isinstance(node, nir.IF) else node.r if isinstance(node, nir.LIF) else None
        if gain is not None:
            node.v_threshold, node.r = node.v_threshold / gain, np.ones_like(node.r)
            if isinstance(node, nir.LIF):
                node.v_leak = node.v_leak / gain
    return graph


def for_old_nir(path: Path) -> Path:
    """A copy of a file for nir 1.0.4, which knows neither `v_reset` nor metadata of nodes."""
    copied = Path(shutil.copy(path, path.with_suffix(".plain")))
    with h5py.File(copied, "a") as file:
        for group in [file["node"], *file["node/nodes"].values()]:
            for name in ("metadata", "v_reset"):
                group.pop(name, None)
    return copied


def outcome(name: str, path: Path, adapt: bool) -> dict[str, Any]:
    """What becomes of one file."""
    import torch

    try:
        with np.load(path.with_suffix(".npz")) as arrays:
            x = torch.from_numpy(arrays["input"].astype(np.float64))
        values = []
        with torch.no_grad():
            for sample in x:
                graph = nir.read(for_old_nir(path) if adapt and name == "sinabs" else path)
                values.append(READERS[name](adapted(graph, STEP[name]) if adapt else graph).run(sample))
        return {"values": torch.stack(values).double().reshape(len(x), x.shape[1], -1).tolist()}
    except Exception as error:  # whatever a reader raises is what is asked for
        return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    reader, folder = sys.argv[1], Path(sys.argv[2])
    with contextlib.redirect_stdout(sys.stderr):  # some say what they do
        found = {path.stem: [outcome(reader, path, adapt) for adapt in (False, True)] for path in sorted(folder.glob("*.nir"))}
    sys.stdout.write(json.dumps({"versions": {each: version(each) for each in dict.fromkeys((reader, "nir"))}, "files": found}))
