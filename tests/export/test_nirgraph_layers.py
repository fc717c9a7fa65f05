"""Layers of a float graph as integers, one kind after another.

Each graph is run as it is and as integers, and not one spike differs.
"""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import pytest
from nir_graphs import DT, chain, graph, lif
from nir_layers import STEP, integrate, same, spikes, whole

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.export.effect import measure
from lehr.export.levels import within_kind
from lehr.export.nirgraph import Semantics, from_nir, quantize, run
from lehr.network import Input, Network
from lehr.nirnodes import DT as DT_OF_OURS
from lehr.nodes import Conv2d, Delay, Linear, Neuron, SumPool2d
from lehr.simulate import simulate


def test_a_conv1d_becomes_a_conv2d_of_height_1_and_its_layer_a_map() -> None:
    rng = np.random.default_rng(0)
    conv = nir.Conv1d(9, whole(rng, 4, 2, 3), 2, "valid", 1, 2, np.zeros(4))
    conv.weight = conv.weight[:, :1]
    nir_graph = chain(
        {
            "c": conv,
            "n": integrate(4, 4),
            "f": nir.Flatten({"input": np.array([4, 4])}, 0, -1),
            "l": nir.Linear(whole(rng, 3, 16)),
            "m": integrate(3),
        },
        (2, 9),
        (3,),
    )
    quantized = same(nir_graph, spikes(rng, 2, 1, 9))
    node = quantized.network.nodes["c"]
    assert isinstance(node, Conv2d)
    assert (node.weight.shape, node.stride, node.groups) == ((4, 1, 1, 3), (1, 2), 2)
    assert quantized.network.input.shape == (2, 1, 9)
    assert "the input is [2, 9], and [2, 1, 9] in the network: a map of height 1" in quantized.notes


def test_padding_same_and_bias_and_an_average() -> None:
    rng = np.random.default_rng(1)
    conv = nir.Conv2d((6, 6), whole(rng, 3, 2, 3, 3), 1, "same", 1, 1, np.array([1.0, -1, 0]))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    quantized = same(
        chain({"c": conv, "p": pool, "n": integrate(3, 3, 3)}, (2, 6, 6), (3, 3, 3)),
        spikes(rng, 2, 6, 6),
    )
    node = quantized.network.nodes["c"]
    assert isinstance(node, Conv2d)
    assert node.padding == (1, 1)
    assert isinstance(quantized.network.nodes["p"], SumPool2d)
    assert (
        quantized.network.neurons["n"].threshold.tolist()
        == [8 << quantized.network.neurons["n"].fields.fraction_bits] * 3
    )
    assert set(quantized.network.nodes) == {"c", "p", "n"}


def test_an_average_of_spikes_goes_into_the_weights_after_flatten() -> None:
    rng = np.random.default_rng(2)
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([2, 3, 3])}, 1, -1)
    nir_graph = chain(
        {"p": pool, "f": flat, "l": nir.Linear(whole(rng, 3, 18)), "m": integrate(3)},
        (2, 6, 6),
        (3,),
    )
    quantized = same(nir_graph, spikes(rng, 2, 6, 6))
    assert set(quantized.network.nodes) == {"p", "f", "l", "m"}
    assert (
        "f: start_dim is 1: read as counting the batch's axis, as torch does, so that all axes are "
        "flattened" in quantized.notes
    )


@pytest.mark.parametrize("scale", [[1.0, 2.0, 0.5], [-1.0, 2.0, 0.5]])
def test_a_scale_goes_into_the_neurons_or_the_weights_or_becomes_weights(
    scale: list[float],
) -> None:
    rng = np.random.default_rng(3)
    nodes = {"l": nir.Linear(whole(rng, 3, 4)), "s": nir.Scale(np.array(scale)), "n": integrate(3)}
    quantized = same(chain(nodes, (4,), (3,)), spikes(rng, 4))
    assert set(quantized.network.nodes) == {"l", "n"}
    before = same(
        chain(
            {"s": nir.Scale(np.array(scale)), "l": nir.Linear(whole(rng, 2, 3)), "n": integrate(2)},
            (3,),
            (2,),
        ),
        spikes(rng, 3),
    )
    assert set(before.network.nodes) == {"l", "n"}
    alone = (
        same(
            chain({"s": nir.Scale(np.array(scale)), "n": integrate(3, threshold=1.0)}, (3,), (3,)),
            spikes(rng, 3),
        )
        if min(scale) > 0
        else None
    )
    assert alone is None or set(alone.network.nodes) == {"n"}


