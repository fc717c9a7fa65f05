"""A file for another tool's importer: written, and checked against the network it stands for.

The check steps it in double precision beside the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Fires
from lehr.atomic import writing
from lehr.errors import NotBitExact
from lehr.export.nirgraph import Semantics, from_nir, run
from lehr.export.readers.graph import ReaderFile
from lehr.export.readers.importers import READERS
from lehr.network import Network
from lehr.simulate import simulate

SAMPLES = 16
"""Samples on which the float graph is run."""


@dataclass(frozen=True)
class ReaderCheck:
    """Result of running a file for an importer.

    Attributes:
        file: what was written.
        samples: on how many it was run.
        differ: spikes that are not the network's.
        values: how many were compared; 0 where there were no samples, or the importer's neurons may
            fire several times in a step.
    """

    file: ReaderFile
    samples: int
    differ: int
    values: int


def write_for_reader(
    net: Network, file: ReaderFile, path: Path, x: npt.NDArray[np.uint8] | None = None
) -> ReaderCheck:
    """Write a network for an importer, and compare on samples what the importer makes of it.

    Nothing is written where that fails.

    Args:
        net: the network.
        file: from `lehr.export.readers.for_reader(net, ...)`.
        path: of the `.nir` file to write.
        x: samples, uint8 `[N, T, *shape]`, or `[N, *shape]`, held; the first 16 are run. None to
            run none.

    Raises:
        NotBitExact: when nothing was left out, and a spike differs all the same.
        FileRefused: when the samples are not what the network takes, or the file cannot be written.
    """
    with writing(path) as part:
        return put(net, file, part, x)


def put(net: Network, file: ReaderFile, part: Path, x: npt.NDArray[np.uint8] | None) -> ReaderCheck:
    """Do as `write_for_reader`, within another's `lehr.atomic.writing`."""
    part.write_bytes(file.to_bytes())
    differ, values = (0, 0) if x is None else _spikes_differ(net, file, x[:SAMPLES])
    if differ and file.proven:
        raise NotBitExact(
            f"{differ:,} of {values:,} spikes differ, but nothing was left out; report it as a bug "
            "of lehr"
        )
    return ReaderCheck(file, 0 if x is None else min(len(x), SAMPLES), differ, values)


def _spikes_differ(
    net: Network, reader_file: ReaderFile, x: npt.NDArray[np.uint8]
) -> tuple[int, int]:
    """Return how many spikes differ, and how many values there are.

    Both are 0 where an importer's neurons may fire several times in a step.
    """
    reader = READERS[reader_file.title]
    if reader.reset == "subtract" and not reader_file.proven:
        return 0, 0
    fires: Fires = "gt" if reader.reset == "zero" else "ge"
    semantics = Semantics(
        reader.dt, reader.reset, fires=fires, discretize=reader.decay, integrate="ode"
    )
    # h5py takes any file object; the hint of nir.read is narrower
    file: Any = BytesIO(reader_file.to_bytes())
    graph = from_nir(nir.read(file, type_check=False))
    differ = values = 0
    for sample in x:
        spikes = simulate(net, sample[None], trace=net.neurons).trace.spikes
        steps = sample.shape[: sample.ndim - len(net.input.shape)]
        floats = run(graph, sample.reshape(1, *steps, *graph.shape), semantics, net.steps).spikes
        differ += sum(
            int((floats[name].reshape(each.shape) != each).sum()) for name, each in spikes.items()
        )
        values += sum(each.size for each in spikes.values())
    return differ, values
