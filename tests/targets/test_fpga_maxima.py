"""MaxPool2d in the Verilog: every spike and membrane is that of the network, or it is refused."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from budgets import budget
from hard_networks import flows
from hypothesis import assume, given
from hypothesis import strategies as st
from max_networks import ARITHMETIC, MAXIMA, TWO, maxima_of_maxima
from strategies import Builder, inputs, random_input
from verilog import SWITCHES, chains, replay, write

from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Flatten, MaxPool2d, Node, Scale
from lehr.simulate import compare, simulate
from lehr.targets.conformance.mutations import weights
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.runner import FpgaRunner, Simulator
from lehr.targets.verilog import command, missing
from lehr.weights import WeightKind

MISSING = missing("iverilog")
simulated = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@simulated
@pytest.mark.few(3)
@pytest.mark.parametrize("engines", ["shared", "layers"])
@pytest.mark.parametrize("name", MAXIMA)
def test_equals_the_network_and_one_weight_is_noticed(
    name: str, engines: str, tmp_path: Path
) -> None:
    net, x = MAXIMA[name]()
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected), expected.rates
    runner = FpgaRunner("iverilog")
    folder = write(tmp_path / "out", net, x, lanes="2", engines=engines)
    compare(expected.trace, runner.run(folder, x)).require_equal("fpga")
    changed = next(
        other
        for other in weights(net)
        if not compare(expected.trace, simulate(other, x, trace=net.neurons).trace).equal
        and not Fpga().check(other)
    )
    got = runner.run(write(tmp_path / "other", changed, x, lanes="4", engines=engines), x)
    assert not compare(expected.trace, got).equal
    compare(simulate(changed, x, trace=net.neurons).trace, got).require_equal("fpga")


def windows() -> st.SearchStrategy[MaxPool2d]:
    """Draw windows of maxima, some of which overhang the map."""
    size = st.tuples(*(st.integers(1, 3),) * 2)
    step = st.tuples(*(st.integers(1, 2),) * 2)
    return st.builds(
        lambda kernel, stride, padded, ceil_mode: MaxPool2d(
            kernel, stride, (kernel[0] // 2 * padded, kernel[1] // 2 * padded), ceil_mode=ceil_mode
        ),
        size,
        step,
        st.booleans(),
        st.booleans(),
    )


@st.composite
def networks_before_neurons(draw: st.DrawFn) -> Network:
    """Draw one or two convolutions with maxima between them and their neurons, which fire."""
    seed, channels = draw(st.integers(0, 2**16)), st.integers(1, 4)
    kinds: tuple[WeightKind, ...] = ("binary", "ternary", "int4")
    kind = draw(st.sampled_from(kinds))
    entry = Input((draw(channels), 8, 8), draw(st.sampled_from(("spikes", "u8"))))
    net = Builder(entry, np.random.default_rng(seed), (kind,))
    for number in range(draw(st.integers(1, 2))):
        side = draw(st.integers(1, 3))
        net.conv(f"conv{number}", draw(channels), (side, side), padding=(side // 2, side // 2))
        for inner in range(draw(st.integers(1, 2))):
            net.add(f"max{number}_{inner}", draw(windows()))
        net.neuron(f"lif{number}", ARITHMETIC)
    net.linear("fc", 4)
    net.neuron("out", ARITHMETIC)
    return net.network(5, seed)


@simulated
@budget(1, 15)
@given(data=st.data())
def test_random_networks(data: st.DataObject) -> None:
    net = data.draw(networks_before_neurons())
    assert not Fpga().check(net)
    x = data.draw(inputs(net))[:2]
    expected = simulate(net, x, trace=net.neurons)
    assume(flows(net, expected))
    options = {"lanes": str(data.draw(st.sampled_from((1, 2, 4, 8))))}
    if chains(net) and data.draw(st.booleans()):
        options["engines"] = "layers"
    switches = tuple(data.draw(st.sampled_from(("", *SWITCHES))).split())
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(Path(scratch) / "out", net, x, **options)
        got = FpgaRunner("iverilog", switches).run(folder, x)
    compare(expected.trace, got).require_equal("fpga")


@pytest.mark.slow
def test_verilator_computes_the_same(tmp_path: Path) -> None:
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    simulator: Simulator = "verilator"
    net, x = maxima_of_maxima()
    got = FpgaRunner(simulator).run(write(tmp_path / "out", net, x), x)
    compare(simulate(net, x, trace=net.neurons).trace, got).require_equal("fpga")


@pytest.mark.slow
@pytest.mark.parametrize("name", MAXIMA)
def test_verilator_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    folder = write(tmp_path / "out", *MAXIMA[name]())
    lint = ["make", "-s", "lint", f"VERILATOR={command('verilator')}"]
    done = subprocess.run(lint, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@simulated
def test_the_estimate_counts_the_clocks_of_every_place_of_a_window(tmp_path: Path) -> None:
    """A word of one channel costs a clock whether it has an event or not, so no rate matters."""
    clocks = {}
    for size in (1, 2):
        net = Builder(Input((1, 10, 10), "spikes"), np.random.default_rng(2), ("binary",))
        net.conv("conv", 4, (3, 3))
        net.add("max", MaxPool2d((size, size), (2, 2)))
        net.neuron("lif", ARITHMETIC)
        made = net.network(4, 1)
        assert made.shapes["lif"] == (4, 4, 4)
        x = random_input(made, np.random.default_rng(1), 1, held=False)
        folder = write(tmp_path / str(size), made, x, lanes="4")
        assert replay(folder, "+events", "+frames", "+phases=phases.txt")[0] == 0
        _, *of_layers, _ = map(int, (folder / "phases.txt").read_text().split())
        rates = simulate(made, x).rates
        figures = {f.name: f.value for f in Fpga().estimate(made, rates, {"lanes": "4"}).figures}
        clocks[size] = figures["clocks of lif"]
        assert abs(sum(of_layers) / made.steps - clocks[size]) <= 3  # neurons wait for their turn
    assert clocks[2] - clocks[1] == 16 * 3 * (9 + 1)


def chain(
    *nodes: tuple[str, Node], shape: tuple[int, ...] = (2, 6, 6), channels: int = 2
) -> Network:
    """Return a network of these nodes, one behind the other, between its input and its neurons."""
    neurons = Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), ARITHMETIC)
    path = (INPUT, *dict(nodes), "lif", OUTPUT)
    return Network(
        {**dict(nodes), "lif": neurons}, tuple(pairwise(path)), Input(shape, "spikes"), 2
    )


CONV = ("conv", Conv2d(np.ones((2, 2, 2, 2), np.int8)))


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (
            [("max", TWO), CONV],
            "conv: it weighs the maxima of max, the engine adds maxima to what neurons hear, and "
            "keeps none; put neurons between them",
        ),
        (
            [CONV, ("max", TWO), ("flat", Flatten()), ("fc", Linear(np.ones((2, 8), np.int8)))],
            "fc: its weights follow those of conv without a neuron between, the engine spreads "
            "spikes, not sums; put neurons between them",
        ),
        (
            [CONV, ("max", TWO), ("pool", SumPool2d((2, 2), (1, 1)))],
            "pool: it adds up the maxima of max, the engine adds maxima to what neurons hear, and "
            "keeps none; put neurons between them",
        ),
        (
            [CONV, ("max", TWO), ("turned", Scale(np.array([1, -1], np.int32).reshape(2, 1, 1)))],
            "turned: it turns the sign of the maxima of max, the engine adds maxima to what neurons "
            "hear, and keeps none; put neurons between them",
        ),
        (
            [("max", MaxPool2d((2, 2), (2, 2), (1, 1))), ("flat", Flatten())],
            "flat: it flattens maxima of max, and some windows reach beyond the map; flatten after "
            "the neurons",
        ),
        (
            [("max", MaxPool2d((17, 17), (1, 1), (8, 8)))],
            "lif: spikes come to it on more than 256 ways, each of which the engine scans on its "
            "own; use smaller windows of maxima, or merge nodes that stand side by side",
        ),
    ],
)
def test_what_would_need_maxima_as_values_is_refused(
    nodes: list[tuple[str, Node]], sentence: str
) -> None:
    channels = 32 if nodes[-1][0] == "flat" else 2
    net = chain(*nodes, shape=(2, 17, 17) if "256" in sentence else (2, 6, 6), channels=channels)
    assert [str(problem) for problem in Fpga().check(net)] == [sentence]


def test_maxima_of_sums_with_maxima_are_refused() -> None:
    net = chain(CONV, ("inner", MaxPool2d((1, 1), (1, 1))), ("outer", TWO))
    beside = Conv2d(np.ones((2, 2, 2, 2), np.int8))
    net = replace(
        net,
        nodes={**net.nodes, "beside": beside},
        edges=(*net.edges, (INPUT, "beside"), ("beside", "outer")),
    )
    (problem,) = Fpga().check(net)
    assert str(problem) == (
        "outer: it takes maxima of the sums of inner and beside, the engine has one maximum of a "
        "sum of spikes; put neurons between them"
    )


def test_maxima_take_no_memory_but_that_of_the_tables() -> None:
    """Weights lie there once, of one bit where they are binary; windows inside need no table."""

    def bits(node: Node) -> dict[str, float]:
        net = chain(CONV, ("max", node))
        figures = Fpga().estimate(net, {"lif": 0.5}, {"lanes": "2"}).figures
        return {f.name: f.value for f in figures if f.name.startswith("memory of ")}

    whole, one = bits(MaxPool2d((2, 2), (3, 3))), bits(MaxPool2d((1, 1), (3, 3)))
    tables = {name for name, size in whole.items() if size != one[name]}
    assert tables == {"memory of rows", "memory of columns"}
    assert whole["memory of weights0"] == 2 * 2 * 4 + 2  # of one bit, and a first word of nothing
