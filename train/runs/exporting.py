"""A training run's network as a `.nir` file, verified against the twin that was trained.

export_run(load_run(Path("run")), samples, Path("model.nir"))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.atomic import writing
from lehr.export.checkpoint import Run
from lehr.export.readers import for_reader
from lehr.export.readers.check import ReaderCheck, put
from lehr.export.verified import put_network
from lehr.network import Network
from lehr.shown import Shown, Table
from lehr.simulate import Comparison, Result, compare, simulate
from lehr.train.twin.network import Twin, trace
from lehr.widths import Widths, analyse


@dataclass(frozen=True, repr=False)
class VerifiedRun(Shown):
    """A run's network as it stands in a file, and how it compares with what was trained.

    Attributes:
        network: as it was read back.
        widths: proven bounds of its values.
        result: of the network on the samples, all layers traced.
        compared: its spikes and membranes with those of the twin, which are equal.
        reader: the file for an importer, where one was asked for.
    """

    network: Network
    widths: Widths
    result: Result
    compared: Comparison
    reader: ReaderCheck | None

    def _table(self) -> Table:
        rows = [
            (name, str(layer.bits), f"{self.result.rates[name]:.4f}")
            for name, layer in self.widths.layers.items()
        ]
        compared = self.compared
        title = (
            f"network {self.network.digest[:12]}: {compared.spikes:,} of {compared.values:,} "
            f"spikes and {compared.membranes:,} membranes differ from the trained model's"
        )
        return Table(title, ("layer", "state bits", "spike rate"), rows)


def export_run(
    run: Run, x: npt.NDArray[np.uint8], path: Path, reader: str | None = None
) -> VerifiedRun:
    """Write a run's network, and compare every spike and membrane of the file with the twin's.

    Args:
        run: from `lehr.export.checkpoint.load_run`.
        x: samples, uint8 `[N, T, *shape]`, or `[N, *shape]`, held.
        path: of the `.nir` file to write.
        reader: an importer of another tool, one of `lehr.export.readers.READERS`: its float units
            are written in place of the exact file, which is verified all the same.

    Raises:
        NotBitExact: when a spike or membrane differs; nothing is written then.
        NotMappable: when float32, in which the twin is trained, could round, or the importer does
            not have a node.
        UsageError: when there is no importer of that name.
        FileRefused: when the samples are not what the network takes, or the file cannot be written.
    """
    widths = analyse(run.network)
    widths.require_float32()
    file = None if reader is None else for_reader(run.network, reader)
    with writing(path) as part:
        # what a recipe asks for is written, and the file says where NIR's own fields lack it
        network = put_network(run.network, part, approximate=run.network.neurons)
        result = simulate(network, x, trace=network.neurons)
        compared = compare(trace(Twin(run.network, latents=run.latents), x), result.trace)
        compared.require_equal("the exported file against the trained model")
        check = None if file is None else put(network, file, part, x)
    return VerifiedRun(network, widths, result, compared, check)
