"""Runs an artefact's configurations in the model of the chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused, NotBitExact
from lehr.reading import read_bytes, read_json
from lehr.simulate import Trace
from lehr.targets.dynapcnn.configuration import Chip, Core, read_core
from lehr.targets.dynapcnn.kernels import as_map
from lehr.targets.dynapcnn.model import Place, run_cores
from lehr.targets.stepped import stepped

DESCRIPTION = "network.json"
_WAY_OUT = "give a whole artefact of the target, or build it again"
_LARGEST = 1 << 28


def file_of(core: int) -> str:
    """Return the name of a core's configuration."""
    return f"core_{core}.json"


class ModelRunner:
    """Runs a built artefact of a chip with such cores."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    def missing(self) -> str | None:
        """Nothing: the model is lehr's own."""
        return None

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every layer.

        Raises:
            FileRefused: when the artefact lacks a file, or `x` does not fit it.
            NotBitExact: when a core leaves 16 bits, or something hangs on an order of events that
                the vendor does not document.
        """
        description = read_json(folder / DESCRIPTION, _WAY_OUT)
        try:
            shape, steps = tuple(int(n) for n in description["input"]), int(description["steps"])
            places = [_place(layer) for layer in description["layers"]]
            shapes = [tuple(int(n) for n in layer["shape"]) for layer in description["layers"]]
            inputs = [int(core) for core in description["input_cores"]]
        except (ValueError, KeyError, TypeError) as error:
            raise FileRefused(
                f"{folder / DESCRIPTION} describes no network ({error}); {_WAY_OUT}"
            ) from None
        x = stepped(x, shape, steps)
        cores = {place.core: self.core(folder, place.core) for place in places}
        ran = run_cores(cores, places, inputs, x.reshape(*x.shape[:2], *as_map(shape)))
        for place in places:
            if exposed := ran[place.layer].exposed:
                why = (
                    f"{exposed:,} of {ran[place.layer].spikes.size:,} updates could be others "
                    "in another order of events"
                )
                raise NotBitExact(
                    f"{place.layer}: {why}, and that in which cores send them is not documented; "
                    "build it with order=host"
                )
        each = [
            (place.layer, (*x.shape[:2], *own)) for place, own in zip(places, shapes, strict=True)
        ]
        return Trace(
            {name: ran[name].spikes.reshape(own) for name, own in each},
            {name: ran[name].membranes.reshape(own) for name, own in each},
        )

    def core(self, folder: Path, core: int) -> Core:
        """Return the configuration of a core in an artefact.

        Raises:
            FileRefused: when it is not there, or none.
        """
        name = file_of(core)
        return read_core(self.chip, read_bytes(folder / name, _LARGEST, _WAY_OUT), name)


def _place(entry: Any) -> Place:
    through = {int(core): int(pooling) for core, pooling in entry["through_host"].items()}
    return Place(str(entry["layer"]), int(entry["core"]), through, entry["order"] != "emission")
