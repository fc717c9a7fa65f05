"""Networks of the conformance suite with maxima on some of the edges that carry maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from strategies import calibrated, networks, random_input

from lehr.network import OUTPUT, Network
from lehr.nodes import MaxPool2d
from lehr.simulate import simulate
from lehr.targets.conformance.building import flowing

SAME = (
    MaxPool2d((3, 3), (1, 1), (1, 1)),
    MaxPool2d((3, 1), (1, 1), (2, 0), (2, 1)),
    MaxPool2d((1, 1), (1, 1)),
)
"""Windows that keep the size of a map of two rows or more."""


def with_maxima(net: Network, seed: int, share: float = 0.5) -> Network:
    """Return `net` with a MaxPool2d on a share of its edges, feedback edges too."""
    rng = np.random.default_rng(seed)
    nodes, edges = dict(net.nodes), []
    for number, (a, b) in enumerate(net.edges):
        shape = net.shapes[a]
        if b == OUTPUT or len(shape) != 3 or min(shape[1:]) < 2 or rng.random() > share:
            edges.append((a, b))
            continue
        nodes[f"most{number}"] = SAME[int(rng.integers(len(SAME)))]
        edges += [(a, f"most{number}"), (f"most{number}", b)]
    return calibrated(replace(net, nodes=nodes, edges=tuple(edges)), seed)


@st.composite
def networks_of_maxima(draw: st.DrawFn, /, **fixed: Any) -> Network:
    """Draw a network of `networks` with MaxPool2d on its edges, in which spikes flow."""
    seed = draw(st.integers(0, 2**16))
    net = draw(networks(**fixed).filter(lambda net: len(net.input.shape) == 3))
    net = with_maxima(net, seed)
    assume(any(isinstance(node, MaxPool2d) for node in net.nodes.values()))
    assume(flowing(net, simulate(net, random_input(net, np.random.default_rng(seed)))))
    return net
