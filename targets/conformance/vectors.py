"""Golden networks as files, with the definition's results.

They are for simulators and chips that know nothing of lehr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from lehr.artifact import BuildPlan, to_json
from lehr.atomic import writing_folder
from lehr.errors import UsageError
from lehr.network import Network, Readout
from lehr.nirfile import to_bytes
from lehr.nirneurons import nir_neuron
from lehr.nodes.registry import NODES
from lehr.targets.arithmetics import Arithmetics, Problem
from lehr.targets.conformance.claims import Example
from lehr.targets.conformance.golden import GOLDEN, example
from lehr.targets.contract import Estimate, Options, Target, Varying
from lehr.update import STATEMENTS
from lehr.weights import KINDS, WeightKind

INDEX = "index.json"


class Definition(Target):
    """The definition itself, as a machine that lacks nothing.

    Golden networks in its form have all that there is.
    """

    name: ClassVar[str] = "definition"
    summary: ClassVar[str] = "all that lehr defines"
    arithmetics: ClassVar[Arithmetics] = Arithmetics.every()
    statements: ClassVar[frozenset[type]] = frozenset(STATEMENTS)
    nodes: ClassVar[frozenset[type]] = frozenset(NODES)
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters", "delays"})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """None."""
        del net
        return ()

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the network itself."""
        del options
        return BuildPlan({"model.nir": to_bytes(net)})

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Nothing: a definition costs nothing."""
        del net, rates, options
        return Estimate(())

    def runner(self) -> None:
        """None: nothing is left to compare it with."""


def networks() -> Iterator[tuple[str, Example, tuple[str, ...]]]:
    """Yield each golden network by name, with the definition's results and its purpose."""
    definition = Definition()
    for golden in GOLDEN:
        candidate = example(definition, golden.name)
        assert isinstance(candidate, Example), candidate
        yield golden.name, candidate, tuple(map(str, golden.tells(definition)))


def write_vectors(folder: Path) -> list[dict[str, Any]]:
    """Write NAME.nir and NAME.npz for each golden network, and an index, into a new folder.

    `NAME.npz` holds `input`, and for each layer of neurons `spikes.LAYER` and `membrane.LAYER`
    (docs/fixed-point-nir.md).

    Returns:
        What the index says of each network: its name, digest, and what it is there for.

    Raises:
        UsageError: when something else stands there.
        FileRefused: when the folder cannot be written.
    """
    if (
        folder.exists()
        and not (folder / INDEX).is_file()
        and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise UsageError(
            f"{folder} holds something else than networks of conformance; give a new folder"
        )
    index: list[dict[str, Any]] = []
    with writing_folder(folder) as part:
        for name, golden, tells in networks():
            net, trace = golden.net, golden.expected.trace
            lacking = [
                layer
                for layer, neuron in net.neurons.items()
                if nir_neuron(neuron.program, neuron.values).lacks
            ]
            (part / f"{name}.nir").write_bytes(to_bytes(net, approximate=lacking))
            arrays: dict[str, Any] = {"input": golden.x}
            arrays |= {f"spikes.{layer}": array for layer, array in trace.spikes.items()}
            arrays |= {f"membrane.{layer}": array for layer, array in trace.membranes.items()}
            np.savez_compressed(part / f"{name}.npz", **arrays)
            index.append({"name": name, "digest": net.digest, "for": list(tells)})
        (part / INDEX).write_bytes(to_json({"schema": "lehr-conformance/1", "networks": index}))
    return index
