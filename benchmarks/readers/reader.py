"""One reader of NIR, run by an interpreter that has it installed; `lehr` need not be there.

READER.py NAME FOLDER prints, as JSON, what becomes of every NUMBER.nir and NUMBER.npz in FOLDER:
the output layer's spikes (for integrators, its values), or why the reader does not take the file.
First of the file as it is, then of its graph put into the units that the reader takes for granted
(`adapted`), then of NUMBER.NAME.nir, which `lehr export --for NAME` wrote, if it did.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
from rtl import sc_neurocore_rtl

DT = 1e-3
"""The step of lehr's own files."""
Run = Callable[[Any], Any]
"""From inputs `[T, *shape]` of one sample to the output in every step."""


def nirtorch(graph: Any, dt: float) -> Run:
    """Return nirtorch's loader with the equations of NIR's documentation, in double precision.

    They are Euler steps, `v > v_threshold`, reset at once.
    """
    import nirtorch
    import torch

    class Neuron(torch.nn.Module):
        """Any of NIR's six neurons."""

        def __init__(self, node: Any) -> None:
            super().__init__()
            fields = {
                key: value for key, value in vars(node).items() if isinstance(value, np.ndarray)
            }
            self.fields = {
                key: torch.from_numpy(np.asarray(value, np.float64))
                for key, value in fields.items()
            }

        def forward(self, x: Any, state: Any = None) -> Any:
            node, (v, current) = self.fields, (0.0, 0.0) if state is None else state
            if "tau_syn" in node:
                current = current + dt / node["tau_syn"] * (node["w_in"] * x - current)
                x = current
            leak = (
                (node["v_leak"] - v) / node.get("tau", node.get("tau_mem"))
                if "v_leak" in node
                else 0.0
            )
            gain = node["r"] / node.get("tau", node.get("tau_mem", 1.0))
            v = v + dt * (leak + gain * x)
            if "v_threshold" not in node:
                return v, (v, current)
            spikes = (v > node["v_threshold"]).double()
            return spikes, (v + spikes * (node["v_reset"] - v), current)

    def affine(node: Any) -> Any:
        """Return a layer of weights with their bias.

        nirtorch 2.6's own map leaves the random one in its place that torch begins with.
        """
        module = torch.nn.Linear(*node.weight.shape[::-1])
        module.weight.data, module.bias.data = (
            torch.from_numpy(node.weight),
            torch.from_numpy(node.bias),
        )
        return module

    class Wait(torch.nn.Module):
        """A delay of whole steps."""

        def __init__(self, node: Any) -> None:
            super().__init__()
            self.steps = round(float(node.delay.flat[0]) / dt)

        def forward(self, x: Any, state: Any = None) -> Any:
            line = [*([torch.zeros_like(x)] * self.steps if state is None else state), x]
            return line[0], line[1:]

    kinds = dict.fromkeys((nir.IF, nir.LIF, nir.LI, nir.I, nir.CubaLIF, nir.CubaLI), Neuron)
    return stepwise(
        nirtorch.nir_to_torch(
            graph, {**kinds, nir.Affine: affine, nir.Delay: Wait}, dtype=torch.float64
        ).double(),
        "float64",
    )


def snntorch(graph: Any, _dt: float) -> Run:
    """snntorch.import_nir, whose step is 0.1 ms."""
    from snntorch.import_nir import import_from_nir

    return stepwise(import_from_nir(graph))


def norse(graph: Any, dt: float) -> Run:
    """norse.torch.from_nir."""
    import norse.torch

    return stepwise(norse.torch.from_nir(graph, dt=dt))


def spikingjelly(graph: Any, dt: float) -> Run:
    """SpikingJelly's import_from_nir, whose convolutions want an axis for the batch."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    run = stepwise(import_from_nir(graph, dt=dt))
    return lambda x: run(x[:, None])


def sinabs(graph: Any, _dt: float) -> Run:
    """sinabs.from_nir, which takes all steps of a sample at once, and time constants in steps."""
    import sinabs.nir

    return at_once(sinabs.nir.from_nir(graph, batch_size=1))


def rockpool(graph: Any, _dt: float) -> Run:
    """Rockpool's from_nir, which takes all steps of a sample at once, and its step from r."""
    from rockpool.nn.modules.torch.nir import from_nir

    run = at_once(from_nir(graph))
    return lambda x: run(x[None])[0]


def sc_neurocore(graph: Any, dt: float) -> Run:
    """sc_neurocore.nir_bridge.from_nir: a simulator on numpy."""
    from sc_neurocore.nir_bridge import from_nir

    net = from_nir(graph, dt=dt)
    return lambda x: np.stack(
        [next(iter(net.step({"input": now}).values())) for now in x.astype(np.float64)]
    )


