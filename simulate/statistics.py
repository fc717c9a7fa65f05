"""Synaptic operations of a run: of a machine that multiplies every weight in every step.

Beside it: of one that waits for events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.nodes import Delay
from lehr.simulate.result import Result


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of a node with weights, or with factors, over all samples and steps.

    Attributes:
        dense: weights other than 0 times the places where they are used, for every sample and step.
        events: one for each event and each weight other than 0 that it meets.
    """

    dense: int
    events: int


def operations(net: Network, result: Result) -> dict[str, Operations]:
    """Count the synaptic operations of each node with weights, those of a Scale among them.

    An event is a spike (as many as a neuron fired in a step), or an element of the input that is
    not 0. Sums over windows pass events on; what comes out of weights with no neurons behind them,
    or of maxima, is a number in every step, and counts as an event of each element. A Scale
    multiplies each event once, and passes it on unless its factor is 0. Events are counted where
    they arise, those that a delay still holds after the last step included.
    """
    instants = next(iter(result.layers.values())).instants
    events: dict[str, Int64] = {
        INPUT: result.events,
        **{name: layer.spikes for name, layer in result.layers.items()},
    }
    by_layer = {}
    for name in [name for name in net.flow if name not in net.neurons]:
        node = net.nodes[name]
        arriving: Int64 = np.sum([events[source] for source in net.sources(name)], axis=0)
        if not node.additive:
            events[name] = np.full(net.shapes[name], instants, np.int64)
            continue
        if (present := node.present) is None:
            events[name] = arriving if isinstance(node, Delay) else node.sums(arriving[None])[0]
            continue
        every = np.ones((1, *arriving.shape), np.int64)
        dense, met = int(present.sums(every).sum()) * instants, present.sums(arriving[None])[0]
        by_layer[name] = Operations(dense, int(met.sum()))
        events[name] = met if node.one_to_one else np.full(net.shapes[name], instants, np.int64)
    return {name: by_layer[name] for name in net.order if name in by_layer}
