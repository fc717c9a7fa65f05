"""Networks in Loihi's arithmetic, in which spikes flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.targets import registry
from lehr.targets.conformance.building import Images

ARITHMETIC = Arithmetic(
    decay_numerator=15,
    decay_shift=4,
    reset="zero",
    reset_timing="same_step",
    fires="gt",
    fraction_bits=7,
    state_bits=24,
)
LOIHI = registry.get("loihi")


def neuron(
    size: int,
    threshold: int,
    bias: Any = 0,
    arithmetic: Arithmetic = ARITHMETIC,
    synapse: Synapse | None = None,
) -> Neuron:
    biases = np.broadcast_to(np.asarray(bias, np.int32), size).copy()
    return Neuron(np.full(size, threshold, np.int32), biases, arithmetic, synapse)


def binary(rng: np.random.Generator, *shape: int) -> Any:
    return rng.choice(np.array((-1, 1), np.int8), shape)


def dense(recurrent: bool = False, biased: bool = True) -> tuple[Network, Images]:
    """Return 24-16-5, with biases of both signs, or the hidden layer hearing itself."""
    rng = np.random.default_rng(1)
    nodes: dict[str, Node] = {
        "fc1": Linear(binary(rng, 16, 24)),
        "hidden": neuron(16, 6 * 64, 64 * rng.integers(-2, 3, 16) if biased else 0),
        "fc2": Linear(binary(rng, 5, 16)),
        "out": neuron(5, 4 * 64, 64 * rng.integers(-1, 2, 5) if biased else 0),
    }
    edges = [*pairwise((INPUT, *nodes, OUTPUT))]
    if recurrent:
        nodes["self"] = Linear(binary(rng, 16, 16))
        edges += [("hidden", "self"), ("self", "hidden")]
    return Network(nodes, tuple(edges), Input((24,), "spikes"), 20), (
        rng.random((5, 20, 24)) < 0.3
    ).astype(np.uint8)


def maps() -> tuple[Network, Images]:
    """Return two convolutions, the second with pooling behind it, and a dense layer."""
    rng = np.random.default_rng(2)
    nodes: dict[str, Node] = {
        "conv1": Conv2d(binary(rng, 4, 2, 3, 2), stride=(1, 2), padding=(1, 0)),
        "lif1": neuron(4, 3 * 64, 64 * np.array([-1, 0, 1, 2])),
        "conv2": Conv2d(binary(rng, 6, 2, 2, 2), dilation=(2, 1), groups=2),
        "pool": SumPool2d((2, 2), (2, 1)),
        "lif2": neuron(6, 5 * 64),
        "flat": Flatten(),
        "fc": Linear(binary(rng, 5, 6 * 3 * 1)),
        "out": neuron(5, 2 * 64),
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((2, 8, 7), "spikes"), 16)
    return net, (rng.random((4, 16, 2, 8, 7)) < 0.35).astype(np.uint8)


NETWORKS: dict[str, Callable[[], tuple[Network, Images]]] = {
    "dense with biases": dense,
    "recurrent": lambda: dense(recurrent=True, biased=False),
    "maps": maps,
}


def built(net: Network, folder: Path) -> Path:
    LOIHI.require_mappable(net)
    LOIHI.plan(net, {}).with_manifest({}).write(folder)
    return folder


def changed(net: Network, **nodes: Node) -> Network:
    return replace(net, nodes={**net.nodes, **nodes})


def heard(net: Network, source: str, by: str) -> Network:
    """Return `net` with spikes of one layer fed back to another."""
    back = Linear(np.ones((net.neurons[by].channels, net.neurons[source].channels), np.int8))
    return replace(
        net, nodes={**net.nodes, "back": back}, edges=(*net.edges, (source, "back"), ("back", by))
    )
