"""Networks of Xylo's neurons, and their results in plain numpy.

They are written from the vendor's description, not with lehr.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.machines import XYLO
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.targets.conformance.xylo import ONCE
from lehr.update import Program

Int64 = npt.NDArray[np.int64]
STEPS = 25


def neurons(
    rng: np.random.Generator,
    size: int,
    threshold: int,
    program: Program = XYLO,
    *,
    biased: bool = False,
) -> Neuron:
    """Return a layer with other numbers for each neuron; outputs in pairs of one threshold."""
    pairs = np.repeat(rng.integers(max(1, threshold // 2), threshold * 2, -(-size // 2)), 2)[:size]
    bias = rng.integers(-3, 4, size) if biased else np.zeros(size, np.int64)
    dashes = {
        "dash_mem": rng.integers(1, 6, size).astype(np.int32),
        "dash_syn": rng.integers(1, 4, size).astype(np.int32),
    }
    return Neuron(pairs.astype(np.int32), bias.astype(np.int32), program, parameters=dashes)


def dense(
    seed: int = 0,
    sizes: tuple[int, ...] = (16, 20, 12, 6),
    thresholds: tuple[int, ...] = (4, 8, 8),
    **more: Any,
) -> Network:
    """Return a chain of layers with biases in the first, in which spikes flow."""
    rng, nodes = np.random.default_rng(seed), dict[str, Node]()
    for number, ((before, size), threshold) in enumerate(
        zip(pairwise(sizes), thresholds, strict=True)
    ):
        last = number == len(thresholds) - 1
        nodes[f"fc{number}"] = Linear(rng.choice(np.array([-1, 1], np.int8), (size, before)))
        nodes[f"n{number}"] = neurons(
            rng, size, threshold, ONCE if last else XYLO, biased=not number
        )
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((sizes[0],), "spikes"), STEPS, **more
    )


def samples(net: Network, count: int = 3, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Return spikes at a rate of 0.4."""
    return (np.random.default_rng(seed).random((count, net.steps, *net.input.shape)) < 0.4).astype(
        np.uint8
    )


def by_hand(net: Network, x: npt.NDArray[np.uint8]) -> list[tuple[Int64, Int64, Int64]]:
    """Return currents, membranes and spikes of each layer of a dense chain for one sample.

    The sample is `[T, inputs]`; events are added one by one, as the chip adds them.
    """
    arriving, layers = x.astype(np.int64), []
    for number, name in enumerate(net.neurons):
        weighted, neuron = net.nodes[f"fc{number}"], net.neurons[name]
        assert isinstance(weighted, Linear)
        shift = int(str(neuron.program).split("add i input ")[1].split(";")[0])
        most = 1 if name == net.output else 31
        size = len(neuron.threshold)
        i, v = [0] * size, [0] * size
        rows: list[list[list[int]]] = [[], [], []]
        for events in arriving:
            fired = []
            for to in range(size):
                for source, count in enumerate(events):
                    for _ in range(int(count)):
                        i[to] = clip(i[to] + (int(weighted.weight[to, source]) << shift))
                i[to] -= dash(i[to], int(neuron.parameters["dash_syn"][to]))
                change = clip(
                    clip(i[to] - dash(v[to], int(neuron.parameters["dash_mem"][to])))
                    + int(neuron.bias[to])
                )
                v[to], spikes = clip(v[to] + change), 0
                while v[to] >= neuron.threshold[to] and spikes < most:
                    v[to] -= int(neuron.threshold[to])
                    spikes += 1
                fired.append(spikes)
            for row, values in zip(rows, (i, v, fired), strict=True):
                row.append(list(values))
        current, membrane, spiked = (np.array(row) for row in rows)
        layers.append((current, membrane, spiked))
        arriving = spiked
    return layers


def clip(x: int) -> int:
    """Clip a value to 16 bits."""
    return max(-32768, min(32767, x))


def dash(x: int, shift: int) -> int:
    """Return the part of x that decays in a step."""
    return (x >> shift) or (x > 0) - (x < 0)
