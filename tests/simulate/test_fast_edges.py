"""Sums and membranes at the edges of the integers in which the fast engine computes them.

They are one less, the last that fits, and one more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hard_networks import flows
from results import require_same
from strategies import Images

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.nodes import Shape
from lehr.simulate import simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.weights import WeightKind

CURRENT = Arithmetic(
    decay_numerator=0, reset="none", state_bits=24
)  # its membrane is the summed input
GROWS = Arithmetic(reset="none", state_bits=15)  # without leak, up to the rails


def extremes(
    fan_in: int,
    out: int,
    kind: WeightKind,
    weight: int,
    last: int | None = None,
    arithmetic: Arithmetic = CURRENT,
) -> Network:
    """Build weights that are all `weight` but for the last.

    They are of one sign in every other neuron and of the other sign in the rest.
    """
    row = np.full(fan_in, weight, np.int8)
    row[-1] = weight if last is None else last
    signs = np.where(np.arange(out) % 2, -1, 1).astype(np.int8)
    neuron = Neuron(np.full(out, 50), np.zeros(out, np.int32), arithmetic)
    edges = ((INPUT, "w"), ("w", "v"), ("v", OUTPUT))
    return Network(
        {"w": Linear(signs[:, None] * row, kind), "v": neuron},
        edges,
        Input((fan_in,), "spikes"),
        steps=6,
    )


def maps(net: Network, shape: Shape) -> Network:
    """Build the same weights as a convolution whose kernel is as large as its input."""
    dense = net.nodes["w"]
    assert isinstance(dense, Linear)
    return replace(
        net,
        nodes={**net.nodes, "w": Conv2d(dense.weight.reshape(-1, *shape), kind=dense.kind)},
        input=Input(shape, "spikes"),
    )


def windows(channels: int, weight: int) -> Network:
    """Build such weights as a convolution of 3 by 3 pixels with 40 outputs."""
    rows = extremes(9 * channels, 40, "int8", weight)
    dense = rows.nodes["w"]
    assert isinstance(dense, Linear)
    conv = Conv2d(dense.weight.reshape(40, channels, 3, 3), kind="int8")
    return replace(rows, nodes={**rows.nodes, "w": conv}, input=Input((channels, 4, 5), "spikes"))


def full(net: Network) -> Images:
    """Everything spikes: in the first sample always, in the second in every other step."""
    x = np.ones((2, net.steps, *net.input.shape), np.uint8)
    x[1, 1::2] = 0
    return x


EDGES = {
    **{
        f"gathered, {n} of 1": extremes(n, 40, "ternary", 1) for n in (127, 128, 241)
    },  # int8 holds 127 of them; 120 are added at once
    **{
        f"gathered, 300 of {w}": extremes(300, 40, "int8", w) for w in (7, 15, 16, 63, 64, 127)
    },  # so many chunks, int8 or int16
    **{
        f"by cells, {n} of {w}": windows(n, w)
        for n, w in ((42, 1), (43, 1), (64, 1), (19, 7), (31, 7))
    },  # three cells are at most as many events as int8 holds, 127 or 18, or more
    **{f"matched, {n} of 1": extremes(n, 5, "ternary", 1) for n in (64, 65)},
    **{f"counted, {n} of 1": extremes(n, 300, "binary", 1) for n in (119, 120, 121, 128, 241)},
    "counted, at the rails": extremes(
        241, 300, "binary", 1, arithmetic=replace(GROWS, state_bits=8)
    ),  # what lies beyond 300 does not saturate
    "looked up, 127": maps(extremes(128, 5, "ternary", 1, last=0), (1, 8, 16)),
    "looked up, 128": maps(extremes(128, 5, "ternary", 1), (1, 8, 16)),
    **{
        f"looked up, {32_766 + n}": maps(extremes(259, 5, "int8", 127, last=n), (259, 1, 1))
        for n in (1, 2)
    },  # an int16 holds them, or not
    **{
        f"membranes, {n}": extremes(n // 127 + 1, 40, "int8", 127, n % 127, GROWS)
        for n in (16_382, 16_383, 16_384, 16_385)
    },
}


@pytest.mark.parametrize("name", EDGES)
def test_sums_at_the_edge_are_exact(name: str) -> None:
    net = EDGES[name]
    x = full(net)
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    require_same(expected, engine.simulate(net, x, trace=net.neurons))


def test_membranes_that_grow_for_longer_than_the_analysis_looks_are_exact() -> None:
    """Within 1,000 steps 16 bits hold them."""
    net = extremes(1, 2, "int8", 30, arithmetic=replace(GROWS, state_bits=16))
    net = replace(
        net,
        steps=1200,
        nodes={**net.nodes, "v": replace(net.neurons["v"], threshold=np.full(2, 20_000))},
    )
    x = full(net)
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    assert expected.saturations["v"] > 0
    require_same(expected, engine.simulate(net, x, trace=net.neurons))
    running = Stream(net, len(x), net.neurons)
    require_same(
        expected, continued(net, [running.feed(part) for part in np.split(x, [700], axis=1)])
    )


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_inputs_become_bits_whatever_their_size(channels: int) -> None:
    arithmetic, rng = replace(CURRENT, fires="ge"), np.random.default_rng(0)
    neuron = Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), arithmetic)
    for places in (1, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129):
        net = Network(
            {"v": neuron},
            ((INPUT, "v"), ("v", OUTPUT)),
            Input((channels, 1, places), "spikes"),
            steps=9,
        )
        x = rng.integers(0, 2, (3, net.steps, *net.input.shape), np.uint8)
        got = engine.simulate(net, x, trace=["v"])
        assert np.array_equal(got.trace.spikes["v"], x)
        require_same(simulate(net, x, trace=["v"]), got)
