"""Networks of the machines of lehr.machines, in which spikes flow: what every station is tried on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from strategies import Images

from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Int32Array, Shape
from lehr.update import Program

STEPS = 12
RANGES = {"alpha": (24_000, 32_767), "dash_mem": (2, 5), "dash_syn": (1, 4), "du": (0, 3_000), "dv": (2_000, 4_000), "floor": (-40, 0)}
RANGES |= {"leak": (0, 2), "decay": (100, 256), "shift": (8, 9)}
THRESHOLDS = {"akida": 1, "dynapcnn": 2, "dynapcnn_by_event": 2, "tinyodin": 2, "xylo": 3, "loihi": 150, "reckon": 30, "hiaer": 30}


def machine_network(name: str, *, spatial: bool = False, per_neuron: bool = False) -> tuple[Network, Images]:
    """Two layers of a machine's neurons, dense or a convolution first, with parameters by channel or by neuron; and samples by step."""
    return program_network(MACHINES[name], THRESHOLDS.get(name, 40), spatial=spatial, per_neuron=per_neuron)


def program_network(
    program: Program, threshold: int, *, spatial: bool = False, per_neuron: bool = False, seed: int = 7
) -> tuple[Network, Images]:
    """The same for any program whose parameters are among `RANGES`; thresholds lie around `threshold`."""
    rng = np.random.default_rng(seed)
    entry: Shape = (2, 6, 6) if spatial else (14,)
    hidden: Shape = (4, 4, 4) if spatial else (10,)
    nodes = {
        "first": Conv2d(_binary(rng, 4, 2, 3, 3)) if spatial else Linear(_binary(rng, 10, 14)),
        "hidden": _neurons(rng, program, hidden, threshold, per_neuron),
        **({"flat": Flatten()} if spatial else {}),
        "second": Linear(_binary(rng, 5, int(np.prod(hidden)))),
        "out": _neurons(rng, program, (5,), threshold, per_neuron),
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(entry, "spikes"), STEPS)
    return net, (rng.random((4, STEPS, *entry)) < 0.4).astype(np.uint8)


def _neurons(rng: np.random.Generator, program: Program, shape: Shape, threshold: int, per_neuron: bool) -> Neuron:
    size = shape if per_neuron else shape[:1]

    def drawn(low: int, high: int) -> Int32Array:
        return rng.integers(low, high + 1, size, dtype=np.int32)

    zero = np.zeros(size, np.int32)
    given = {
        "threshold": drawn(max(1, threshold // 2), threshold * 3 // 2) if "threshold" in program.parameters else zero,
        "bias": drawn(-3, 3) if "bias" in program.parameters else zero,
    }
    others = {name: drawn(*RANGES[name]) for name in program.parameters if name not in given}
    return Neuron(given["threshold"], given["bias"], program, parameters=others)


def _binary(rng: np.random.Generator, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return rng.choice(np.array((-1, 1), np.int8), shape)