def test_spikes_that_are_added_to_currents_get_weights_of_one() -> None:
    rng = np.random.default_rng(4)
    nodes = {
        "a": integrate(3, threshold=1.0),
        "l": nir.Linear(2 * whole(rng, 3, 3)),
        "s": nir.Scale(np.array([-1.0, 2, 4])),
        "n": integrate(3),
    }
    edges = [
        ("input", "a"),
        ("a", "l"),
        ("l", "n"),
        ("a", "s"),
        ("s", "n"),
        ("a", "n"),
        ("n", "output"),
    ]
    quantized = same(graph(nodes, edges, (3,), (3,)), spikes(rng, 3))
    added = quantized.network.nodes["a.to.n"]
    assert isinstance(added, Linear)
    assert np.count_nonzero(added.weight) == 3


def test_weights_after_weights_with_their_biases() -> None:
    rng = np.random.default_rng(5)
    nodes = {
        "a": nir.Affine(whole(rng, 4, 3), np.array([1.0, 0, -1, 2])),
        "b": nir.Affine(whole(rng, 2, 4) / 2, np.array([0.5, 1])),
        "n": integrate(2),
    }
    quantized = same(chain(nodes, (3,), (2,)), spikes(rng, 3))
    assert quantized.exact


def test_a_delay_is_whole_steps_and_a_delay_of_none_goes() -> None:
    rng = np.random.default_rng(6)
    nodes = {
        "d": nir.Delay(np.full(3, 3 * DT)),
        "none": nir.Delay(np.zeros(3)),
        "l": nir.Linear(whole(rng, 2, 3)),
        "n": integrate(2),
    }
    quantized = same(chain(nodes, (3,), (2,)), spikes(rng, 3))
    assert quantized.network.nodes["d"] == Delay(3)
    assert "none" not in quantized.network.nodes
    nodes["d"] = nir.Delay(np.full(3, 3.2 * DT))
    assert (
        "d: delay rounded to 3 steps, by 0.2 of a step"
        in quantize(from_nir(chain(nodes, (3,), (2,))), spikes(rng, 3), STEP).notes
    )


@pytest.mark.parametrize("threshold", [1.0, 0.0, -1.0])
def test_a_threshold_node_fires_without_memory(threshold: float) -> None:
    rng = np.random.default_rng(7)
    nodes = {
        "l": nir.Linear(whole(rng, 3, 4)),
        "t": nir.Threshold(np.full(3, threshold)),
        "m": nir.Linear(whole(rng, 2, 3)),
        "n": integrate(2),
    }
    quantized = same(chain(nodes, (4,), (2,)), spikes(rng, 4))
    assert quantized.network.neurons["t"].fields.reset == "none"


@pytest.mark.parametrize("readout", ["last", "sum", "max"])
def test_integrators_and_currents_are_read_out(readout: Any) -> None:
    rng = np.random.default_rng(8)
    x, tau = spikes(rng, 4)[:, :6], np.full(3, 2 * DT)
    semantics = Semantics(dt=DT, integrate="step", readout=readout)
    for last in (
        nir.LI(tau, tau / DT, np.ones(3)),
        nir.I(np.ones(3)),
        nir.CubaLI(tau, tau, tau / DT, np.zeros(3), tau / DT),
        nir.Affine(whole(rng, 3, 3), np.ones(3)),
    ):
        quantized = same(
            chain({"l": nir.Linear(whole(rng, 3, 4)), "end": last}, (4,), (3,)), x, semantics
        )
        effect = measure(quantized, x)
        assert quantized.network.readout == f"membrane_{readout}_argmax_lowest"
        assert np.array_equal(effect.float_prediction, effect.prediction)
        assert len(np.unique(effect.prediction)) > 1 or readout != "last"


