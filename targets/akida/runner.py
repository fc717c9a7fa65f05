"""Run an artefact in Akida's software back end, layer by layer; map it onto a virtual AKD1000."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.targets.akida.files import DESCRIPTION, PROGRAM, VERSION
from lehr.targets.contract import Environment, Figure, MachineTrace
from lehr.targets.stepped import stepped

AGAIN = "build the artefact again"
AKIDA = Environment("akida", "akida", ((f"akida=={VERSION}", "numpy==2.4.6"),), "3.11")


class SoftwareBackend:
    """`run.py` of the artefact."""

    def missing(self) -> str | None:
        """Return why akida cannot be used, or None."""
        return AKIDA.missing()

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> MachineTrace:
        """Return spikes and membranes of every layer, and what of an AKD1000 the model takes.

        Args:
            folder: a built artefact.
            x: spikes `[N, *shape]` or `[N, T, *shape]`.

        Raises:
            ToolMissing: when akida is not installed.
            NotBitExact: when akida does not run the model, or does not map it onto an AKD1000.
            FileRefused: when the artefact is none, or `x` does not fit it.
        """
        network = described(folder)
        shape, steps = tuple(network["shape"]), int(network["steps"])
        x = stepped(x, shape, steps, 1)
        samples, steps = x.shape[:2]
        outputs = AKIDA.run(
            folder / PROGRAM, {"x": x.reshape(samples, steps, -1)}, "does not run or map the model"
        )
        layers = {layer["name"]: (samples, steps, *layer["shape"]) for layer in network["layers"]}
        return MachineTrace(
            {
                name: outputs[f"spikes:{name}"].astype(np.uint8).reshape(own)
                for name, own in layers.items()
            },
            {
                name: outputs[f"membranes:{name}"].astype(np.int32).reshape(own)
                for name, own in layers.items()
            },
            decision=outputs["decision"],
            figures=figures(outputs),
        )


def described(folder: Path) -> dict[str, Any]:
    """Return what the artefact says of its network.

    Raises:
        FileRefused: when it does not parse.
    """
    try:
        network = parse_json(read_bytes(folder / DESCRIPTION, JSON_BYTES, AGAIN))
        return {name: network[name] for name in ("shape", "steps", "layers")}
    except (ValueError, KeyError, TypeError) as error:
        raise FileRefused(f"{folder / DESCRIPTION} does not parse ({error}); {AGAIN}") from None


def figures(outputs: dict[str, npt.NDArray[Any]]) -> tuple[Figure, ...]:
    """Return what akida says of a model that is mapped."""
    mapped = f"akida {VERSION}, mapped onto its virtual AKD1000 in hardware alone"
    return (
        Figure("neural processors", int(outputs["processors"].sum()), "of 78", mapped),
        Figure("program", int(outputs["program"]), "bytes", mapped),
    )
