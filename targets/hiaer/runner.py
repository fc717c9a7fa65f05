"""Runs an artefact in hs_api's own simulator, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.targets.contract import Environment, MachineTrace
from lehr.targets.hiaer.files import DESCRIPTION, PROGRAM
from lehr.targets.stepped import stepped

AGAIN = "build the artefact again"
HS_API = Environment("hs-api", "hs_api", (("hs_api==0.1.7", "numpy==1.22.4"),), "3.10")


class Simulator:
    """`run.py` of the artefact."""

    def missing(self) -> str | None:
        """Return why hs_api cannot be used, or None."""
        return HS_API.missing()

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> MachineTrace:
        """Spikes and membranes of every layer, for spikes `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when hs_api is not installed.
            NotBitExact: when its simulator fails on the artefact.
            FileRefused: when the artefact is none, or `x` does not fit it.
        """
        try:
            network = parse_json(read_bytes(folder / DESCRIPTION, JSON_BYTES, AGAIN))
            shape, layers = (
                tuple(network["shape"]),
                {layer["name"]: tuple(layer["shape"]) for layer in network["layers"]},
            )
            steps = int(network["steps"])
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(f"{folder / DESCRIPTION} does not parse ({error}); {AGAIN}") from None
        x = stepped(x, shape, steps, 1)
        samples, steps = x.shape[:2]
        outputs = HS_API.run(
            folder / PROGRAM, {"x": x.reshape(samples, steps, -1)}, "does not run the network"
        )
        spikes = {
            name: outputs[f"spikes:{name}"].astype(np.uint8).reshape(samples, steps, *own)
            for name, own in layers.items()
        }
        membranes = {
            name: outputs[f"membranes:{name}"].astype(np.int32).reshape(samples, steps, *own)
            for name, own in layers.items()
        }
        return MachineTrace(spikes, membranes, decision=outputs["decision"])
