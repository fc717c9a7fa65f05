"""What a float graph's layers become, one kind after another; each graph is run as it is and as integers, and not one spike differs."""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
from nir_graphs import DT, chain, cubalif, graph, lif

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.export.decays import own_decays
from lehr.export.effect import measure
from lehr.export.fold import Float
from lehr.export.levels import within_kind
from lehr.export.nirgraph import Options, Quantized, Semantics, from_nir, quantize, run
from lehr.network import Input, Network
from lehr.nirnodes import DT as DT_OF_OURS
from lehr.nodes import Conv2d, Delay, Linear, Neuron, SumPool2d
from lehr.simulate import simulate
from lehr.update_text import lines_of

STEP = Semantics(integrate="step", dt=DT)


def spikes(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.uint8]:
    return (rng.random((6, 12, *shape)) < 0.3).astype(np.uint8)


def integrate(*shape: int, threshold: float = 2.0) -> nir.IF:
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, threshold))


def same(told: nir.NIRGraph, x: npt.NDArray[np.uint8], how: Semantics = STEP, **options: Any) -> Quantized:
    """Quantize; require that not one spike and membrane differs, and that there are spikes and silences in every layer that fires."""
    made = quantize(from_nir(told), x, how, Options(**options))
    effect = measure(made, x)
    for name, layer in effect.layers.items():
        assert layer.spikes_differ == 0, name
        assert layer.membrane_error < 1e-9, name
        if not made.network.neurons[name].integrates:
            assert 0 < layer.rate < 1, name
    return made


def whole(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    made = rng.integers(-2, 4, shape).astype(np.float64)
    made.flat[0] = 1
    return made


def test_a_conv1d_becomes_a_conv2d_of_height_1_and_its_layer_a_map() -> None:
    rng = np.random.default_rng(0)
    conv = nir.Conv1d(9, whole(rng, 4, 2, 3), 2, "valid", 1, 2, np.zeros(4))
    conv.weight = conv.weight[:, :1]
    told = chain(
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
    made = same(told, spikes(rng, 2, 1, 9))
    node = made.network.nodes["c"]
    assert isinstance(node, Conv2d)
    assert (node.weight.shape, node.stride, node.groups) == ((4, 1, 1, 3), (1, 2), 2)
    assert made.network.input.shape == (2, 1, 9)
    assert "the input is [2, 9], and [2, 1, 9] in the network: a map of height 1" in made.notes


def test_padding_same_and_bias_and_an_average() -> None:
    rng = np.random.default_rng(1)
    conv = nir.Conv2d((6, 6), whole(rng, 3, 2, 3, 3), 1, "same", 1, 1, np.array([1.0, -1, 0]))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    made = same(chain({"c": conv, "p": pool, "n": integrate(3, 3, 3)}, (2, 6, 6), (3, 3, 3)), spikes(rng, 2, 6, 6))
    node = made.network.nodes["c"]
    assert isinstance(node, Conv2d)
    assert node.padding == (1, 1)
    assert isinstance(made.network.nodes["p"], SumPool2d)
    assert made.network.neurons["n"].threshold.tolist() == [8 << made.network.neurons["n"].fields.fraction_bits] * 3
    assert set(made.network.nodes) == {"c", "p", "n"}


def test_an_average_of_spikes_goes_into_the_weights_after_flatten() -> None:
    rng = np.random.default_rng(2)
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([2, 3, 3])}, 1, -1)
    told = chain({"p": pool, "f": flat, "l": nir.Linear(whole(rng, 3, 18)), "m": integrate(3)}, (2, 6, 6), (3,))
    made = same(told, spikes(rng, 2, 6, 6))
    assert set(made.network.nodes) == {"p", "f", "l", "m"}
    assert "f: start_dim is 1: read as counting the batch's axis, as torch does, so that all axes are flattened" in made.notes


