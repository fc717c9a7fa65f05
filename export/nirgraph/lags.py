"""Delays: spikes must take as long through an integer network as through its float graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.nirgraph.floats import Steps, whole_steps
from lehr.export.nirgraph.graph import Graph, Wait
from lehr.export.nirgraph.semantics import Semantics
from lehr.network import INPUT, Network
from lehr.nodes import Delay, Neuron


def delay_of(steps: Steps) -> Delay:
    """Return a Delay of these steps: of one number where all are alike."""
    return Delay(int(steps.flat[0]) if steps.min() == steps.max() else steps.astype(np.int32))


def require_same_delays(graph: Graph, network: Network, semantics: Semantics) -> None:
    """Refuse a network in which a spike takes another number of steps to a layer than in the graph.

    Raises:
        NotMappable: naming the layer.
    """
    extra = {
        name for name, cells in graph.cells.items() if cells.cuba and semantics.current == "last"
    }
    waits = {
        n: _lag(n, whole_steps(n, node, semantics)[0])
        for n, node in graph.nodes.items()
        if isinstance(node, Wait)
    }
    delays = {
        n: _lag(n, np.asarray(node.steps))
        for n, node in network.nodes.items()
        if isinstance(node, Delay)
    }
    for name in graph.cells:
        there, here = _arrivals(graph.outline, name, waits), _arrivals(network, name, delays)
        if here != {(hub, lag + (name in extra), others) for hub, lag, others in there}:
            raise NotMappable(
                f"{name}: the cycle that it lies in would be cut in another place; put a Delay "
                "where one step is meant"
            )


_Lag = tuple[int, frozenset[str]]
"""Steps that all values wait, and the delays that let each wait for its own."""


def _lag(name: str, steps: npt.NDArray[np.integer[Any]]) -> _Lag:
    return (
        (int(steps.flat[0]), frozenset()) if steps.min() == steps.max() else (0, frozenset({name}))
    )


def _arrivals(
    net: Network, name: str, waits: Mapping[str, _Lag]
) -> set[tuple[str, int, frozenset[str]]]:
    """Return the layers whose spikes come to a layer, and after how many steps."""
    arrived: set[tuple[str, int, frozenset[str]]] = set()
    nobody: _Lag = (0, frozenset())
    pending, seen = [(name, *nobody)], set[tuple[str, int, frozenset[str]]]()
    while pending:
        here, lag, others = pending.pop()
        for source in net.sources(here):
            steps, own = waits.get(source, nobody)
            at = (source, lag + ((source, here) in net.feedback) + steps, others | own)
            if source == INPUT or isinstance(net.nodes[source], Neuron):
                arrived.add(at)
            elif at not in seen:
                seen.add(at)
                pending.append(at)
    return arrived
