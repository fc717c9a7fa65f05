"""Neurons that each have their own threshold or decay, learned ones too, against snnTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped_by_snntorch,
)

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_model
from lehr.network import Network
from lehr.simulate import simulate

MAP = (4, 5, 5)
X = events(6, 6, 2, 7, 7)


def drawn(*shape: int, low: int, high: int, parts: int = 16, seed: int = 0) -> Any:
    """Draw whole multiples of 1/parts."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator) / parts


def maps(neuron: Any) -> nn.Sequential:
    """Make a convolution with these neurons, and a readout behind it."""
    torch.manual_seed(2)
    return nn.Sequential(
        dyadic(nn.Conv2d(2, 4, 3)),
        neuron,
        nn.Flatten(),
        dyadic(nn.Linear(100, 5)),
        snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True),
    )


def require_equal(model: nn.Module, converted: FromTorch, states: int = 0) -> None:
    """Assert that nothing is rounded, and every spike and membrane is that of snnTorch."""
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert differing(converted) == 0
    trace = result_of(converted).trace
    right = stepped_by_snntorch(model, converted.sample, states)
    for name, layer in converted.layers.items():
        spikes, membranes = (each.numpy() for each in right[layer.source])
        np.testing.assert_array_equal(trace.spikes[name], spikes)
        scale = layer.folded.scale * 2.0**-layer.folded.fraction_bits
        axes = membranes.shape[2:]
        unit = scale.reshape(axes if scale.size == np.prod(axes) else (-1, *[1] * (len(axes) - 1)))
        np.testing.assert_array_equal(trace.membranes[name] * unit, membranes)


CASES: dict[str, Any] = {
    "threshold": {"beta": 0.5, "threshold": drawn(*MAP, low=4, high=16)},
    "threshold, with a batch's axis": {"beta": 0.5, "threshold": drawn(1, *MAP, low=4, high=16)},
    "threshold by column": {"beta": 0.5, "threshold": drawn(5, low=4, high=16)},
    "beta": {"beta": drawn(*MAP, low=0, high=5, parts=4), "threshold": 0.5},
    "beta by channel": {"beta": drawn(4, 1, 1, low=0, high=5, parts=4), "threshold": 0.5},
    "both": {"beta": drawn(*MAP, low=0, high=5, parts=4), "threshold": drawn(*MAP, low=4, high=16)},
    "learned": {
        "beta": drawn(*MAP, low=0, high=5, parts=4),
        "threshold": drawn(*MAP, low=4, high=16),
        "learn_beta": True,
        "learn_threshold": True,
    },
    "without delay": {
        "beta": drawn(*MAP, low=0, high=5, parts=4),
        "threshold": drawn(*MAP, low=4, high=16),
        "reset_delay": False,
    },
    "zero": {
        "beta": drawn(*MAP, low=0, high=5, parts=4),
        "threshold": 0.5,
        "reset_mechanism": "zero",
    },
}


@pytest.mark.parametrize("case", CASES)
def test_maps_of_neurons(case: str, tmp_path: Path) -> None:
    model = maps(snn.Leaky(init_hidden=True, **CASES[case]))
    converted = from_torch(model, X)
    require_equal(model, converted)
    require_machines_agree(converted.network, X, tmp_path)
    verified = export_model(converted, tmp_path / "m.nir")
    assert nirfile.read(tmp_path / "m.nir") == verified.network
    assert sum(verified.differ.values()) == 0


@pytest.mark.parametrize("own", ["alpha", "beta", "threshold"])
def test_two_states(own: str, tmp_path: Path) -> None:
    numbers: dict[str, Any] = {"alpha": 0.5, "beta": 0.5, "threshold": 1.0}
    numbers[own] = drawn(*MAP, low=1, high=4, parts=4)
    model = maps(snn.Synaptic(init_hidden=True, **numbers))
    converted = from_torch(model, X)
    require_equal(model, converted)
    require_machines_agree(converted.network, X, tmp_path)


