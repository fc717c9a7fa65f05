"""Convolutions with few inputs, summed from tables: shapes, types of tables, and what takes them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hard_networks import flows
from results import require_same
from strategies import random_input

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Input, Network, Neuron, SumPool2d
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.fields import cut
from lehr.simulate.fast.plans.flows import LookUp
from lehr.simulate.fast.plans.fusing import LookedUpNeurons
from lehr.simulate.fast.plans.windows import Window
from lehr.weights import WeightKind

LEAKY = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=24)
SHAPES: dict[str, tuple[Any, ...]] = {  # input, outputs, kernel, stride, padding, pooled, weights
    "one bit": ((1, 3, 3), 7, (1, 1), (1, 1), (0, 0), False, 1),
    "one field of nine bits": ((1, 9, 11), 16, (3, 3), (1, 1), (1, 1), False, 1),
    "pairs of outputs, pooled": ((2, 16, 15), 16, (5, 5), (1, 1), (0, 0), True, 1),
    "fields that pass by, the bytes of rows": ((2, 13, 16), 16, (5, 5), (1, 1), (0, 0), True, 1),
    "fields that pass by, of two rows": ((1, 12, 12), 16, (5, 5), (1, 1), (0, 2), True, 1),
    "fields that pass by fours of outputs": ((1, 7, 12), 8, (4, 5), (2, 1), (1, 2), False, 1),
    "fours of outputs in rows of five": ((2, 9, 12), 8, (4, 4), (2, 2), (1, 0), False, 1),
    "in parts that an int8 holds": ((2, 11, 14), 16, (6, 6), (2, 2), (0, 1), False, 7),
    "in parts, and rows that end on an odd output": ((2, 9, 12), 16, (6, 6), (2, 2), (0, 1), False, 7),
    "of int16": ((3, 7, 6), 24, (3, 3), (1, 2), (0, 2), False, 127),
    "three channels": ((3, 8, 9), 5, (3, 3), (2, 2), (2, 1), False, 1),
    "a stride that skips": ((4, 13, 11), 12, (2, 1), (3, 4), (1, 1), False, 3),
    "groups of channels": ((13, 6, 7), 40, (2, 2), (1, 1), (1, 0), False, 1),
    "groups, fields narrower than the stride": ((7, 9, 8), 70, (3, 3), (2, 2), (0, 3), False, 2),
}  # fmt: skip


def conv(rng: np.random.Generator, *shape: int, most: int = 1) -> Any:
    weight = rng.integers(1, most, shape, endpoint=True) * rng.choice([-1, 1], shape)
    return weight.astype(np.int8)


def network(name: str) -> Network:
    shape, out, kernel, stride, padding, pooled, most = SHAPES[name]
    weight = conv(np.random.default_rng(5), out, shape[0], *kernel, most=most)
    kind: WeightKind = "binary" if most == 1 else "int8"
    nodes: dict[str, Any] = {"conv": Conv2d(weight, stride, padding, kind=kind)}
    if pooled:
        nodes["pool"] = SumPool2d((2, 2), (2, 2))
    size = max(1, int(most * np.sqrt(weight[0].size) / 2) * (2 if pooled else 1))
    nodes["lif"] = Neuron(np.full(out, size), np.arange(out) % 5 - 1, LEAKY)
    order = (INPUT, *nodes, OUTPUT)
    return Network(nodes, tuple(pairwise(order)), Input(shape, "spikes"), 9)


def ops(net: Network, held: bool = False) -> list[Any]:
    plan = engine.Engine(net).plan_for(held, net.steps)
    return [*plan.before, *(op for stage in plan.stages for op in stage.ops)]


def looked_up(fast: engine.Engine) -> LookUp:
    """Return what the only layer of neurons hears."""
    stages = fast.plan_for(False, fast.net.steps).stages
    (op,) = (op for stage in stages for op in stage.ops)
    assert isinstance(op, LookedUpNeurons)
    return op.look


@pytest.mark.parametrize("name", SHAPES)
def test_sums_from_tables_and_of_runs_are_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with membranes kept, block by block; once without, in one run.

    Steps come from tables, those with no more spikes than most, or all of them, from runs.
    """
    net = network(name)
    x = random_input(net, np.random.default_rng(0), 3)
    spikes = x.reshape(*x.shape[:2], -1).sum(axis=2)
    expected = simulate(net, x, trace=["lif"])
    assert flows(net, expected)
    for few in (-1, int(np.median(spikes)), int(spikes.max())):
        fast, by_blocks = engine.Engine(net), engine.Engine(net)
        for each in (fast, by_blocks):
            look = looked_up(each)
            look.few = look.few._replace(few=few)
        require_same(simulate(net, x), fast.run(x))
        with monkeypatch.context() as smaller:
            smaller.setattr(engine, "MOST_STEPS", 4)
            smaller.setattr(engine, "SAMPLES", 2)
            require_same(expected, by_blocks.run(x, trace=["lif"]))


