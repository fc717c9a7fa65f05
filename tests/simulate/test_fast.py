"""The fast engine against the definition, on random and on hard networks.

Every spike, membrane, saturation, count and score is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import given
from hypothesis import strategies as st
from results import require_same
from states import grown_networks
from strategies import (
    Builder,
    Images,
    alive,
    arithmetics,
    inputs,
    networks,
    random_input,
    small_network,
)

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.network import Conv2d, Delay, Input, Network, Neuron, SumPool2d
from lehr.simulate import Result, compare, simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.plans.plan import plan
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.simulate.statistics import operations
from lehr.weights import WeightKind


def require_equal(net: Network, x: Images, cuts: Sequence[int] = (), **options: Any) -> Result:
    """Run both engines, compare everything that they return, and return it.

    With `cuts`, the fast engine also runs as a stream that comes in chunks.
    """
    expected, got = (
        simulate(net, x, trace=net.neurons),
        engine.simulate(net, x, trace=net.neurons, **options),
    )
    require_same(expected, got)
    if cuts:
        running = Stream(net, len(x), net.neurons)
        require_same(
            expected, continued(net, [running.feed(part) for part in np.split(x, cuts, axis=1)])
        )
    return got


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even small networks run in several chunks of samples and blocks of steps."""
    monkeypatch.setattr(engine, "SAMPLES", 2)
    monkeypatch.setattr(engine, "LEAST_STEPS", 1)
    monkeypatch.setattr(engine, "MOST_STEPS", 3)


@pytest.mark.few(1)
# -------------------------------------------------------------------- hard networks
@pytest.mark.parametrize("name", HARD)
def test_hard_networks_are_exact(name: str) -> None:
    net, x = HARD[name]()
    assert flows(net, require_equal(net, x))


@pytest.mark.few(1)
@pytest.mark.parametrize("name", HARD)
@pytest.mark.usefixtures("small_blocks")
def test_hard_networks_are_exact_in_several_chunks_and_threads(name: str) -> None:
    net, x = HARD[name]()
    require_equal(net, x, threads=2)


@pytest.mark.slow
def test_a_network_deeper_than_python_s_stack_is_exact() -> None:
    """1,200 convolutions that turn the sign, before one layer of neurons."""
    turn = Conv2d(np.array([[[[-1]], [[0]]], [[[0]], [[-1]]]], np.int8), kind="ternary")
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=24)
    nodes = {
        **{f"c{i}": turn for i in range(1200)},
        "lif": Neuron(np.array([700, 900]), np.array([1, -1]), arithmetic),
    }
    net = Network(nodes, tuple(pairwise(("input", *nodes, "output"))), Input((2, 2, 2), "u8"), 4)
    x = random_input(net, np.random.default_rng(1))
    assert alive(require_equal(net, x))
    totals = operations(net, engine.simulate(net, x))
    assert set(totals) == {f"c{i}" for i in range(1200)}
    assert totals["c0"].events == np.count_nonzero(x)


# -------------------------------------------------------------------- random networks
@budget(20, 133)
@given(data=st.data(), net=networks())
def test_random_networks_are_exact(data: st.DataObject, net: Network) -> None:
    require_equal(net, data.draw(inputs(net)))


@budget(2, 66)
@given(data=st.data(), net=networks(update="event", state_bits=16))
def test_random_networks_that_update_by_event_are_exact(data: st.DataObject, net: Network) -> None:
    require_equal(net, data.draw(inputs(net)))


@budget(10, 66)
@given(data=st.data(), net=grown_networks())
def test_random_networks_with_two_states_are_exact(data: st.DataObject, net: Network) -> None:
    require_equal(net, data.draw(inputs(net)))


@budget(0, 666)
@given(
    data=st.data(),
    net=networks() | networks(update="event", state_bits=16) | grown_networks(),
    threads=st.integers(1, 3),
)
@pytest.mark.usefixtures("small_blocks")
def test_thousands_of_random_networks_are_exact_in_threads_and_in_chunks(
    data: st.DataObject, net: Network, threads: int
) -> None:
    x = data.draw(inputs(net))
    timed = x.ndim == len(net.input.shape) + 2
    cuts = data.draw(st.sets(st.integers(1, x.shape[1] - 1), max_size=2)) if timed else set()
    require_equal(net, x, sorted(cuts), threads=threads)


