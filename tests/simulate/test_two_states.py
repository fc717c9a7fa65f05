"""Neurons with a synapse state, leaky integrators and readouts of membranes.

They are computed by hand, and compared with snnTorch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from states import MEMBRANE_READOUTS, grown_networks, two_state_network
from strategies import inputs

from lehr.arithmetic import Arithmetic, ResetTiming, Synapse
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron, Readout
from lehr.simulate import Result, simulate

HALF = Arithmetic(decay_numerator=1, decay_shift=1)
FORGETS = Arithmetic(decay_numerator=0)  # its membrane is the synapse state of the step
SLOW = Synapse(decay_numerator=1, decay_shift=1)
NEVER: dict[str, Any] = {"fires": "never", "reset": "none"}


def over_time(
    neuron: Neuron, weight: list[int], *values: int, readout: Readout = "count_argmax_lowest"
) -> Result:
    """One input, one weight per neuron, one value a step."""
    edges = ((INPUT, "w"), ("w", "v"), ("v", OUTPUT))
    net = Network(
        {"w": Linear(np.array([[w] for w in weight]), "int8"), "v": neuron},
        edges,
        Input((1,), "u8"),
        4,
        readout,
    )
    return simulate(net, np.array(values, np.uint8).reshape(1, -1, 1), trace=["v"])


BY_HAND: dict[str, tuple[Arithmetic, Synapse, int, int, int, list[int], list[int], list[int]]] = {
    # name: membrane, synapse, weight, threshold, bias, inputs, membranes, spikes
    "both leak, the membrane takes the new current": (
        HALF,
        SLOW,
        1,
        99,
        0,
        [4, 0, 0, 0],
        [4, 4, 3, 1],
        [0, 0, 0, 0],
    ),
    "bias to the membrane": (HALF, SLOW, 1, 99, 3, [0, 0, 0, 0], [3, 4, 5, 5], [0, 0, 0, 0]),
    "bias to the synapse": (
        HALF,
        replace(SLOW, bias_to="synapse"),
        1,
        99,
        3,
        [0, 0, 0, 0],
        [3, 5, 7, 8],
        [0, 0, 0, 0],
    ),
    "subtract leaves the current alone": (
        HALF,
        SLOW,
        1,
        3,
        0,
        [4, 0, 0, 0],
        [4, 1, 1, 0],
        [1, 0, 0, 0],
    ),
    "zero leaves the current alone": (
        replace(HALF, reset="zero"),
        SLOW,
        1,
        3,
        0,
        [4, 0, 0, 0],
        [4, 2, 2, 1],
        [1, 0, 0, 0],
    ),
    "saturates": (
        FORGETS,
        replace(SLOW, state_bits=8),
        1,
        999,
        0,
        [100, 100, 0, 0],
        [100, 127, 63, 31],
        [0, 0, 0, 0],
    ),
    "wraps": (
        FORGETS,
        replace(SLOW, state_bits=8, overflow="wrap"),
        1,
        999,
        0,
        [100, 100, 0, 0],
        [100, -106, -53, -26],
        [0] * 4,
    ),
    "floor": (
        FORGETS,
        replace(SLOW, rounding="floor"),
        -1,
        99,
        0,
        [3, 0, 0, 0],
        [-3, -2, -1, -1],
        [0, 0, 0, 0],
    ),
    "nearest even": (
        FORGETS,
        replace(SLOW, rounding="nearest_even"),
        1,
        99,
        0,
        [3, 0, 0, 0],
        [3, 2, 1, 0],
        [0, 0, 0, 0],
    ),
    "shift": (
        FORGETS,
        replace(SLOW, decay_form="shift"),
        1,
        99,
        0,
        [5, 0, 0, 0],
        [5, 3, 2, 1],
        [0, 0, 0, 0],
    ),
    "fraction bits scale what the synapse takes": (
        replace(FORGETS, fraction_bits=2),
        SLOW,
        1,
        99,
        1,
        [1, 0, 0, 0],
        [5, 3, 2, 1],
        [0] * 4,
    ),
    "a synapse that forgets is none": (
        HALF,
        Synapse(),
        1,
        3,
        1,
        [2, 2, 2, 0],
        [3, 4, 2, 2],
        [0, 1, 0, 0],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_neuron_by_hand(name: str) -> None:
    arithmetic, synapse, weight, threshold, bias, values, membranes, spikes = BY_HAND[name]
    result = over_time(
        Neuron(np.array([threshold]), np.array([bias]), arithmetic, synapse), [weight], *values
    )
    assert result.trace.membranes["v"].ravel().tolist() == membranes
    assert result.trace.spikes["v"].ravel().tolist() == spikes
    assert result.saturations == {"v": int(name in ("saturates", "wraps"))}


@budget(10, 66)
@given(st.data())
def test_a_synapse_that_forgets_at_once_changes_nothing(data: st.DataObject) -> None:
    net = data.draw(grown_networks())
    leaks = {
        name: replace(neuron, synapse=None)
        for name, neuron in net.neurons.items()
        if neuron.fields.beta < 1
    }
    plain = replace(net, nodes={**net.nodes, **leaks})
    nothing = {name: replace(neuron, synapse=Synapse()) for name, neuron in leaks.items()}
    x = data.draw(inputs(net))
    expected, got = (
        simulate(n, x, trace=n.neurons)
        for n in (plain, replace(plain, nodes={**plain.nodes, **nothing}))
    )
    for name in net.neurons:
        assert np.array_equal(expected.trace.membranes[name], got.trace.membranes[name])
        assert np.array_equal(expected.trace.spikes[name], got.trace.spikes[name])


# -------------------------------------------------------------------- snnTorch
@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize(("alpha", "threshold"), [(1, 5), (2, 8), (3, 15)])
@pytest.mark.parametrize(
    ("reset", "delay"), [("subtract", True), ("subtract", False), ("none", True), ("zero", False)]
)
def test_equals_snntorch_where_nothing_rounds(
    reset: Any, delay: bool, alpha: int, threshold: int, bias: float
) -> None:
    """Decays by quarters over 8 steps need 15 binary places with the bias.

    16 fraction bits and float64 both hold them.

    No membrane reaches twice the threshold, where snnTorch's reset in the same step would carry
    over into the next one.
    """
    rng, steps = np.random.default_rng(3), 8
    weight, x = rng.choice([-1, 1], (5, 4)), rng.integers(0, 2, (40, steps, 4)).astype(np.uint8)
    weight[0] = 1
    timing: ResetTiming = "next_step" if delay else "same_step"
    arithmetic = Arithmetic(
        decay_numerator=3, decay_shift=2, reset=reset, reset_timing=timing, fraction_bits=16
    )
    synapse = Synapse(decay_numerator=alpha, decay_shift=2, bias_to="synapse")
    one = np.full(5, 1 << 16)
    neuron = Neuron(one * threshold, (one * bias).astype(np.int32), arithmetic, synapse)
    net = Network(
        {"w": Linear(weight), "v": neuron},
        ((INPUT, "w"), ("w", "v"), ("v", OUTPUT)),
        Input((4,), "spikes"),
        steps,
    )
    ours = simulate(net, x, trace=["v"])
    assert 0 < ours.rates["v"] < 1
    theirs = snntorch.Synaptic(
        alpha / 4, 0.75, threshold=float(threshold), reset_mechanism=reset, reset_delay=delay
    ).double()
    syn = mem = torch.zeros(len(x), 5, dtype=torch.float64)
    for t in range(steps):
        spk, syn, mem = theirs(torch.from_numpy(x[:, t] @ weight.T + bias), syn, mem)
        assert np.array_equal(spk.numpy(), ours.trace.spikes["v"][:, t])
        assert np.array_equal(mem.numpy() * 2**16, ours.trace.membranes["v"][:, t])


# -------------------------------------------------------------------- integrators and readouts
def test_an_integrator_never_fires() -> None:
    neuron = Neuron(np.zeros(1, np.int32), np.zeros(1, np.int32), replace(HALF, **NEVER))
    result = over_time(neuron, [1], 4, 4, 4, 4, readout="membrane_last_argmax_lowest")
    assert result.trace.membranes["v"].ravel().tolist() == [4, 6, 7, 7]
    assert (result.rates, result.counts.tolist(), result.scores.tolist()) == (
        {"v": 0.0},
        [[0]],
        [[7]],
    )


@pytest.mark.parametrize(
    ("readout", "scores", "prediction"),
    [
        ("membrane_last_argmax_lowest", [-5, -3, -3], 1),
        ("membrane_sum_argmax_lowest", [-11, -13, -13], 0),
        ("membrane_max_argmax_lowest", [-2, -3, -3], 0),
    ],
)
def test_readouts_of_membranes_by_hand(
    readout: Readout, scores: list[int], prediction: int
) -> None:
    """All membranes are below 0; of the two equal classes the lower one wins."""
    neuron = Neuron(np.zeros(3, np.int32), np.array([-1, -7, -7]), replace(FORGETS, **NEVER))
    result = over_time(neuron, [-1, 1, 1], 3, 1, 4, readout=readout)
    assert result.trace.membranes["v"][0].T.tolist() == [[-4, -2, -5], [-4, -6, -3], [-4, -6, -3]]
    assert (result.scores.tolist(), result.prediction.tolist()) == ([scores], [prediction])


@budget(10, 66)
@given(st.data())
def test_scores_are_what_the_readout_makes_of_the_trace(data: st.DataObject) -> None:
    net = data.draw(grown_networks())
    result = simulate(net, data.draw(inputs(net)), trace=[net.output])
    spikes, membranes = (
        a[net.output].astype(np.int64) for a in (result.trace.spikes, result.trace.membranes)
    )
    samples, steps = spikes.shape[:2]
    last, total, highest = membranes[:, -1], membranes.sum(axis=1), membranes.max(axis=1)
    wanted = dict(
        zip(("count", *MEMBRANE_READOUTS), (spikes.sum(axis=1), last, total, highest), strict=True)
    )
    scores = wanted["count" if net.readout.startswith("count") else net.readout].reshape(
        samples, -1
    )
    assert steps == result.trace.spikes[net.output].shape[1]
    assert np.array_equal(result.scores, scores)
    assert np.array_equal(result.prediction, scores.argmax(axis=1))


def test_every_field_of_a_synapse_makes_a_difference() -> None:
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=4, state_bits=20)
    net, x = two_state_network(arithmetic)
    usual = simulate(net, x, trace=net.neurons)
    changes: list[dict[str, Any]] = [
        {"decay_numerator": 2},
        {"decay_form": "shift"},
        {"rounding": "floor"},
        {"rounding": "nearest_even"},
        {"state_bits": 8},
        {"state_bits": 8, "overflow": "wrap"},
        {"bias_to": "synapse"},
    ]
    for fields in changes:
        nodes = {
            name: replace(layer, synapse=replace(layer.synapse, **fields))
            for name, layer in net.neurons.items()
            if layer.synapse
        }
        other = simulate(replace(net, nodes={**net.nodes, **nodes}), x, trace=net.neurons)
        assert any(
            (usual.trace.membranes[n] != other.trace.membranes[n]).any() for n in net.neurons
        ), fields