def stepwise(net: Any, dtype: str = "float32") -> Run:
    """Return the run of a torch module that takes an input and its state.

    The module returns the output and the new state.
    """
    import torch

    def run(x: Any) -> Any:
        state, out = None, []
        with torch.no_grad():
            for now in torch.from_numpy(x.astype(dtype)):
                outputs = net(now, state)
                value, state = outputs if isinstance(outputs, tuple) else (outputs, None)
                out.append(value[0] if isinstance(value, tuple) else value)
        return torch.stack(out).double().numpy()

    return run


def at_once(net: Any) -> Run:
    """Return a torch module that takes all steps."""
    import torch

    def run(x: Any) -> Any:
        with torch.no_grad():
            out = net(torch.from_numpy(x.astype("float32")))
        return (out[0] if isinstance(out, tuple) else out).double().numpy()

    return run


_ALL = (nirtorch, snntorch, norse, spikingjelly, sinabs, rockpool, sc_neurocore, sc_neurocore_rtl)
READERS = {each.__name__.replace("_", "-"): each for each in _ALL}
STEP = {
    "nirtorch": 1e-4,
    "snntorch": 1e-4,
    "norse": DT,
    "spikingjelly": 1e-4,
    "sinabs": 1.0,
    "rockpool": DT,
}
STEP |= dict.fromkeys(("sc-neurocore", "sc-neurocore-rtl"), 1.0)
"""Seconds of a step, if nobody tells a reader another one, and of the files written for it."""
ALL_UNITS = ("nirtorch", "sc-neurocore", "sc-neurocore-rtl")
"""Readers that leave no field out."""


def adapted(graph: Any, name: str) -> Any:
    """Return the same equations in the form that a reader takes.

    Weights are floats; where a reader leaves fields out, resistances are 1, for steps that it
    takes.
    """
    for node in graph.nodes.values():
        for field in ("weight", "bias"):
            if hasattr(node, field):
                setattr(node, field, np.asarray(getattr(node, field), np.float32))
        if name in ALL_UNITS:
            continue
        for field in ("tau", "tau_mem", "tau_syn"):
            if hasattr(node, field):
                setattr(node, field, getattr(node, field) * (STEP[name] / DT))
        gain = (
            node.r * DT
            if isinstance(node, nir.IF)
            else node.r
            if isinstance(node, nir.LIF)
            else None
        )
        if gain is not None:
            node.v_threshold, node.r = node.v_threshold / gain, np.ones_like(node.r)
            if isinstance(node, nir.LIF):
                node.v_leak = node.v_leak / gain
    return graph


def for_old_nir(path: Path) -> Path:
    """Return a copy of a file for nir 1.0.4, which knows no `v_reset` and no metadata of nodes."""
    copied = Path(shutil.copy(path, path.with_suffix(".plain")))
    with h5py.File(copied, "a") as file:
        for group in [file["node"], *file["node/nodes"].values()]:
            for field in ("metadata", "v_reset"):
                group.pop(field, None)
    return copied


def outcome(
    name: str, path: Path, inputs: Path, adapt: bool = False, dt: float = DT
) -> dict[str, Any]:
    """Return what becomes of one file."""
    try:
        with np.load(inputs) as arrays:
            x = arrays["input"]
        values = []
        for sample in x:  # read anew for each, as some keep their state
            graph = nir.read(for_old_nir(path) if adapt and name == "sinabs" else path)
            values.append(READERS[name](adapted(graph, name) if adapt else graph, dt)(sample))
        return {"values": np.stack(values).reshape(len(x), x.shape[1], -1).tolist()}
    except Exception as error:  # whatever a reader raises is what is asked for
        return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}


def outcomes(name: str, path: Path) -> list[dict[str, Any]]:
    """Return what becomes of a file as it is, adapted, and as it was written for the reader."""
    inputs, written = path.with_suffix(".npz"), path.with_suffix(f".{name}.nir")
    answers = [
        outcome(name, path, inputs),
        outcome(name, path, inputs, True, DT if name in ALL_UNITS else STEP[name]),
    ]
    return (
        [*answers, outcome(name, written, inputs, dt=STEP[name])] if written.exists() else answers
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    reader, folder = sys.argv[1], Path(sys.argv[2])
    with contextlib.redirect_stdout(sys.stderr):  # some say what they do
        answers = {
            path.stem: outcomes(reader, path)
            for path in sorted(folder.glob("*.nir"))
            if path.stem.isdigit()
        }
    sys.stdout.write(
        json.dumps(
            {
                "versions": {
                    each: version(each)
                    for each in dict.fromkeys((reader.removesuffix("-rtl"), "nir"))
                },
                "files": answers,
            }
        )
    )