def test_features_of_a_dense_layer() -> None:
    model = nn.Sequential(
        dyadic(nn.Linear(12, 16)),
        snn.Leaky(
            beta=drawn(16, low=0, high=5, parts=4), threshold=0.5, learn_beta=True, init_hidden=True
        ),
    )
    converted = from_torch(model, events(8, 6, 12))
    require_equal(model, converted)
    lif = converted.network.neurons["layer1"]
    np.testing.assert_array_equal(
        lif.parameters["decay"], model[1].get_parameter("beta").detach().numpy() * 4
    )


def test_learned_reals_are_rounded_where_that_is_asked_for() -> None:
    torch.manual_seed(4)
    betas = torch.rand(MAP)
    model = maps(snn.Leaky(beta=betas, threshold=0.5, learn_beta=True, init_hidden=True))
    with pytest.raises(
        NotMappable,
        match=r"1 \(Leaky\): its beta is 0\.0\d+ to 0\.9\d+, no k/2\*\*n with n up to 16; have it "
        r"rounded with --decay-bits 8",
    ):
        from_torch(model, X)
    converted = from_torch(model, X, decay_bits=8)
    assert "decays" in converted.layers["layer1"].rounded
    decay = converted.network.neurons["layer1"].parameters["decay"]
    np.testing.assert_array_equal(decay, np.rint(betas.double().numpy() * 256))


@pytest.mark.parametrize("name", ["threshold", "bias", "decay"])
def test_one_unit_more_of_one_neuron_is_noticed(name: str) -> None:
    model = maps(snn.Leaky(init_hidden=True, **CASES["both"]))
    converted = from_torch(model, X)

    def membranes(net: Network) -> Any:
        return simulate(net, X, trace=["layer1"]).trace.membranes["layer1"]

    net = converted.network
    neuron, one = net.neurons["layer1"], np.zeros(MAP, np.int32)
    spikes = simulate(net, X, trace=["layer1"]).trace.spikes["layer1"]
    at = np.unravel_index(int(spikes[:, :-1].sum((0, 1)).argmax()), MAP)
    one[at] = 1 if name != "decay" else -1
    if name == "decay":
        other = replace(neuron, parameters={"decay": neuron.parameters["decay"] + one})
    else:
        given = getattr(neuron, name)
        whole = given.reshape(*given.shape, *[1] * (3 - given.ndim)) + one
        other = replace(neuron, **{name: whole})
    changed = membranes(replace(net, nodes={**net.nodes, "layer1": other})) != membranes(net)
    assert changed[:, :, *at].any()
    changed[:, :, *at] = False
    assert not changed.any()


def test_what_differs_within_a_channel_and_no_neuron_has() -> None:
    own: Any = drawn(*MAP, low=1, high=9)
    resistance: Any = 1.0
    capacity: Any = 2.0
    neuron = snn.Lapicque(R=resistance, C=capacity, time_step=1, init_hidden=True)
    neuron.C = own + 1
    with pytest.raises(
        NotMappable,
        match=r"1 \(Lapicque\): its time_step / C differs within a channel; give one per channel, "
        r"shape \[4, 1, 1\]",
    ):
        from_torch(maps(neuron), X)
    loop = snn.RLeaky(beta=0.5, all_to_all=False, V=own, init_hidden=True)
    with pytest.raises(NotMappable, match=r"1 \(RLeaky\): its V differs within a channel"):
        from_torch(maps(loop), X)


@budget(10, 80)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["subtract", "zero", "none"]))
def test_any_numbers_by_neuron(seed: int, delay: bool, reset: str) -> None:
    neuron = snn.Leaky(
        beta=drawn(*MAP, low=0, high=5, parts=4, seed=seed),
        threshold=drawn(*MAP, low=1, high=20, seed=seed + 1),
        reset_mechanism=reset,
        reset_delay=delay,
        init_hidden=True,
    )
    model = maps(neuron)
    converted = from_torch(model, events(2, 6, 2, 7, 7, seed=seed))
    assert converted.exact
    spikes = stepped_by_snntorch(model, converted.sample)["1"][0].numpy()
    got = simulate(converted.network, converted.sample, trace=["layer1"]).trace.spikes["layer1"]
    assert 0 < spikes.mean() < 1
    np.testing.assert_array_equal(got, spikes)
