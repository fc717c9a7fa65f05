"""Neurons that differ: their own time constants, thresholds, gains and delays, taken exactly."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from nir_graphs import DT, chain, cubalif, lif
from nir_layers import STEP, integrate, same, spikes, whole

from lehr.export.decays import own_decays
from lehr.export.effect import measure
from lehr.export.fold import Float
from lehr.export.nirgraph import Options, Semantics, from_nir, quantize
from lehr.nodes import Delay
from lehr.simulate import simulate
from lehr.update_text import lines_of


def lif_by_hand(currents: Float, tau: Float, threshold: Float, r: Float) -> tuple[Float, Float]:
    """Compute spikes and membranes `[N, T, *shape]` of NIR's LIF at dt, reset to 0 a step later.

    This is double precision, with numpy alone.
    """
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
    float_graph, x = (
        from_nir(chain({"l": nir.Linear(weight), "n": neurons}, (4,), (4,))),
        spikes(rng, 4)[:, :5],
    )
    quantized = quantize(float_graph, x, Semantics(dt=DT, reset_timing="next_step"))
    neuron = quantized.network.neurons["n"]
    assert "leak v multiply decay 3 toward_zero" in lines_of(neuron.program)
    assert neuron.values["decay"].tolist() == [0, 4, 6, 7]
    expected, membranes = lif_by_hand(x @ weight.T, neurons.tau, neurons.v_threshold, neurons.r)
    assert 0 < expected.mean() < 1
    trace = simulate(quantized.network, x, trace=["n"]).trace
    assert np.array_equal(trace.spikes["n"], expected)
    assert np.abs(trace.membranes["n"] * quantized.layers["n"].scale - membranes).max() < 1e-9
    assert quantized.exact
    common = quantize(
        float_graph, x, Semantics(dt=DT, reset_timing="next_step"), Options(decay="common")
    )
    assert "n: decays of 0 to 0.875 became one, their mean" in common.notes
    assert measure(common, x).layers["n"].membrane_error > 0.01
    assert not common.exact


def test_decays_that_are_no_fractions_of_two_keep_their_time_constants_within_the_error() -> None:
    rng = np.random.default_rng(22)
    neurons = lif(3, tau=4 * DT)
    neurons.tau = np.array([3.3, 20, 57]) * DT
    float_graph, x = (
        from_nir(chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,))),
        spikes(rng, 4),
    )
    quantized = quantize(float_graph, x, Semantics(dt=DT), Options(error=0.01))
    decay = quantized.layers["n"].decay
    assert np.abs(decay.beta - (1 - DT / neurons.tau)).max() == pytest.approx(
        quantized.layers["n"].decay_error
    )
    assert (np.abs(decay.beta - (1 - DT / neurons.tau)) <= 0.01 * DT / neurons.tau).all()
    coarser = own_decays(1 - DT / neurons.tau, decay.shift - 1)
    assert (np.abs(coarser.beta - (1 - DT / neurons.tau)) > 0.01 * DT / neurons.tau).any(), (
        "no smaller shift would do"
    )


def test_currents_that_differ_in_their_decay_are_taken_exactly() -> None:
    rng = np.random.default_rng(23)
    neurons = cubalif(3, 2 * DT, 4 * DT)
    neurons.tau_syn, neurons.tau_mem = np.array([2, 4, 2]) * DT, np.array([4, 8, 2]) * DT
    quantized = same(
        chain({"l": nir.Linear(whole(rng, 3, 4)), "n": neurons}, (4,), (3,)),
        spikes(rng, 4)[:, :6],
        Semantics(dt=DT),
    )
    assert {"decay", "synapse_decay"} <= set(quantized.network.neurons["n"].values)


@pytest.mark.parametrize("field", ["v_threshold", "r", "tau"])
def test_neurons_that_differ_within_a_channel_are_taken_exactly_or_become_their_mean(
    field: str,
) -> None:
    rng = np.random.default_rng(13)
    neurons = lif((2, 2, 2), tau=2 * DT, threshold=2.0, r=2.0)
    values = getattr(neurons, field).copy()
    values[0, 0, 0], values[1, 1, 0] = 2 * values[0, 0, 0], 4 * values[1, 1, 0]
    setattr(neurons, field, values)
    weight = whole(rng, 2, 1, 3, 3)
    conv = nir.Conv2d((4, 4), weight, 1, 0, 1, 1, np.zeros(2))
    float_graph, x = (
        from_nir(chain({"c": conv, "n": neurons}, (1, 4, 4), (2, 2, 2))),
        spikes(rng, 1, 4, 4)[:, :5],
    )
    quantized = quantize(float_graph, x, Semantics(dt=DT, reset_timing="next_step"))
    windows = np.lib.stride_tricks.sliding_window_view(
        x[:, :, 0].astype(float), (3, 3), axis=(2, 3)
    )
    currents = np.einsum("ntyxij,cij->ntcyx", windows, weight[:, 0])
    expected, membranes = lif_by_hand(currents, neurons.tau, neurons.v_threshold, neurons.r)
    assert 0 < expected.mean() < 1
    trace = simulate(quantized.network, x, trace=["n"]).trace
    scale = quantized.layers["n"].scale.reshape(2, *quantized.layers["n"].scale.shape[1:] or (1, 1))
    assert np.array_equal(trace.spikes["n"], expected)
    assert np.abs(trace.membranes["n"] * scale - membranes).max() < 1e-9
    assert quantized.network.neurons["n"].per_neuron
    assert measure(quantized, x).layers["n"].spikes_differ == 0
    mean = quantize(
        float_graph,
        x,
        Semantics(dt=DT, reset_timing="next_step"),
        Options(maps="mean", decay="common"),
    )
    assert not mean.network.neurons["n"].per_neuron
    assert measure(mean, x).layers["n"].spikes_differ > 0


def test_values_that_wait_for_different_times_are_taken_exactly() -> None:
    rng = np.random.default_rng(24)
    seconds = np.array([1, 3, 2]) * DT
    first, second = whole(rng, 3, 4), whole(rng, 2, 3)
    nodes = {
        "l": nir.Linear(first),
        "n": integrate(3),
        "d": nir.Delay(seconds),
        "m": nir.Linear(second),
        "o": integrate(2),
    }
    quantized = same(chain(nodes, (4,), (2,)), spikes(rng, 4), STEP)
    delay = quantized.network.nodes["d"]
    assert isinstance(delay, Delay)
    assert np.array_equal(delay.steps, [1, 3, 2])
