"""Energy and time in SANA-FE, a simulator of chips by others, where its spikes are ours.

It computes neurons in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr import nirfile
from lehr.arithmetic import Int64
from lehr.errors import NotBitExact
from lehr.network import Network
from lehr.paths import synapses
from lehr.simulate import Trace
from lehr.targets.contract import Figure
from lehr.targets.golden import read_golden
from lehr.targets.loihi.mapping import Mapped, mapped
from lehr.targets.loihi.neurons import DECAY_BITS, UNIT
from lehr.targets.loihi.tools import SANAFE
from lehr.targets.replanned import MODEL

SAMPLES = 4
"""Golden samples that are measured: each takes seconds."""


def measure(folder: Path) -> tuple[Figure, ...]:
    """Return energy and time of an inference, the mean of some golden samples.

    It is nothing without SANA-FE, or where its neurons are others.

    Raises:
        NotBitExact: when it fires otherwise than the network.
    """
    net = nirfile.read(folder / MODEL)
    layers = [each for each in mapped(net) if isinstance(each, Mapped)]
    if SANAFE.missing() or any(
        each.numbers.register or each.numbers.bias is not None for each in layers
    ):
        return ()
    x, trace = read_golden(net, folder, SAMPLES)
    with as_file(files("lehr.targets.loihi").joinpath("scripts/sanafe_run.py")) as script:
        got = SANAFE.run(script, _given(net, layers, x), "does not run the network")
    _require_same(layers, trace, got["spikes"])
    tool = (
        f"sanafe {SANAFE.version()}, its loihi.yaml (Davies et al. 2018): mean of {len(x)} "
        "golden samples"
    )
    energy = dict(zip(map(str, got["parts"]), got["energy"].mean(0), strict=True))
    named = {
        "energy" if name == "total" else f"energy of {name}": float(joules)
        for name, joules in energy.items()
    }
    figures = [
        Figure(name, joules * 1e9, "nJ per inference", tool) for name, joules in named.items()
    ]
    return (*figures, Figure("time", float(got["seconds"].mean()) * 1e6, "us per inference", tool))


def _given(
    net: Network, layers: Sequence[Mapped], x: npt.NDArray[np.uint8]
) -> dict[str, npt.NDArray[Any]]:
    """Return what the script takes: neurons in units of the chip's membrane."""
    given: dict[str, npt.NDArray[Any]] = {"x": x.reshape(*x.shape[:2], -1)}
    for k, each in enumerate(layers):
        name, stays = each.layer.name, 1 - each.numbers.membrane / (1 << DECAY_BITS)
        given |= {
            f"neuron{k}": np.array([each.numbers.threshold * UNIT, stays]),
            f"size{k}": np.array(each.layer.size),
        }
        for source, _, matrix in synapses(net, name):
            given[f"{'own' if source == name else 'synapses'}{k}"] = _listed(
                matrix << each.numbers.fraction_bits
            )
    return given


def _listed(matrix: Int64) -> Int64:
    """Source, destination and weight of every synapse."""
    sources, places = np.nonzero(matrix)
    return np.stack([sources, places, matrix[sources, places]], 1)


def _require_same(layers: Sequence[Mapped], trace: Trace, fired: npt.NDArray[Any]) -> None:
    for k, each in enumerate(layers):
        name = each.layer.name
        due = trace.spikes[name].reshape(len(fired), -1).sum(1, dtype=np.int64)
        if (differ := np.flatnonzero(due != fired[:, k])).size:
            n = differ[0]
            reason = (
                f"{name} fires {fired[n, k]} times in sample {n} and not {due[n]}, as its "
                "neurons are floats"
            )
            raise NotBitExact(
                f"sanafe: {reason}; leave --measure out, the estimate in the report needs no "
                "simulator"
            )