# -------------------------------------------------------------------- networks as large as the
# kernels are made for
@st.composite
def broad_networks(draw: st.DrawFn) -> tuple[Network, Images]:
    """Draw convolutions and linear layers as broad as kernels of their own need, of odd sizes."""
    kinds: tuple[WeightKind, ...] = draw(
        st.sampled_from((("binary",), ("ternary",), ("int4",), ("int8",)))
    )
    arithmetic = draw(arithmetics(state_bits=draw(st.sampled_from((10, 16, 20, 32)))))
    spatial = draw(st.booleans())
    shape = (
        (draw(st.integers(9, 17)), draw(st.integers(5, 8)), draw(st.integers(5, 8)))
        if spatial
        else (draw(st.integers(120, 300)),)
    )
    net = Builder(
        Input(shape, "spikes"), np.random.default_rng(draw(st.integers(0, 2**32 - 1))), kinds
    )
    if spatial:
        size, pad = (
            (draw(st.integers(3, 5)), draw(st.integers(3, 5))),
            (draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        )
        net.conv(
            "conv",
            draw(st.sampled_from((7, 16, 24, 32, 45, 64, 70))),
            size,
            padding=pad,
            stride=(1, draw(st.integers(1, 2))),
        )
        if draw(st.booleans()) and min(net.shape[1:]) >= 2:
            net.add("pool", SumPool2d((2, 2), (draw(st.integers(1, 2)), 2)))
        net.neuron("lif1", arithmetic)
    net.linear("fc1", draw(st.sampled_from((40, 64, 130, 300, 512))))
    net.neuron("lif2", arithmetic)
    net.linear("fc2", draw(st.integers(3, 40)))
    net.neuron("out", arithmetic)
    network = net.network(draw(st.integers(2, 5)))
    return network, random_input(network, np.random.default_rng(0), 2, held=draw(st.booleans()))


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["binary", "int4"])
@pytest.mark.usefixtures("small_blocks")
def test_a_broad_network_is_exact(kind: WeightKind) -> None:
    """Spikes are gathered and looked up, columns and matches are counted.

    The second tier has other sizes.
    """
    net = Builder(Input((13, 7, 6), "spikes"), np.random.default_rng(9), (kind,))
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16)
    net.conv("conv1", 24, (3, 5), padding=(1, 2))
    net.add("pool", SumPool2d((2, 2), (1, 2)))
    net.neuron("lif1", arithmetic)
    net.conv("conv2", 45, (3, 3), padding=(0, 1))
    net.neuron("lif2", arithmetic)
    net.linear("fc1", 300)
    net.neuron("lif3", arithmetic)
    net.linear("fc2", 11)
    net.neuron("out", arithmetic)
    network = net.network(4)
    assert flows(
        network, require_equal(network, random_input(network, np.random.default_rng(0), 3))
    )


@pytest.mark.usefixtures("small_blocks")
def test_columns_are_counted_for_delays_and_for_layers_that_hear_themselves() -> None:
    """300 outputs are no multiple of those counted together, wherever sums and spikes go."""
    net, arithmetic = (
        Builder(Input((40,), "spikes"), np.random.default_rng(1)),
        Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16),
    )
    net.linear("fc", 300)
    net.add("slow_current", Delay(1))
    net.neuron("hidden", arithmetic)
    net.feedback("back", "hidden", "hidden")
    net.add("slow_spikes", Delay(2))
    net.linear("fc_out", 4)
    net.neuron("out", arithmetic)
    network = net.network(8)
    assert flows(
        network, require_equal(network, random_input(network, np.random.default_rng(0), 3))
    )


@budget(0, 83)
@given(broad_networks())
@pytest.mark.usefixtures("small_blocks")
def test_hundreds_of_broad_networks_are_exact(case: tuple[Network, Images]) -> None:
    require_equal(*case, threads=2)


# -------------------------------------------------------------------- what a comparison must catch
@pytest.mark.parametrize("field", ["threshold", "bias"])
def test_one_unit_is_caught(field: str) -> None:
    net, x = small_network()
    changed = replace(net.neurons["lif2"], **{field: getattr(net.neurons["lif2"], field) + 1})
    expected = simulate(net, x, trace=net.neurons)
    assert alive(expected)
    got = engine.simulate(replace(net, nodes={**net.nodes, "lif2": changed}), x, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is not None


def test_more_spikes_than_32_bits_count_are_counted() -> None:
    net, x = small_network()
    machine, many = (
        engine.Machine(plan(net, held=True, steps=net.steps), len(x), net.steps, ()),
        2**31 - 1,
    )
    machine.begin(len(x))
    machine.worker.totals["lif1"][:, 0] = many
    for _ in machine.run(x[:, None], net.steps, apart=False):
        pass
    wanted = simulate(net, x).layers["lif1"].spikes
    assert wanted.any()
    assert np.array_equal(machine.totals("lif1")[0], wanted + many)


def test_more_steps_than_the_networks_own_are_exact() -> None:
    net, x = small_network(
        Arithmetic(reset="none", state_bits=12)
    )  # without leak or reset, so that membranes grow to their rails
    assert sum(require_equal(net, np.repeat(x[:, None], 40, axis=1)).saturations.values()) > 0


# -------------------------------------------------------------------- refusals are the reference's
# own
def test_inputs_and_traces_are_refused_as_the_reference_refuses_them() -> None:
    net, x = small_network()
    with pytest.raises(FileRefused, match="reshape it"):
        engine.simulate(net, x[:, :, 1:])
    with pytest.raises(UsageError, match="no neuron layer"):
        engine.simulate(net, x, trace=["conv1"])
    with pytest.raises(UsageError, match="^0 threads were asked for; ask for at least 1$"):
        engine.simulate(net, x, threads=0)


@pytest.mark.slow
def test_a_neuron_that_fires_too_often_is_refused() -> None:
    net, _ = HARD["small by event"]()
    low = replace(
        net.neurons["lif1"], threshold=np.ones(4, np.int32), bias=np.full(4, 255, np.int32)
    )
    bright = replace(net, nodes={**net.nodes, "lif1": low}, input=Input(net.input.shape, "u8"))
    with pytest.raises(
        NotMappable,
        match=r"^lif1: a neuron fired \d+ times in one step, more than 255; raise its threshold$",
    ):
        engine.simulate(bright, np.full((1, *net.input.shape), 255, np.uint8))
