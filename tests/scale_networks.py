"""Networks of the conformance suite with a Scale on some of their edges, and the same with weights in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from strategies import calibrated, networks, random_input

from lehr.errors import NotMappable
from lehr.network import OUTPUT, Conv2d, Delay, Linear, Network
from lehr.nodes import Scale, Shape
from lehr.simulate import simulate
from lehr.targets.conformance.building import flowing


def factors(rng: np.random.Generator, shape: Shape, rare: float) -> Scale:
    """Small factors of both signs, and a share of 0 or as far as they go."""
    small = rng.integers(1, 4, shape) * rng.choice(np.array((-1, 1, 1)), shape)
    return Scale(
        np.where(rng.random(shape) < rare, rng.choice(np.array((-127, 0, 127)), shape), small)
    )


def with_scales(
    net: Network, seed: int, *, by_value: bool = True, share: float = 0.4, rare: float = 0.1
) -> Network:
    """`net` with a Scale on a share of its edges, feedback edges too, and thresholds that fit."""
    rng = np.random.default_rng(seed)
    nodes, edges = dict(net.nodes), []
    by_event = any(neuron.by_event for neuron in net.neurons.values())
    for number, (a, b) in enumerate(net.edges):
        # what is delayed on its way to events has to be spikes
        slow = by_event and isinstance(net.nodes.get(b), Delay)
        if b == OUTPUT or slow or rng.random() > share:
            edges.append((a, b))
            continue
        shape = net.shapes[a]
        nodes[f"gain{number}"] = factors(
            rng, shape if by_value and rng.random() < 0.5 else shape[:1], rare
        )
        edges += [(a, f"gain{number}"), (f"gain{number}", b)]
    return calibrated(replace(net, nodes=nodes, edges=tuple(edges)), seed)


@st.composite
def scaled_networks(
    draw: st.DrawFn, /, *, by_value: bool = True, rare: float = 0.1, **fixed: Any
) -> Network:
    """A network of `networks` with Scale on its edges, in which spikes flow."""
    seed = draw(st.integers(0, 2**16))
    try:
        net = with_scales(draw(networks(**fixed)), seed, by_value=by_value, rare=rare)
        assume(any(isinstance(node, Scale) for node in net.nodes.values()))
        assume(flowing(net, simulate(net, random_input(net, np.random.default_rng(seed)))))
    except NotMappable:  # a neuron that updates by event fired more than 255 times
        assume(False)
        raise
    return net


def in_weights(net: Network) -> Network:
    """The same network with weights of one to one in place of every Scale, which is by channel."""
    nodes = dict(net.nodes)
    for name, node in net.nodes.items():
        if isinstance(node, Scale):
            assert node.factor.ndim == 1
            factor, maps = node.factor.astype(np.int8), len(net.shapes[name]) == 3
            nodes[name] = (
                Conv2d(factor.reshape(-1, 1, 1, 1), groups=factor.size, kind="int8")
                if maps
                else Linear(np.diag(factor), "int8")
            )
    return replace(net, nodes=nodes)


def one_factor_more(net: Network) -> list[Network]:
    """Networks in which one factor is one unit nearer to 0, or 1 where it is 0."""
    found = []
    for name, node in net.nodes.items():
        if isinstance(node, Scale):
            for index in range(min(node.factor.size, 6)):
                factor = node.factor.copy()
                factor.flat[index] += -np.sign(factor.flat[index]) or 1
                found.append(replace(net, nodes={**net.nodes, name: Scale(factor)}))
    assert found
    return found
