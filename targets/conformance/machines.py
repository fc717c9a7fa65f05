"""Networks of the machines of lehr.machines, in which spikes flow: every station takes them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, Readout
from lehr.nodes import Int32Array, Node, Shape
from lehr.targets.conformance.building import Images
from lehr.update import Program
from lehr.weights import LARGEST, Int8Array, WeightKind

STEPS = 12
RANGES = {
    "alpha": (28_672, 32_768),
    "dash_mem": (2, 5),
    "dash_syn": (1, 4),
    "du": (0, 3_000),
    "dv": (2_000, 4_000),
    "floor": (-40, 0),
}
RANGES |= {"leak": (0, 2), "decay": (100, 256), "shift": (8, 9)}
THRESHOLDS = {
    "akida": 1,
    "dynapcnn": 2,
    "dynapcnn_by_event": 2,
    "tinyodin": 2,
    "xylo": 3,
    "loihi": 150,
    "reckon": 30,
    "hiaer": 30,
}


def machine_network(
    name: str, *, spatial: bool = False, per_neuron: bool = False
) -> tuple[Network, Images]:
    """Return two layers of a machine's neurons, and samples by step.

    The first layer is dense or a convolution; parameters are by channel or by neuron.
    """
    return program_network(
        MACHINES[name], THRESHOLDS.get(name, 40), spatial=spatial, per_neuron=per_neuron
    )


def program_network(
    program: Program,
    threshold: int,
    *,
    spatial: bool = False,
    per_neuron: bool = False,
    seed: int = 7,
    layers: int = 2,
    kind: WeightKind = "binary",
    readout: Readout = "count_argmax_lowest",
    alike: bool = False,
) -> tuple[Network, Images]:
    """Return the same for any program whose parameters are among `RANGES`.

    Thresholds lie around `threshold`. It may be the first layer alone. With `alike`, all neurons of
    the network have that one threshold.
    """
    rng = np.random.default_rng(seed)
    entry: Shape = (2, 6, 6) if spatial else (14,)
    hidden: Shape = (4, 4, 4) if spatial else (10,)
    nodes: dict[str, Node] = {
        "first": Conv2d(_weights(rng, kind, 4, 2, 3, 3), kind=kind)
        if spatial
        else Linear(_weights(rng, kind, 10, 14), kind),
        "hidden": _neurons(rng, program, hidden, threshold, per_neuron, alike),
    }
    if layers == 2:
        nodes |= {"flat": Flatten()} if spatial else {}
        nodes["second"] = Linear(_weights(rng, kind, 5, int(np.prod(hidden))), kind)
        nodes["out"] = _neurons(rng, program, (5,), threshold, per_neuron, alike)
    net = Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(entry, "spikes"), STEPS, readout
    )
    return net, (rng.random((4, STEPS, *entry)) < 0.4).astype(np.uint8)


def _neurons(
    rng: np.random.Generator,
    program: Program,
    shape: Shape,
    threshold: int,
    per_neuron: bool,
    alike: bool,
) -> Neuron:
    size = shape if per_neuron else shape[:1]
    least, most = (threshold, threshold) if alike else (max(1, threshold // 2), threshold * 3 // 2)

    def drawn(low: int, high: int) -> Int32Array:
        return rng.integers(low, high + 1, size, dtype=np.int32)

    zero = np.zeros(size, np.int32)
    given = {
        "threshold": drawn(least, most) if "threshold" in program.parameters else zero,
        "bias": drawn(-3, 3) if "bias" in program.parameters else zero,
    }
    others = {name: drawn(*RANGES[name]) for name in program.parameters if name not in given}
    return Neuron(given["threshold"], given["bias"], program, parameters=others)


def _weights(rng: np.random.Generator, kind: WeightKind, *shape: int) -> Int8Array:
    if kind == "binary":
        return rng.choice(np.array((-1, 1), np.int8), shape)
    return rng.integers(-LARGEST[kind], LARGEST[kind], shape, np.int8, endpoint=True)
