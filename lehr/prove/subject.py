"""What is proven of: a network, and the artefact that was built of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lehr import nirfile
from lehr.analysis.layers import Reach, reach
from lehr.artifact import MANIFEST, read_manifest
from lehr.errors import FileRefused, UsageError
from lehr.folders import require_marked
from lehr.intervals import arriving, intervals
from lehr.network import Network
from lehr.prove.sums_reached import Reached, sums_reached
from lehr.targets.build import MODEL


@dataclass(frozen=True)
class Subject:
    """A network, alone or in the folder that `lehr build` wrote.

    Attributes:
        net: the network.
        folder: of the artefact; None for a network alone.
        target: whose artefact it is; empty for a network alone.
        options: it was built with.
    """

    net: Network
    folder: Path | None = None
    target: str = ""
    options: Mapping[str, str] | None = None

    @cached_property
    def sums(self) -> Mapping[str, Reached]:
        """What can come to each neuron of each layer in a step, by the nodes' definition."""
        return sums_reached(self.net)

    @cached_property
    def reached(self) -> Mapping[str, Reach]:
        """What the analysis of widths says of each layer, in the network's own steps."""
        return self.reached_within(self.net.steps)

    def reached_within(self, steps: int | None) -> Mapping[str, Reach]:
        """Return what the analysis says of each layer within so many steps; None for any number."""
        nodes = intervals(self.net)
        layers = {
            name: (neuron, arriving(self.net, name, nodes))
            for name, neuron in self.net.neurons.items()
        }
        return reach(layers, steps)


def read_subject(place: Path) -> Subject:
    """Read a `.nir` file, or the folder of an artefact.

    Raises:
        UsageError: when it is neither.
        FileRefused: when a file is damaged.
    """
    if not place.is_dir():
        return Subject(nirfile.read(place))
    require_marked(place, MANIFEST, "lehr build")
    manifest = read_manifest(place)
    target, options = manifest.get("target"), manifest.get("options", {})
    if not isinstance(target, str) or not isinstance(options, dict):
        raise FileRefused(f"{place / MANIFEST} names no target; build the artefact again")
    if not (place / MODEL).exists():
        raise UsageError(f"{place} has no {MODEL}; build the artefact again")
    return Subject(nirfile.read(place / MODEL), place, target, options)
