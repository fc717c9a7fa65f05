"""Parts of snnTorch models whose every number is a small binary fraction.

Integers can hold them exactly.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import c_code
import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from torch import Tensor, nn

from lehr.export.torchmodels.network import FromTorch
from lehr.network import Network
from lehr.simulate import Result, compare, simulate
from lehr.targets.onnx import Onnx
from lehr.targets.onnx.runner import OnnxRuntime


def dyadic(module: nn.Module, step: float = 0.25) -> Any:
    """Set weights to one step, -step and +step, and biases to its halves, none of them zero."""
    with torch.no_grad():
        for name, value in module.named_parameters(recurse=False):
            value.copy_(
                value.sign()
                * (step if name == "weight" else (value.abs() * 8).round().clamp(min=1) * step / 2)
            )
    return module


def events(*shape: int, rate: float = 0.4, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draw random spikes of a shape."""
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def result_of(converted: FromTorch) -> Result:
    """Run the integer network on the sample, and assert that it says something of every layer."""
    neurons = converted.network.neurons
    result = simulate(converted.network, converted.sample, trace=neurons)
    rates = {name: rate for name, rate in result.rates.items() if not neurons[name].integrates}
    assert all(0 < rate < 1 for rate in rates.values()), rates
    return result


def differing(converted: FromTorch) -> int:
    """Return in how many spikes the integer network and the model itself differ."""
    trace = result_of(converted).trace
    expected = converted.spikes()
    fire = [name for name, neuron in converted.network.neurons.items() if not neuron.integrates]
    assert sorted(expected) == sorted(fire)
    return sum(int((spikes != trace.spikes[name]).sum()) for name, spikes in expected.items())


def stepped(
    weight: nn.Linear, neuron: Any, x: npt.NDArray[np.uint8], states: int
) -> tuple[Tensor, Tensor]:
    """Compute spikes and membranes `[N, T, features]` of one layer.

    snnTorch's own modules are called in double precision.
    """
    weight, neuron = weight.double(), neuron.double()
    held: list[Any] = [
        torch.zeros(len(x), weight.out_features, dtype=torch.float64) for _ in range(states)
    ]
    spikes, membranes = [], []
    with torch.no_grad():
        for t in range(x.shape[1]):
            returned = neuron(weight(torch.from_numpy(x[:, t]).double()), *held)
            held = [value.double() for value in returned[-states:]]
            spikes.append(returned[0])
            membranes.append(returned[-1])
    return torch.stack(spikes, 1), torch.stack(membranes, 1)


def stepped_by_snntorch(
    model: nn.Module, x: npt.NDArray[Any], states: int = 0
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return spikes and membranes `[N, T, *shape]` of every neuron of a model, by its name.

    It is a loop over time of snnTorch's own modules in double precision, without lehr.

    Args:
        model: takes an input and so many `states`, None at first, and returns its answer and the
            new states; or neurons keep their states themselves.
        x: what it takes, `[N, T, *shape]`.
        states: how many it takes.
    """
    model = copy.deepcopy(model).double().eval()
    kept: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    for name, module in model.named_modules():
        if isinstance(module, snn.SpikingNeuron):
            vars(module)["spike_grad"] = lambda above: (above > 0).double()
            kept[name] = ([], [])

            def keep(m: nn.Module, _: Any, out: Any, lists: Any = kept[name]) -> None:
                lists[0].append(out[0] if isinstance(out, tuple) else out)
                lists[1].append(m.get_buffer("mem"))

            module.register_forward_hook(keep)
    held: list[Any] = [None] * states
    with torch.no_grad():
        for t in range(x.shape[1]):
            returned = model(torch.from_numpy(np.asarray(x[:, t])).double(), *held)
            held = list(returned[1:]) if states else []
    return {name: (torch.stack(a, 1), torch.stack(b, 1)) for name, (a, b) in kept.items() if a}


def require_machines_agree(net: Network, x: npt.NDArray[np.uint8], folder: Path) -> None:
    """Assert that the C and the ONNX of a network compute every spike and membrane of it."""
    folder.mkdir(exist_ok=True)
    c_code.require_equal(folder / "c", net, x)
    assert not Onnx().check(net)
    Onnx().plan(net, {}).with_manifest({}).write(folder / "onnx")
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, OnnxRuntime().run(folder / "onnx", x)).require_equal("onnx")
