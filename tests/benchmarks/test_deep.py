"""Deep networks from a model in snnTorch to C: every spike is that of snnTorch's own steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import c_code
import deep
import deep_networks
import numpy as np
import pytest
from torch_models import result_of, stepped_by_snntorch

from lehr import nirfile
from lehr.export import from_torch
from lehr.export.torchmodels import run
from lehr.network import Conv2d, Network
from lehr.simulate.fast.engine import simulate
from lehr.targets.golden import read_golden

NETWORKS = sorted(deep_networks.MADE)
MOST_MEMORY = 2048
"""MiB that a command may have."""


def one_weight_turned(net: Network, place: int) -> Network:
    """Return the network with another sign of one weight of one of its convolutions."""
    name = [name for name, node in net.nodes.items() if isinstance(node, Conv2d)][place]
    node: Any = net.nodes[name]
    weight = node.weight.copy()
    weight[0, 0, 0, 0] *= -1
    return replace(net, nodes={**net.nodes, name: replace(node, weight=weight)})


def one_unit_more(net: Network, place: int) -> Network:
    """Return the network with one threshold of one of its layers a unit higher."""
    name = [*net.neurons][place]
    threshold = net.neurons[name].threshold.copy()
    threshold.flat[0] += 1
    changed = replace(net.neurons[name], threshold=threshold)
    return replace(net, nodes={**net.nodes, name: changed})


@pytest.mark.few(1)
@pytest.mark.parametrize("name", sorted(NETWORKS, reverse=True))
def test_a_narrow_one_is_the_model_and_its_c(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = deep_networks.trained(name, share=16), deep_networks.images(2, 7)
    converted = from_torch(model, x, steps=deep_networks.STEPS, full_scale=255)
    net, trace = converted.network, result_of(converted).trace
    held = np.repeat(x[:, None] / 255.0, deep_networks.STEPS, axis=1)
    right = stepped_by_snntorch(model, held)
    assert len(right) == {"vgg11": 9, "resnet19": 21}[name]
    for layer, report in converted.layers.items():
        np.testing.assert_array_equal(trace.spikes[layer], right[report.source][0].numpy())
    monkeypatch.setattr(run, "MOST_VALUES", 1)  # the model's samples one by one
    alone = converted.spikes()
    assert all(np.array_equal(alone[layer], trace.spikes[layer]) for layer in alone)
    changed = simulate(one_weight_turned(net, -1), x, trace=net.neurons).trace
    assert any(np.any(changed.spikes[layer] != trace.spikes[layer]) for layer in net.neurons)
    c_code.require_equal(tmp_path, net, x)
    changed = simulate(one_unit_more(net, 2), x, trace=net.neurons).trace
    assert any(np.any(changed.membranes[layer] != trace.membranes[layer]) for layer in net.neurons)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_whole_one_goes_through_all_commands(name: str, tmp_path: Path) -> None:
    deep_networks.write_trained(name, tmp_path)
    x = deep_networks.images(2, 7)
    np.savez(tmp_path / "in.npz", input=x)
    took = {
        command: deep.taken(arguments, tmp_path)
        for command, arguments in deep.commands(name).items()
    }
    assert all(each.memory < MOST_MEMORY for each in took.values()), took
    exported, verified = took["export"].facts, took["verify"].facts
    assert exported["spikes_differ"] == 0 < exported["values"]
    assert all(0 < rate < 1 for rate in exported["rates"].values()), exported["rates"]
    assert took["simulate"].facts["rates"] == exported["rates"]
    assert (verified["spikes_differ"], verified["membranes_differ"]) == (0, 0)
    net = nirfile.read(tmp_path / f"{name}.nir")
    _, golden = read_golden(net, tmp_path / f"{name}-c")
    changed = simulate(one_unit_more(net, 4), x, trace=net.neurons).trace
    assert any(np.any(changed.membranes[each] != golden.membranes[each]) for each in net.neurons)
