"""The engine of an fpga artefact that computes a layer: its files and its number of the update."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lehr.errors import UsageError
from lehr.prove.subject import Subject


@dataclass(frozen=True)
class Engine:
    """Where a layer is computed.

    Attributes:
        folder: of the artefact.
        tag: ending of the names of its modules; empty where one engine computes all layers.
        prefix: beginning of the names of its memory images.
        number: of the layer in the engine.
        kind: of its update there.
    """

    folder: Path
    tag: str
    prefix: str
    number: int
    kind: int

    def module(self, name: str) -> str:
        """Return the name of one of its modules."""
        return f"{name}{self.tag}"

    def file(self, name: str) -> str:
        """Return the name of the file of one of its modules."""
        return f"{name}{self.tag}.v"


def engine_of(subject: Subject, layer: str) -> Engine:
    """Return the engine of a layer.

    Raises:
        UsageError: for a network without an artefact.
    """
    if subject.folder is None:
        raise UsageError("a network alone has no engine; build it for fpga")
    names = list(subject.net.neurons)
    number = names.index(layer)
    if (subject.options or {}).get("engines") == "layers":
        return Engine(subject.folder, f"_{number}", f"layer{number}_", 0, 0)
    programs = list(dict.fromkeys(each.program for each in subject.net.neurons.values()))
    kind = programs.index(subject.net.neurons[layer].program)
    return Engine(subject.folder, "", "", number, kind)
