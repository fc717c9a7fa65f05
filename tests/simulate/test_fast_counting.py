"""Linear layers that the fast engine computes by counting bits, against the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hard_networks import flows
from results import require_same
from strategies import Builder, Images, random_input

from lehr.arithmetic import Arithmetic
from lehr.network import Input, Network
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine, machine
from lehr.simulate.fast.kernels.layout import MANY_WORDS
from lehr.simulate.fast.plans.flows import CountMatches
from lehr.simulate.fast.plans.fusing import CountedNeurons
from lehr.simulate.fast.plans.ops import Op
from lehr.simulate.fast.stream import Stream
from lehr.simulate.parts import continued
from lehr.weights import WeightKind

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=24)
NEURONS = {
    "16 bits": USUAL,
    "32 bits": replace(USUAL, fraction_bits=9, rounding="nearest_even"),
    "saturating": replace(USUAL, state_bits=9, fraction_bits=3, rounding="floor", reset="zero"),
    "wrapping": replace(
        USUAL, state_bits=9, fraction_bits=3, overflow="wrap", reset_timing="same_step"
    ),
}


def operations(net: Network) -> list[Op]:
    """Return what a run on steps consists of."""
    return [
        op for stage in engine.Engine(net).plan_for(False, net.steps).stages for op in stage.ops
    ]


def with_extremes(net: Network) -> Images:
    """Return random inputs, with a step in which all of them spike, and one in which none does."""
    x = random_input(net, np.random.default_rng(0), 3, held=False)
    x[0, 1], x[1, 2] = 1, 0
    return x


@pytest.mark.parametrize("arithmetic", NEURONS)
@pytest.mark.parametrize("hidden", [256, 260, 1605])
def test_neurons_that_hear_counted_columns_alone(
    hidden: int, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No multiple of those counted together; more spikes in a step than are counted at once."""
    monkeypatch.setattr(engine, "SAMPLES", 2)
    net = Builder(Input((200,), "spikes"), np.random.default_rng(2))
    net.linear("fc1", hidden)
    net.neuron("hidden", NEURONS[arithmetic])
    net.linear("fc2", 7)
    net.neuron("out", USUAL)
    network = net.network(9)
    x = with_extremes(network)
    expected = simulate(network, x, trace=network.neurons)
    assert flows(network, expected)
    assert any(expected.saturations.values()) == (arithmetic in ("saturating", "wrapping"))
    assert [type(op) for op in operations(network)][:2] == [CountedNeurons, CountMatches]
    require_same(expected, engine.simulate(network, x, trace=network.neurons, threads=2))
    untraced = engine.simulate(network, x)
    assert all(
        replace(layer, spikes=0) == replace(untraced.layers[name], spikes=0)  # type: ignore[arg-type]
        and np.array_equal(layer.spikes, untraced.layers[name].spikes)
        for name, layer in expected.layers.items()
    )
    running = Stream(network, len(x), network.neurons)
    parts = [running.feed(part) for part in np.split(x, (1, 5), axis=1)]
    require_same(expected, continued(network, parts))
    last = network.neurons["hidden"]
    raised = replace(last, bias=last.bias + np.eye(hidden, dtype=np.int32)[-1])
    changed = replace(network, nodes={**network.nodes, "hidden": raised})
    got, wanted = (
        engine.simulate(changed, x, trace=["hidden"]),
        simulate(changed, x, trace=["hidden"]),
    )
    compare(wanted.trace, got.trace).require_equal("one bias is raised")
    assert not np.array_equal(expected.trace.membranes["hidden"], got.trace.membranes["hidden"])


@pytest.mark.parametrize("kind", ["binary", "ternary", "int4"])
@pytest.mark.parametrize("words", [1, 23, 24, 33, 123])
def test_matches_of_few_and_of_many_words(
    words: int, kind: WeightKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By adders, as they are counted without AVX-512, and by an instruction."""
    net = Builder(Input((64 * words - 3,), "spikes"), np.random.default_rng(words), (kind,))
    net.linear("fc", 7)
    net.neuron("out", USUAL)
    network = net.network(5)
    x = with_extremes(network)
    expected = simulate(network, x, trace=network.neurons)
    assert flows(network, expected)
    for counts_bits in (False, True):
        monkeypatch.setattr(machine, "counts_bits", lambda counts_bits=counts_bits: counts_bits)
        (first, *_) = operations(network)
        assert isinstance(first, CountMatches)
        assert first.adders == (words >= MANY_WORDS and not counts_bits)
        require_same(expected, engine.simulate(network, x, trace=network.neurons))