def test_membranes_that_take_the_current_of_the_step_before_get_a_delay() -> None:
    rng = np.random.default_rng(9)
    tau = np.full(3, 2 * DT)
    cuba = nir.CubaLIF(tau, tau, tau / DT, np.zeros(3), np.full(3, 2.0), w_in=tau / DT)
    nir_graph = chain({"l": nir.Linear(whole(rng, 3, 4)), "n": cuba}, (4,), (3,))
    x = spikes(rng, 4)[:, :6]
    quantized = same(nir_graph, x, Semantics(dt=DT, current="last"))
    assert quantized.network.nodes["n.last"] == Delay(1)
    new = run(quantized.graph, x, Semantics(dt=DT), 6).spikes["n"]
    last = run(quantized.graph, x, Semantics(dt=DT, current="last"), 6).spikes["n"]
    assert np.array_equal(last[:, 1:], new[:, :-1])
    assert new.any()


def test_v_reset_and_v_leak_are_folded() -> None:
    rng = np.random.default_rng(10)
    neurons = lif(3, tau=2 * DT, threshold=4.0, r=2.0, v_leak=1.0, v_reset=1.0)
    quantized = same(
        chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,)),
        spikes(rng, 4)[:, :6],
        Semantics(dt=DT),
    )
    assert quantized.network.neurons["n"].bias.tolist() == [0, 0, 0]
    assert quantized.layers["n"].threshold.tolist() == [3, 3, 3]


def test_exact_decays_are_exponentials() -> None:
    x = spikes(np.random.default_rng(11), 1)
    float_graph = from_nir(chain({"n": lif(1, tau=DT / np.log(2), threshold=0.7)}, (1,), (1,)))
    arithmetic = (
        quantize(float_graph, x, Semantics(dt=DT, discretize="exact")).network.neurons["n"].fields
    )
    assert (arithmetic.decay_numerator, arithmetic.decay_shift) == (1, 1)


def test_levels_within_a_kind() -> None:
    rng = np.random.default_rng(14)
    weight = rng.normal(size=(5, 40))
    for kind, largest in (("int8", 127), ("int3", 3), ("ternary", 1), ("binary", 1)):
        read = within_kind(weight, kind)  # type: ignore[arg-type]
        assert 0.9 * largest < np.abs(read.levels).max() <= largest
        assert (kind, bool((read.levels == 0).any())) in {
            ("int8", False),
            ("int3", True),
            ("ternary", True),
            ("binary", False),
        }
        assert np.linalg.norm(read.levels * read.step[:, None] - weight) < 0.7 * np.linalg.norm(
            weight
        )
    assert within_kind(np.array([[0.0, 2.0, -6.0]]), "int3").levels.tolist() == [[0, 1, -3]]
    assert within_kind(np.array([[0.0, 2.0, -7.0]]), "int3").moved > 0
    assert within_kind(np.array([[0.0, 1.0]]), "binary").levels.tolist() == [[1, 1]]


def test_a_file_of_ours_read_as_a_float_graph_is_the_same_network_where_nothing_leaks() -> None:
    rng = np.random.default_rng(15)
    arithmetic = Arithmetic(fraction_bits=2)
    layers = [Neuron(np.full(n, 9), np.zeros(n, np.int32), arithmetic) for n in (5, 3)]
    nodes = {
        "l": Linear(rng.choice([-1, 1], (5, 4))),
        "n": layers[0],
        "m": Linear(rng.choice([-1, 1], (3, 5))),
        "o": layers[1],
    }
    names = ["input", *nodes, "output"]
    net = Network(nodes, tuple(itertools.pairwise(names)), Input((4,), "spikes"), 30)
    x = (rng.random((6, 30, 4)) < 0.6).astype(np.uint8)
    float_graph = from_nir(nirfile.to_nir(net))
    quantized = quantize(
        float_graph,
        x,
        Semantics(dt=DT_OF_OURS, integrate="ode", reset="subtract", reset_timing="next_step"),
    )
    expected, got = (simulate(each, x, trace=["n", "o"]) for each in (net, quantized.network))
    assert all(0.05 < rate < 0.95 for rate in expected.rates.values())
    for name in ("n", "o"):
        assert np.array_equal(expected.trace.spikes[name], got.trace.spikes[name])
