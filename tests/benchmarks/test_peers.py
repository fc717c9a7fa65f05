"""Other simulators, as benchmarks run them, against a loop in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from peers import peers
from strategies import Builder, recurrent_network

from lehr.arithmetic import Arithmetic
from lehr.network import Input, Network


def network() -> Network:
    """Return two layers, of thresholds that no membrane comes near to, and with biases."""
    net = Builder(Input((40,), "spikes"), np.random.default_rng(3))
    neurons = Arithmetic(decay_numerator=3, decay_shift=2, state_bits=24, fraction_bits=4)
    for name, size in (("hidden", 10), ("out", 5)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, neurons)
    return net.network(12)


def in_float64(net: Network, x: Any) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Return spikes of the output, `[N, T, 5]`, and the rate of each layer."""
    spikes, rates = x.astype(np.float64), []
    for name, neuron in net.neurons.items():
        node: Any = net.nodes[f"fc_{name}"]
        currents, theta = (
            spikes @ node.weight.T.astype(np.float64) * 16 + neuron.bias,
            neuron.threshold,
        )
        v, fired = np.zeros(currents.shape[::2]), []
        for t in range(x.shape[1]):
            v = 0.75 * v + currents[:, t]
            assert np.abs(v - theta).min() > 1e-3
            fired.append(v > theta)
            v = v - fired[-1] * theta
        spikes = np.stack(fired, 1).astype(np.float64)
        rates.append(float(spikes.mean()))
    return spikes, rates


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@torch.inference_mode()
@pytest.mark.parametrize("name", ["sinabs", "norse", "spikingjelly"])
def test_a_peer_spikes_as_floats_do(name: str) -> None:
    pytest.importorskip(name)
    net = network()
    x = (np.random.default_rng(2).random((4, 12, 40)) < 0.4).astype(np.uint8)
    expected, rates = in_float64(net, x)
    assert all(0.02 < rate < 0.9 for rate in rates)
    run: Any = peers(net)[name]
    assert np.array_equal(run(x).numpy(), expected.sum(1))
    raised = replace(net.neurons["out"], threshold=net.neurons["out"].threshold + 8)
    changed: Any = peers(replace(net, nodes={**net.nodes, "out": raised}))[name]
    assert not np.array_equal(changed(x).numpy(), expected.sum(1))


def test_what_no_peer_runs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = recurrent_network()
    monkeypatch.setattr("peers.find_spec", lambda name: None if name == "norse" else object())
    assert peers(net)["norse"] == "not installed"
    assert "is not in a chain" in str(peers(net)["sinabs"])
