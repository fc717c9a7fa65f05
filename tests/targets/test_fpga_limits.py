"""Refusals of the fpga target, by name: what it has no circuit or no number for, nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard_networks import flows
from strategies import Builder, random_input, small_network
from verilog import replay, write

from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import compare, simulate
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.runner import FpgaRunner
from lehr.targets.verilog import missing

MISSING = missing("iverilog")
simulated = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def neurons(channels: int) -> Neuron:
    return Neuron(
        np.full(channels, 3, np.int32), np.zeros(channels, np.int32), Arithmetic(state_bits=8)
    )


def fan(channels: int, *behind: tuple[str, Any]) -> Network:
    """One input, `channels` neurons, and a chain of nodes behind them."""
    nodes = {
        "fan": Linear(np.ones((channels, 1), np.int8)),
        "many": neurons(channels),
        **dict(behind),
    }
    chain = [INPUT, *nodes, OUTPUT]
    return Network(nodes, tuple(pairwise(chain)), Input((1,), "spikes"), 2)


def test_more_classes_than_a_status_can_name_are_refused() -> None:
    (problem,) = Fpga().check(fan(70_000))
    assert (
        str(problem) == "many: it has 70,000 classes, the engine numbers 65,536; use fewer classes"
    )


@pytest.mark.slow
def test_a_hidden_layer_may_have_more_channels_than_a_status_can_name_classes() -> None:
    net = fan(65_537, ("back", Linear(np.ones((2, 65_537), np.int8))), ("out", neurons(2)))
    assert Fpga().check(net) == ()
    assert b"best = {15'd0, prediction[0:0]};" in Fpga().plan(net, {}).files["lehr_top.v"]


def test_ways_that_double_at_every_node_are_refused_at_once() -> None:
    nodes: dict[str, Any] = {"out": neurons(2)}
    edges, here = [("out", OUTPUT)], INPUT
    for stage in range(12):
        left, right, joined = f"left{stage}", f"right{stage}", f"joined{stage}"
        nodes |= {name: Flatten() for name in (left, right, joined)}
        edges += [(here, left), (here, right), (left, joined), (right, joined)]
        here = joined
    (problem,) = Fpga().check(Network(nodes, (*edges, (here, "out")), Input((2,), "spikes"), 2))
    assert str(problem) == (
        "out: spikes come to it on more than 256 ways, each of which the engine scans on its own; "
        "merge nodes that stand side by side"
    )


def test_a_serial_line_has_some_clocks_a_bit() -> None:
    net, _ = small_network()
    with pytest.raises(UsageError) as refused:
        Fpga().plan(net, {"front": "uart", "clock": "3"})
    assert (
        str(refused.value) == "clock is '3', and a bit of front=uart takes 4 clocks; use 4 or more"
    )


def require_exact(net: Network, folder: Path, **options: str) -> None:
    x = random_input(net, np.random.default_rng(4), samples=2)
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    write(folder, net, x, lanes="4", **options)
    compare(result.trace, FpgaRunner("iverilog").run(folder, x)).require_equal("fpga")


@pytest.mark.few(1)
@simulated
@pytest.mark.parametrize("engines", ["shared", "layers"])
def test_a_place_may_have_more_channels_than_a_word_has_spikes(
    engines: str, tmp_path: Path
) -> None:
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=16)
    builder = Builder(Input((40,), "spikes"), np.random.default_rng(3))
    for name, size in (("hidden", 33), ("out", 3)):
        builder.linear(f"fc_{name}", size)
        builder.neuron(name, arithmetic)
    require_exact(builder.network(4), tmp_path / "out", engines=engines)


# -------------------------------------------------------------------- weights behind weights
@simulated
@pytest.mark.parametrize("engines", ["shared", "layers"])
def test_linears_without_neurons_between_are_multiplied(engines: str, tmp_path: Path) -> None:
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=16)
    builder = Builder(Input((2, 3, 2), "u8"), np.random.default_rng(3))
    for name, size in (("a", 9), ("b", 7), ("c", 6)):
        builder.linear(name, size)
    builder.neuron("hidden", arithmetic)
    for name, size in (("d", 20), ("e", 3)):
        builder.linear(name, size)
    builder.neuron("out", arithmetic)
    require_exact(builder.network(6), tmp_path / "out", engines=engines)


def test_other_weights_behind_weights_are_refused() -> None:
    ones = {
        "first": Linear(np.ones((128, 4), np.int8)),
        "second": Linear(np.ones((2, 128), np.int8)),
        "out": neurons(2),
    }
    convs = {
        "first": Conv2d(np.ones((2, 1, 2, 2), np.int8)),
        "second": Conv2d(np.ones((2, 2, 2, 2), np.int8)),
        "out": neurons(2),
    }
    for nodes, shape, reason in (
        (ones, (4,), "multiplied with first, its weights reach 128, the engine's 127"),
        (
            convs,
            (1, 5, 5),
            "its weights follow those of first without a neuron between, the engine spreads "
            "spikes, not sums",
        ),
    ):
        net = Network(nodes, tuple(pairwise([INPUT, *nodes, OUTPUT])), Input(shape, "spikes"), 2)
        (problem,) = Fpga().check(net)
        assert str(problem) == f"second: {reason}; put neurons between them"


# -------------------------------------------------------------------- an inference behind another
@simulated
def test_an_input_that_changes_may_come_while_the_map_of_a_held_one_is_swept(
    tmp_path: Path,
) -> None:
    """The map is large, and the inference over before it is swept."""
    nodes = {
        "pool": SumPool2d((16, 16), (16, 16)),
        "out": Neuron(np.array([33_000], np.int32), np.array([0], np.int32), Arithmetic()),
    }
    net = Network(nodes, tuple(pairwise([INPUT, *nodes, OUTPUT])), Input((1, 16, 16), "u8"), 2)
    x = np.random.default_rng(1).integers(0, 256, (4, 2, 1, 16, 16), np.uint8)
    x[::2, 1] = x[::2, 0]
    x[1::2, 1, :, ::2] = 0
    assert flows(net, simulate(net, x, trace=net.neurons))
    status, lines = replay(write(tmp_path / "out", net, x))
    assert (status, lines[-1]) == (0, "PASS"), lines


@pytest.mark.slow
@simulated
def test_held_spikes_are_swept_while_layers_write_theirs_and_the_first_of_equal_classes_wins(
    tmp_path: Path,
) -> None:
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=16)
    builder = Builder(Input((1, 8, 8), "spikes"), np.random.default_rng(3))
    builder.conv("conv", 4)
    builder.neuron("lif", arithmetic)
    builder.linear("fc", 3)
    builder.neuron("out", arithmetic)
    net = builder.network(6)
    row, out = net.weighted["fc"].weight[:1], net.neurons["out"]
    alike = Neuron(np.repeat(out.threshold[:1], 3), np.repeat(out.bias[:1], 3), arithmetic)
    net = replace(net, nodes={**net.nodes, "fc": Linear(np.repeat(row, 3, axis=0)), "out": alike})
    x = random_input(net, np.random.default_rng(4), samples=3, held=True)
    assert flows(net, simulate(net, x, trace=net.neurons))
    status, lines = replay(write(tmp_path / "out", net, x, lanes="4"))
    assert (status, lines[-1]) == (0, "PASS"), lines
