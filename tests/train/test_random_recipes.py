"""Random recipes: what training computes is what every engine and every target computes.

The float network of a recipe is folded, and its twin's spikes and membranes are those of the
definition, of the compiled engine, of C, of ONNX Runtime and, where it takes the network, of
Verilog.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from golden_networks import one_higher_threshold
from random_recipes import Drawn, drawn, drawn_recipe

from lehr.errors import NotMappable
from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.simulate.result import Trace
from lehr.targets import registry
from lehr.targets.engines import engine
from lehr.train.keys.graph import FROM_INPUT
from lehr.train.keys.layer import Convolution
from lehr.train.recipefile import parse, to_toml
from lehr.train.twin.network import Twin, trace
from lehr.widths import analyse

SEEDS = range(30)
ON_FPGA = (8, 2, 0, 20, 28)
"""Small ones: simulating Verilog takes some hundred times as long."""


@pytest.mark.few(3)
@pytest.mark.parametrize("seed", SEEDS)
def test_training_computes_what_engines_and_targets_compute(seed: int) -> None:
    case = drawn(seed)
    twin = case.converted().twin
    net = twin.network()
    analyse(net).require_float32()
    expected = trace(twin, case.x)
    for name, neuron in net.neurons.items():
        if not neuron.integrates:
            assert 0 < float(expected.spikes[name].mean()) < 1, name
    values = sum(spikes.size for spikes in expected.spikes.values())
    for name in ("reference", "fast", "onnx", *(["c"] if shutil.which("gcc") else [])):
        compared = compare(expected, engine(name, net)(case.x, tuple(net.neurons)).trace)
        compared.require_equal(name)
        assert compared.values == values
    _require_notice(net, case, expected)


@pytest.mark.few(1)
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("seed", ON_FPGA)
def test_verilog_computes_it_too(seed: int) -> None:
    case = drawn(seed)
    twin = case.converted().twin
    net = twin.network()
    if refused := registry.get("fpga").check(net):
        with pytest.raises(NotMappable) as error:
            engine("fpga", net)(case.x[:1], tuple(net.neurons))
        assert error.value.args == tuple(map(str, refused))
        return
    ran = engine("fpga", net)(case.x[:1], tuple(net.neurons))
    compare(trace(twin, case.x[:1]), ran.trace).require_equal("fpga")


@pytest.mark.few(3)
@pytest.mark.parametrize("seed", SEEDS)
def test_float_network_is_near_its_integers(seed: int) -> None:
    """Rounding moves thresholds, not who is wired to whom."""
    case = drawn(seed)
    x = torch.from_numpy(case.x).float()
    spikes, _ = case.model.run(x)
    folded, _ = case.converted().twin.run(x)
    assert len(spikes) == len(folded) == len(case.recipe.network.annealed)
    # of all spikes of either, the share that both have; of layers that have nothing to do with
    # each other it is 0.14 at a rate of a quarter; decays and delays are rounded as well
    common = [
        float((one * other).detach().sum() / ((one + other) > 0).sum())
        for one, other in zip(spikes, folded, strict=True)
    ]
    assert common[0] > 0.5
    assert min(common) > 0.3


def test_recipes_read_back_as_they_were_written() -> None:
    for seed in SEEDS:
        recipe, _, _ = drawn_recipe(seed)
        assert parse(to_toml(recipe).decode(), "drawn") == recipe


def test_random_recipes_have_every_part_of_the_language() -> None:
    nets = [recipe.network for recipe, _, _ in map(drawn_recipe, SEEDS)]
    layers = [layer for net in nets for layer in net.layers]
    assert {layer.type for layer in layers} == {"conv", "conv1d", "linear", "integrator", "add"}
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    assert {layer.groups for layer in convolutions} == {1, 2}
    windows = [layer.geometry for layer in convolutions]
    assert {each.greatest for each in windows if each.pool != (1, 1)} == {True, False}
    for name in ("stride", "dilation", "pool", "max_pool"):
        assert any(getattr(each, name) != (1, 1) for each in windows), name
    assert any(each.kernel[0] != each.kernel[1] for each in windows)
    mixed = [net for net in nets if len({net.weights_of(layer) for layer in net.weighted}) > 1]
    assert len(mixed) > 5
    kinds = {net.weights_of(layer) for net in mixed for layer in net.weighted}
    assert kinds == {"binarized", "ternary", "int2", "int4", "int8"}
    sums = [sources for net in nets for sources in net.graph.sources if len(sources) > 1]
    assert any(FROM_INPUT in sources for sources in sums)
    assert any(FROM_INPUT not in sources for sources in sums)
    weighted = [layer for net in nets for layer in net.weighted]
    assert sum(getattr(layer, "recurrent", False) for layer in weighted) > 3
    for name in ("beta", "alpha"):
        decays = [decay for layer in weighted if (decay := getattr(layer, name)) is not None]
        assert {None, "channel"} <= {decay.learn for decay in decays}, name
    adapting = [each for layer in weighted if (each := getattr(layer, "adaptation", None))]
    assert {each.type for each in adapting} == {"threshold", "current"}
    assert {getattr(layer, "reset", None) for layer in weighted} >= {"zero", "subtract", "none"}
    assert {layer.delay.learn for layer in weighted if layer.delay} == {True, False}
    readouts = [None if net.integrator is None else net.integrator.readout for net in nets]
    assert {*readouts} == {None, "last", "sum", "max"}


def _require_notice(net: Network, case: Drawn, expected: Trace) -> None:
    """A threshold that is one unit higher is seen.

    Where a layer's membranes tell no thresholds apart, as a reset to zero leaves them, one is
    brought to the brink of a spike first.
    """
    name, neuron = next(iter(net.neurons.items()))
    fired = expected.spikes[name] > 0
    for channel in range(neuron.threshold.size):
        reached = expected.membranes[name][:, :, channel][fired[:, :, channel]]
        if not reached.size:
            continue
        brink = neuron.threshold.copy()
        brink[channel] = max(brink[channel], int(reached.min()) - 1)
        on_it = replace(net, nodes={**net.nodes, name: replace(neuron, threshold=brink)})
        layers = [layer for layer in net.neurons if not layer.startswith("max")]
        before = trace(Twin(on_it, layers=layers), case.x)
        compare(simulate(on_it, case.x, trace=net.neurons).trace, before).require_equal("brink")
        beyond = simulate(one_higher_threshold(on_it, channel), case.x, trace=net.neurons).trace
        if not compare(beyond, before).equal:
            return
    raise AssertionError(f"no threshold of {name} is seen to change")
