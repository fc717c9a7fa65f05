"""Parts of snnTorch models whose every number is a small binary fraction, so that integers can hold them exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lehr.export.torch_network import FromTorch
from lehr.simulate import Result, simulate


def dyadic(module: nn.Module, step: float = 0.25) -> Any:
    """Weights of one step, -step and +step, and biases of its halves, none of them zero."""
    with torch.no_grad():
        for name, value in module.named_parameters(recurse=False):
            value.copy_(
                value.sign()
                * (step if name == "weight" else (value.abs() * 8).round().clamp(min=1) * step / 2)
            )
    return module


def events(*shape: int, rate: float = 0.4, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Random spikes of a shape."""
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def result_of(made: FromTorch) -> Result:
    """What the integer network computes on the sample; it says something about every layer."""
    result = simulate(made.network, made.sample, trace=made.network.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values()), result.rates
    return result


def differing(made: FromTorch) -> int:
    """In how many spikes the integer network and the model itself differ."""
    trace = result_of(made).trace
    expected = made.spikes()
    assert expected.keys() == trace.spikes.keys()
    return sum(int((spikes != trace.spikes[name]).sum()) for name, spikes in expected.items())


def stepped(
    weight: nn.Linear, neuron: Any, x: npt.NDArray[np.uint8], states: int
) -> tuple[Tensor, Tensor]:
    """Spikes and membranes `[N, T, features]` of one layer, by calling snnTorch's own modules in double precision."""
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
