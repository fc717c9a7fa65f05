"""Run an artefact in our own model of the machine.

Neither the machine nor its makers' model can be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_json
from lehr.simulate import Trace
from lehr.targets.spinnaker2.graph import GRAPH, SETTINGS
from lehr.targets.spinnaker2.machine import Machine
from lehr.targets.wiring import late

AGAIN = "build the artefact again"


class Model:
    """The machine as lehr models it, after py-spinnaker2's published conversion."""

    def missing(self) -> str | None:
        """Nothing: the model is lehr's."""
        return None

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Return spikes and membranes of every layer, `[N, T, *shape]`.

        Input spikes are `[N, *shape]`, held, or `[N, T, *shape]`.

        Raises:
            FileRefused: when the folder holds no such artefact, or `x` does not fit it.
            NotBitExact: when a membrane is no integer in the network's units.
        """
        settings = read_json(folder / SETTINGS, AGAIN)
        machine = _machine(folder / GRAPH, settings)
        steps, shape = settings["steps"], machine.input_shape
        if x.shape[1:] == shape:
            x = np.repeat(x[:, None], steps, axis=1)
        if x.dtype != np.uint8 or x.shape[2:] != shape or x.shape[1] > steps:
            expected = ", ".join(map(str, ("N", f"up to {steps}", *shape)))
            raise FileRefused(
                f"input is {x.dtype} {list(x.shape)}, {GRAPH} takes uint8 [{expected}]; convert or "
                "reshape it"
            )
        layers = settings["layers"]
        total = x.shape[1] + max(
            [settings["input_late"], *(layer["late"] for layer in layers.values())]
        )
        spikes, membranes = machine.run(late(x, settings["input_late"], total))
        own = {
            name: slice(layer["late"], layer["late"] + x.shape[1]) for name, layer in layers.items()
        }
        return Trace(
            {name: spikes[name][:, own[name]] for name in layers},
            {
                name: _integers(name, membranes[name][:, own[name]], layer["fraction_bits"])
                for name, layer in layers.items()
            },
        )


def _machine(path: Path, settings: Mapping[str, Any]) -> Machine:
    import nir  # here, as no other part of lehr's targets takes it

    try:
        graph = nir.read(path).to_dict()
        return Machine(
            graph["nodes"], [(str(a), str(b)) for a, b in graph["edges"]], settings["conversion"]
        )
    except Exception as error:  # nir and h5py raise what they like
        raise FileRefused(
            f"{path} cannot be converted ({type(error).__name__}: {error}); {AGAIN}"
        ) from None


def _integers(
    name: str, membranes: npt.NDArray[np.float32], fraction_bits: int
) -> npt.NDArray[np.int32]:
    """Membranes in the network's units."""
    exact = membranes.astype(np.float64) * (1 << fraction_bits)
    if not np.array_equal(exact, np.round(exact)) or np.abs(exact).max(initial=0) > 2**31 - 1:
        raise NotBitExact(
            f"{name}: a membrane is no integer of 2^-{fraction_bits}; report it as a bug of lehr"
        )
    return exact.astype(np.int32)
