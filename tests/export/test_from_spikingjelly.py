"""Models of spikingjelly, against spikingjelly: each spike in each step, in double precision.

Without spikingjelly the tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from other_models import STEPS, Spikes, by_step, frames, recorded, require_equal
from torch import Tensor, nn
from torch_models import dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.nirgraph import Semantics, quantize, read
from lehr.simulate import simulate

pytest.importorskip("spikingjelly.activation_based", reason="spikingjelly is not installed")
functional, layer, neuron, surrogate = (
    pytest.importorskip(f"spikingjelly.activation_based.{name}")
    for name in ("functional", "layer", "neuron", "surrogate")
)

X = events(6, STEPS, 2, 8, 8)
FIRE = {"layer1": "1", "layer5": "5"}
NODES: dict[str, Callable[[], Any]] = {
    "IFNode": neuron.IFNode,
    "IFNode soft": lambda: neuron.IFNode(v_reset=None),
    "IFNode reset below 0": lambda: neuron.IFNode(v_reset=-0.5, v_threshold=0.25),
    "LIFNode": lambda: neuron.LIFNode(tau=2.0, v_threshold=0.25),
    "LIFNode undecayed soft": lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_reset=None),
    "LIFNode reset above 0": lambda: neuron.LIFNode(tau=4.0, v_reset=0.25, v_threshold=0.5),
    "ParametricLIFNode": lambda: neuron.ParametricLIFNode(v_threshold=0.375),
    "SimpleIFNode": neuron.SimpleIFNode,
    "SimpleLIFNode": lambda: neuron.SimpleLIFNode(2.0, decay_input=True, v_threshold=0.25),
    "CUBALIFNode": lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75),
}


def network(node: Callable[[], Any], mode: str = "s") -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        dyadic(layer.Conv2d(2, 4, 3, padding=1)),
        node(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        dyadic(layer.Linear(64, 5)),
        node(),
    )
    functional.set_step_mode(model, mode)
    return model


def stepped(model: nn.Module, layers: dict[str, str] = FIRE, x: Spikes = X) -> dict[str, Spikes]:
    """Return the right spikes of a model that runs a step in a call."""
    return by_step(recorded(model, layers, lambda m: [m(frame) for frame in frames(x)]))


def at_once(model: nn.Module, layers: dict[str, str] = FIRE) -> dict[str, Spikes]:
    """Return the right spikes of a model that takes all steps in a call."""
    given = recorded(model, layers, lambda m: m(frames(X)))
    once = {name: each[0] if len(each) == 1 else torch.stack(each) for name, each in given.items()}
    return {name: each.transpose(0, 1).numpy().astype(np.uint8) for name, each in once.items()}


@pytest.mark.parametrize("name", NODES)
def test_every_neuron_step_by_step(name: str) -> None:
    model = network(NODES[name])
    require_equal(model, X, stepped(model))


@pytest.mark.parametrize("name", ["IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode"])
def test_all_steps_in_a_call(name: str) -> None:
    model = network(NODES[name], "m")
    right = at_once(model)
    require_equal(model, X, right)
    for layer_name, raster in stepped(network(NODES[name])).items():
        np.testing.assert_array_equal(raster, right[layer_name])


def test_c_and_onnx_compute_it(tmp_path: Path) -> None:
    model = network(NODES["LIFNode reset above 0"], "m")
    require_equal(model, X, at_once(model), tmp_path)


def test_containers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        layer.SeqToANNContainer(dyadic(nn.Conv2d(2, 4, 3, padding=1)), nn.BatchNorm2d(4, eps=0.0)),
        layer.MultiStepContainer(neuron.IFNode()),
        layer.SeqToANNContainer(nn.AvgPool2d(2), nn.Flatten(), dyadic(nn.Linear(64, 5))),
        neuron.IFNode(step_mode="m", v_threshold=0.25),
    )
    layers = {"layer1.0": "1.0", "layer3": "3"}
    require_equal(model, X, at_once(model, layers))


@pytest.mark.parametrize("mode", ["s", "m"])
def test_larger_maps(mode: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        dyadic(layer.Conv2d(2, 4, 3, 2, padding=1)),
        neuron.IFNode(),
        layer.Upsample(scale_factor=(1, 2)),
        layer.Flatten(),
        dyadic(layer.Linear(128, 5)),
        neuron.IFNode(v_threshold=0.5),
    )
    functional.set_step_mode(model, mode)
    require_equal(model, X, stepped(model) if mode == "s" else at_once(model))


class Loop(nn.Module):
    """A model with the loop over time in its forward."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.first = dyadic(layer.Conv2d(2, 4, 3, padding=1)), neuron.IFNode()
        self.linear, self.last = dyadic(layer.Linear(256, 5)), neuron.LIFNode(v_threshold=0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Add up the spikes of all steps."""
        functional.reset_net(self)
        spikes = []
        for step in range(x.shape[0]):
            hidden = self.first(self.conv(x[step]))
            spikes.append(self.last(self.linear(hidden.flatten(1))))
        return torch.stack(spikes).sum(0)


def test_a_loop_in_forward() -> None:
    model = Loop()
    layers = {"first": "first", "last": "last"}
    require_equal(model, X, by_step(recorded(model, layers, lambda m: m(frames(X)))))


@pytest.mark.parametrize(
    ("node", "integrate"),
    [
        ("IFNode", "ode"),
        ("LIFNode", None),
        ("ParametricLIFNode", None),
        ("CUBALIFNode", None),
    ],
)
def test_by_way_of_its_own_nir_graph(node: str, integrate: Any, tmp_path: Path) -> None:
    nir_exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    torch.manual_seed(0)
    model = nn.Sequential(
        dyadic(layer.Conv2d(2, 4, 3, padding=1)),
        NODES[node](),
        layer.Flatten(),
        dyadic(layer.Linear(256, 5)),
        NODES[node](),
    )
    layers = {"_1": "1", "_4": "4"}
    right = stepped(model, layers)
    nir_exchange.export_to_nir(model, frames(X)[0].float(), tmp_path / "graph.nir", dt=1e-3)
    graph = read(tmp_path / "graph.nir")
    said = Semantics(dt=1e-3, fires="ge", integrate=integrate)
    spikes = simulate(quantize(graph, X, said).network, X, trace=layers).trace.spikes
    for name, raster in right.items():
        np.testing.assert_array_equal(spikes[name], raster)
        assert 0 < raster.mean() < 1
    other = quantize(graph, X, Semantics(dt=1e-3, fires="gt", integrate=integrate)).network
    found = simulate(other, X, trace=layers).trace.spikes
    assert any((found[name] != raster).any() for name, raster in right.items())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (neuron.QIFNode, "1 (QIFNode): it is a layer of spikingjelly, of which IFNode, SimpleIFNode, LIFNode, SimpleLIFNode, ParametricLIFNode, CUBALIFNode are read; use those, or have nir_exchange.export_to_nir write the network as a NIR graph, if it can, and `lehr quantize` read that"),
        (lambda: neuron.LIFNode(tau=3.0), "1 (LIFNode): its 1 - 1 / tau is 0.6666667, no k/2**n with n up to 16; train it with 171/256, or have it rounded with --decay-bits 8 (in Python: decay_bits=8)"),
        (lambda: neuron.IFNode(v_reset=2.0), "1 (IFNode): its v_threshold, less v_reset, is -1; use one above 0"),
        (lambda: neuron.IFNode(surrogate_function=surrogate.ATan(spiking=False)), "1 (IFNode): its surrogate_function has spiking=False, so that it gives no spikes; call its set_spiking_mode(True)"),
        (lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.5, v_reset=0.25), "1 (CUBALIFNode): its v_reset is 0.25 and it leaks towards 0; use v_reset=0.0 or v_reset=None"),
    ],
)  # fmt: skip
def test_what_no_integer_neuron_computes_is_named(node: Callable[[], Any], message: str) -> None:
    model = nn.Sequential(dyadic(nn.Linear(4, 3)), node(), dyadic(nn.Linear(3, 2)), neuron.IFNode())
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(model, events(2, STEPS, 4))


def test_steps_in_two_ways_are_refused() -> None:
    model, first = network(neuron.IFNode, "m"), neuron.IFNode()
    model[1] = first
    with pytest.raises(NotMappable, match=r"its spikes in the model's own call are not those"):
        from_torch(model, X)