@pytest.mark.parametrize("scale", [[1.0, 2.0, 0.5], [-1.0, 2.0, 0.5]])
def test_a_scale_goes_into_the_neurons_or_the_weights_or_becomes_weights(scale: list[float]) -> None:
    rng = np.random.default_rng(3)
    told = {"l": nir.Linear(whole(rng, 3, 4)), "s": nir.Scale(np.array(scale)), "n": integrate(3)}
    made = same(chain(told, (4,), (3,)), spikes(rng, 4))
    assert set(made.network.nodes) == {"l", "n"}
    before = same(
        chain({"s": nir.Scale(np.array(scale)), "l": nir.Linear(whole(rng, 2, 3)), "n": integrate(2)}, (3,), (2,)), spikes(rng, 3)
    )
    assert set(before.network.nodes) == {"l", "n"}
    alone = (
        same(chain({"s": nir.Scale(np.array(scale)), "n": integrate(3, threshold=1.0)}, (3,), (3,)), spikes(rng, 3))
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
    edges = [("input", "a"), ("a", "l"), ("l", "n"), ("a", "s"), ("s", "n"), ("a", "n"), ("n", "output")]
    made = same(graph(nodes, edges, (3,), (3,)), spikes(rng, 3))
    added = made.network.nodes["a.to.n"]
    assert isinstance(added, Linear)
    assert np.count_nonzero(added.weight) == 3


def test_weights_after_weights_with_their_biases() -> None:
    rng = np.random.default_rng(5)
    told = {
        "a": nir.Affine(whole(rng, 4, 3), np.array([1.0, 0, -1, 2])),
        "b": nir.Affine(whole(rng, 2, 4) / 2, np.array([0.5, 1])),
        "n": integrate(2),
    }
    made = same(chain(told, (3,), (2,)), spikes(rng, 3))
    assert made.exact


def test_a_delay_is_whole_steps_and_a_delay_of_none_goes() -> None:
    rng = np.random.default_rng(6)
    told = {"d": nir.Delay(np.full(3, 3 * DT)), "none": nir.Delay(np.zeros(3)), "l": nir.Linear(whole(rng, 2, 3)), "n": integrate(2)}
    made = same(chain(told, (3,), (2,)), spikes(rng, 3))
    assert made.network.nodes["d"] == Delay(3)
    assert "none" not in made.network.nodes
    told["d"] = nir.Delay(np.full(3, 3.2 * DT))
    assert "d: delay rounded to 3 steps, by 0.2 of a step" in quantize(from_nir(chain(told, (3,), (2,))), spikes(rng, 3), STEP).notes


@pytest.mark.parametrize("threshold", [1.0, 0.0, -1.0])
def test_a_threshold_node_fires_without_memory(threshold: float) -> None:
    rng = np.random.default_rng(7)
    told = {
        "l": nir.Linear(whole(rng, 3, 4)),
        "t": nir.Threshold(np.full(3, threshold)),
        "m": nir.Linear(whole(rng, 2, 3)),
        "n": integrate(2),
    }
    made = same(chain(told, (4,), (2,)), spikes(rng, 4))
    assert made.network.neurons["t"].fields.reset == "none"


@pytest.mark.parametrize("readout", ["last", "sum", "max"])
def test_integrators_and_currents_are_read_out(readout: Any) -> None:
    rng = np.random.default_rng(8)
    x, tau = spikes(rng, 4)[:, :6], np.full(3, 2 * DT)
    how = Semantics(dt=DT, integrate="step", readout=readout)
    for last in (
        nir.LI(tau, tau / DT, np.ones(3)),
        nir.I(np.ones(3)),
        nir.CubaLI(tau, tau, tau / DT, np.zeros(3), tau / DT),
        nir.Affine(whole(rng, 3, 3), np.ones(3)),
    ):
        made = same(chain({"l": nir.Linear(whole(rng, 3, 4)), "end": last}, (4,), (3,)), x, how)
        effect = measure(made, x)
        assert made.network.readout == f"membrane_{readout}_argmax_lowest"
        assert np.array_equal(effect.float_prediction, effect.prediction)
        assert len(np.unique(effect.prediction)) > 1 or readout != "last"


def test_membranes_that_take_the_current_of_the_step_before_get_a_delay() -> None:
    rng = np.random.default_rng(9)
    tau = np.full(3, 2 * DT)
    cuba = nir.CubaLIF(tau, tau, tau / DT, np.zeros(3), np.full(3, 2.0), w_in=tau / DT)
    told = chain({"l": nir.Linear(whole(rng, 3, 4)), "n": cuba}, (4,), (3,))
    x = spikes(rng, 4)[:, :6]
    made = same(told, x, Semantics(dt=DT, current="last"))
    assert made.network.nodes["n.last"] == Delay(1)
    new = run(made.graph, x, Semantics(dt=DT), 6).spikes["n"]
    last = run(made.graph, x, Semantics(dt=DT, current="last"), 6).spikes["n"]
    assert np.array_equal(last[:, 1:], new[:, :-1])
    assert new.any()


def test_v_reset_and_v_leak_are_folded() -> None:
    rng = np.random.default_rng(10)
    neurons = lif(3, tau=2 * DT, threshold=4.0, r=2.0, v_leak=1.0, v_reset=1.0)
    made = same(chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,)), spikes(rng, 4)[:, :6], Semantics(dt=DT))
    assert made.network.neurons["n"].bias.tolist() == [0, 0, 0]
    assert made.layers["n"].threshold.tolist() == [3, 3, 3]


