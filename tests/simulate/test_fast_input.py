"""Inputs of the fast engine are checked, counted and packed in one pass, whatever their shape."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from results import require_same
from strategies import Builder

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import Flatten, Input, Network
from lehr.nodes import InputKind, Shape
from lehr.simulate import simulate
from lehr.simulate.fast.engine import Engine

KINDS: tuple[tuple[InputKind, int], ...] = (("spikes", 1), ("u8", 255))
SHAPES: tuple[Shape, ...] = ((5,), (63,), (70,), (128,), (2, 3, 9), (2, 8, 9), (2, 8, 8), (3, 9, 8))


def network(shape: Shape, kind: InputKind) -> Network:
    """Return a layer of four neurons on an input."""
    net = Builder(Input(shape, kind), np.random.default_rng(0))
    if len(shape) > 1:
        net.add("flat", Flatten())
    net.linear("fc", 4)
    net.neuron("out", Arithmetic(decay_numerator=7, decay_shift=3, state_bits=24))
    return net.network(300)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_events_are_counted_at_their_place(shape: Shape) -> None:
    """Over more steps than a byte counts, and of inputs that are always there, or never."""
    rng = np.random.default_rng(1)
    for kind, highest in KINDS:
        there = rng.random((2, 300, *shape)) < rng.choice([0, 0.3, 1], (1, 1, *shape))
        x = rng.integers(1, highest + 1, there.shape).astype(np.uint8) * there
        net = network(shape, kind)
        result = Engine(net).run(x, trace=net.neurons)
        assert np.array_equal(result.events, np.count_nonzero(x, axis=(0, 1)))
        assert result.events.max() == 600
        require_same(simulate(net, x, trace=net.neurons), result)
        held = Engine(net).run(x[:, 0])
        assert np.array_equal(held.events, 300 * np.count_nonzero(x[:, 0], axis=0))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_value_is_refused_at_every_place(shape: Shape) -> None:
    """As the reference does: the highest of all inputs is named, and the engine goes on."""
    net = network(shape, "spikes")
    engine = Engine(net)
    x = np.zeros((2, 3, *shape), np.uint8)
    expected = engine.run(x)
    flat = x.reshape(2, 3, -1)
    for place, (value, sample) in product(range(math.prod(shape)), ((2, 0), (128, 1))):
        flat[sample, place % 3, place], flat[1, 2, 0] = value, 3
        for steps in (1, 3):
            with pytest.raises(FileRefused) as refused:
                engine.run(x, steps=steps)
            assert f"input holds {x.max()}, " in str(refused.value)
        flat[:] = 0
    require_same(expected, engine.run(x))