def test_fields_pass_by_where_that_is_fastest() -> None:
    """Of bytes, too, which are read as they are."""
    shapes = {name: looked_up(engine.Engine(network(name))).shape for name in SHAPES}
    assert [name for name, shape in shapes.items() if shape.passing] == [
        name for name in SHAPES if "pass by" in name
    ]
    assert [name for name, shape in shapes.items() if shape.whole_bytes] == [
        "fields that pass by, the bytes of rows"
    ]


def test_one_weight_is_caught() -> None:
    net = network("three channels")
    x = random_input(net, np.random.default_rng(0), 3)
    expected, weight = simulate(net, x, trace=["lif"]), net.nodes["conv"].weight.copy()  # type: ignore[attr-defined]
    weight[2, 1, 0, 2] *= -1
    other = replace(net, nodes={**net.nodes, "conv": replace(net.nodes["conv"], weight=weight)})  # type: ignore[type-var]
    got = engine.simulate(other, x, trace=["lif"])
    assert compare(expected.trace, got.trace).first is not None


@pytest.mark.parametrize("held", [False, True])
def test_sums_that_others_add_to_are_exact(held: bool) -> None:
    """One convolution begins the sums, another adds to them; neurons make none of them their own."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Any] = {
        "a": Conv2d(conv(rng, 9, 2, 3, 3), padding=(1, 1)),
        "b": Conv2d(conv(rng, 9, 2, 5, 1), padding=(2, 0)),
        "late": Delay(2),
        "lif": Neuron(np.full(9, 4), np.zeros(9, np.int32), LEAKY),
        "back": Conv2d(conv(rng, 9, 9, 1, 1)),
    }
    edges = (
        *((INPUT, "a"), (INPUT, "b"), ("b", "late"), ("a", "lif"), ("late", "lif")),
        *(("lif", "back"), ("back", "lif"), ("lif", OUTPUT)),
    )
    net = Network(nodes, edges, Input((2, 7, 9), "spikes"), 7)
    x = random_input(net, np.random.default_rng(0), 3, held=held)
    assert sum(isinstance(op, LookUp) for op in ops(net, held)) == 3
    expected = simulate(net, x, trace=["lif"])
    assert flows(net, expected)
    require_same(expected, engine.simulate(net, x, trace=["lif"]))


def test_tables_hold_what_sums_come_to() -> None:
    """Of one sign each: 127 of 1 fit an int8 at once, 128 in two parts; one row may need int16."""

    def chosen(weight: int, last: int = 0) -> Any:
        window = np.full((2, 1, 16, 8), weight)
        window[:, 0, -1, -1] = last
        window[1] *= -1
        way = cut(Window(window, (1, 1), (0, 0), (1, 1), 1), Buffer("x", (1, 20, 20), np.uint64))
        assert way is not None
        return way.dtype, way.chunk == way.rows

    assert chosen(1) == (np.int8, True)
    assert chosen(1, 1) == (np.int8, False)
    assert chosen(2, 2) == (np.int8, False)
    assert chosen(127) == (np.int16, True)
    over = Window(np.full((1, 259, 1, 1), 127), (1, 1), (0, 0), (1, 1), 1)
    assert cut(over, Buffer("x", (259, 1, 1), np.uint64)) is None