def test_exact_decays_are_exponentials() -> None:
    x = spikes(np.random.default_rng(11), 1)
    told = from_nir(chain({"n": lif(1, tau=DT / np.log(2), threshold=0.7)}, (1,), (1,)))
    how = quantize(told, x, Semantics(dt=DT, discretize="exact")).network.neurons["n"].fields
    assert (how.decay_numerator, how.decay_shift) == (1, 1)


def lif_by_hand(currents: Float, tau: Float, threshold: Float, r: Float) -> tuple[Float, Float]:
    """Spikes and membranes `[N, T, *shape]` of NIR's LIF at dt, reset to 0 a step later, in double precision with numpy alone."""
    v = s = np.zeros(currents.shape[:1] + currents.shape[2:])
    spikes, membranes = [], []
    for t in range(currents.shape[1]):
        v = v * (1 - s) + DT / tau * (-v * (1 - s) + r * currents[:, t])
        s = (v > threshold).astype(np.float64)
        spikes.append(s)
        membranes.append(v)
    return np.stack(spikes, 1), np.stack(membranes, 1)


def test_decays_that_differ_are_taken_exactly_or_become_their_mean() -> None:
    rng = np.random.default_rng(12)
    neurons = lif(4, tau=4 * DT, threshold=2.0, r=4.0)
    neurons.tau = np.array([1, 2, 4, 8]) * DT
    weight = whole(rng, 4, 4)
    told, x = from_nir(chain({"l": nir.Linear(weight), "n": neurons}, (4,), (4,))), spikes(rng, 4)[:, :5]
    made = quantize(told, x, Semantics(dt=DT, reset_timing="next_step"))
    neuron = made.network.neurons["n"]
    assert "leak v multiply decay 3 toward_zero" in lines_of(neuron.program)
    assert neuron.values["decay"].tolist() == [0, 4, 6, 7]
    expected, membranes = lif_by_hand(x @ weight.T, neurons.tau, neurons.v_threshold, neurons.r)
    assert 0 < expected.mean() < 1
    trace = simulate(made.network, x, trace=["n"]).trace
    assert np.array_equal(trace.spikes["n"], expected)
    assert np.abs(trace.membranes["n"] * made.layers["n"].scale - membranes).max() < 1e-9
    assert made.exact
    common = quantize(told, x, Semantics(dt=DT, reset_timing="next_step"), Options(decay="common"))
    assert "n: decays of 0 to 0.875 became one, their mean" in common.notes
    assert measure(common, x).layers["n"].membrane_error > 0.01
    assert not common.exact


def test_decays_that_are_no_fractions_of_two_keep_their_time_constants_within_the_error() -> None:
    rng = np.random.default_rng(22)
    neurons = lif(3, tau=4 * DT)
    neurons.tau = np.array([3.3, 20, 57]) * DT
    told, x = from_nir(chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,))), spikes(rng, 4)
    made = quantize(told, x, Semantics(dt=DT), Options(error=0.01))
    decay = made.layers["n"].decay
    assert np.abs(decay.beta - (1 - DT / neurons.tau)).max() == pytest.approx(made.layers["n"].decay_error)
    assert (np.abs(decay.beta - (1 - DT / neurons.tau)) <= 0.01 * DT / neurons.tau).all()
    coarser = own_decays(1 - DT / neurons.tau, decay.shift - 1)
    assert (np.abs(coarser.beta - (1 - DT / neurons.tau)) > 0.01 * DT / neurons.tau).any(), "no smaller shift would do"


def test_currents_that_differ_in_their_decay_are_taken_exactly() -> None:
    rng = np.random.default_rng(23)
    neurons = cubalif(3, 2 * DT, 4 * DT)
    neurons.tau_syn, neurons.tau_mem = np.array([2, 4, 2]) * DT, np.array([4, 8, 2]) * DT
    made = same(chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,)), spikes(rng, 4)[:, :6], Semantics(dt=DT))
    assert {"decay", "synapse_decay"} <= set(made.network.neurons["n"].values)


@pytest.mark.parametrize("field", ["v_threshold", "r", "tau"])
def test_neurons_that_differ_within_a_channel_are_taken_exactly_or_become_their_mean(field: str) -> None:
    rng = np.random.default_rng(13)
    neurons = lif((2, 2, 2), tau=2 * DT, threshold=2.0, r=2.0)
    values = getattr(neurons, field).copy()
    values[0, 0, 0], values[1, 1, 0] = 2 * values[0, 0, 0], 4 * values[1, 1, 0]
    setattr(neurons, field, values)
    weight = whole(rng, 2, 1, 3, 3)
    conv = nir.Conv2d((4, 4), weight, 1, 0, 1, 1, np.zeros(2))
    told, x = from_nir(chain({"c": conv, "n": neurons}, (1, 4, 4), (2, 2, 2))), spikes(rng, 1, 4, 4)[:, :5]
    made = quantize(told, x, Semantics(dt=DT, reset_timing="next_step"))
    windows = np.lib.stride_tricks.sliding_window_view(x[:, :, 0].astype(float), (3, 3), axis=(2, 3))
    currents = np.einsum("ntyxij,cij->ntcyx", windows, weight[:, 0])
    expected, membranes = lif_by_hand(currents, neurons.tau, neurons.v_threshold, neurons.r)
    assert 0 < expected.mean() < 1
    trace = simulate(made.network, x, trace=["n"]).trace
    scale = made.layers["n"].scale.reshape(2, *made.layers["n"].scale.shape[1:] or (1, 1))
    assert np.array_equal(trace.spikes["n"], expected)
    assert np.abs(trace.membranes["n"] * scale - membranes).max() < 1e-9
    assert made.network.neurons["n"].per_neuron
    assert measure(made, x).layers["n"].spikes_differ == 0
    mean = quantize(told, x, Semantics(dt=DT, reset_timing="next_step"), Options(maps="mean", decay="common"))
    assert not mean.network.neurons["n"].per_neuron
    assert measure(mean, x).layers["n"].spikes_differ > 0


def test_values_that_wait_for_different_times_are_taken_exactly() -> None:
    rng = np.random.default_rng(24)
    seconds = np.array([1, 3, 2]) * DT
    first, second = whole(rng, 3, 4), whole(rng, 2, 3)
    nodes = {"l": nir.Linear(first), "n": integrate(3), "d": nir.Delay(seconds), "m": nir.Linear(second), "o": integrate(2)}
    made = same(chain(nodes, (4,), (2,)), spikes(rng, 4), STEP)
    delay = made.network.nodes["d"]
    assert isinstance(delay, Delay)
    assert np.array_equal(delay.steps, [1, 3, 2])


def test_levels_within_a_kind() -> None:
    rng = np.random.default_rng(14)
    weight = rng.normal(size=(5, 40))
    for kind, largest in (("int8", 127), ("int3", 3), ("ternary", 1), ("binary", 1)):
        made = within_kind(weight, kind)  # type: ignore[arg-type]
        assert 0.9 * largest < np.abs(made.levels).max() <= largest
        assert (kind, bool((made.levels == 0).any())) in {("int8", False), ("int3", True), ("ternary", True), ("binary", False)}
        assert np.linalg.norm(made.levels * made.step[:, None] - weight) < 0.7 * np.linalg.norm(weight)
    assert within_kind(np.array([[0.0, 2.0, -6.0]]), "int3").levels.tolist() == [[0, 1, -3]]
    assert within_kind(np.array([[0.0, 2.0, -7.0]]), "int3").moved > 0
    assert within_kind(np.array([[0.0, 1.0]]), "binary").levels.tolist() == [[1, 1]]


def test_a_file_of_ours_read_as_a_float_graph_is_the_same_network_where_nothing_leaks() -> None:
    rng = np.random.default_rng(15)
    how = Arithmetic(fraction_bits=2)
    layers = [Neuron(np.full(n, 9), np.zeros(n, np.int32), how) for n in (5, 3)]
    nodes = {"l": Linear(rng.choice([-1, 1], (5, 4))), "n": layers[0], "m": Linear(rng.choice([-1, 1], (3, 5))), "o": layers[1]}
    names = ["input", *nodes, "output"]
    net = Network(nodes, tuple(itertools.pairwise(names)), Input((4,), "spikes"), 30)
    x = (rng.random((6, 30, 4)) < 0.6).astype(np.uint8)
    told = from_nir(nirfile.to_nir(net))
    made = quantize(told, x, Semantics(dt=DT_OF_OURS, integrate="ode", reset="subtract", reset_timing="next_step"))
    expected, got = (simulate(each, x, trace=["n", "o"]) for each in (net, made.network))
    assert all(0.05 < rate < 0.95 for rate in expected.rates.values())
    for name in ("n", "o"):
        assert np.array_equal(expected.trace.spikes[name], got.trace.spikes[name])
