"""Other simulators of spiking networks, with the networks of `networks` as each would have them.

They compute in floats, with a reset in the step of the spike and no rounding, so that their spikes
are not those of the integers: they are there for their speed alone. A layer's currents are
computed for all steps at once, with weights that are binarized already and thresholds that are 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lehr.network import Conv2d, Flatten, Linear, Network, Neuron, SumPool2d

Layer = tuple[Callable[[Tensor], Tensor], float]
"""Currents of a layer, in units of its thresholds, from spikes `[N, *shape]`; and its decay."""


def peers(net: Network) -> dict[str, Callable[[npt.NDArray[np.uint8]], Tensor] | str]:
    """Return what runs a network, by name; or why nothing does."""
    makers = {"sinabs": _sinabs, "norse": _norse, "spikingjelly": _spikingjelly}
    reason = _beyond(net)
    return {
        name: "not installed" if find_spec(name) is None else reason or _running(net, make)
        for name, make in makers.items()
    }


def _beyond(net: Network) -> str:
    """Return what of a network none of them is given here."""
    for name, node in net.nodes.items():
        if len(net.sources(name)) != 1 or net.feedback:
            return f"{name} is not in a chain"
        if not isinstance(node, (Conv2d, Linear, SumPool2d, Flatten, Neuron)):
            return f"{name} is a {type(node).__name__}"
        if isinstance(node, Neuron) and (
            node.synapse is not None or node.fields.reset != "subtract" or node.integrates
        ):
            return f"{name} is not leaky neurons whose reset subtracts"
    return ""


def _running(
    net: Network, make: Callable[[float], Callable[[Tensor], Tensor]]
) -> Callable[[npt.NDArray[np.uint8]], Tensor]:
    """Return what runs a network on neurons that `make` makes for a decay.

    They take currents `[N, T, *shape]` and return spikes.
    """
    layers = [(currents, make(decay)) for currents, decay in _layers(net)]

    def run(x: npt.NDArray[np.uint8]) -> Tensor:
        given = torch.from_numpy(x).float()
        if x.ndim == len(net.input.shape) + 1:
            given = given[:, None].expand(-1, net.steps, *net.input.shape)
        for currents, neurons in layers:
            steps = given.shape[:2]
            given = neurons(currents(given.flatten(0, 1)).unflatten(0, steps))
        return given.sum(1)

    return run


def _layers(net: Network) -> list[Layer]:
    layers: list[Layer] = []
    steps: list[Callable[[Tensor], Tensor]] = []
    for name in net.order:
        node = net.nodes[name]
        if isinstance(node, Neuron):
            shape = (-1, *[1] * (len(net.shapes[name]) - 1))
            theta, bias = (
                torch.tensor(value, dtype=torch.float32).reshape(shape)
                for value in (node.threshold, node.bias)
            )
            layers.append((_currents([*steps], theta, bias, node), node.fields.beta))
            steps = []
        else:
            steps.append(_step(node))
    return layers


def _currents(
    steps: list[Callable[[Tensor], Tensor]], theta: Tensor, bias: Tensor, node: Neuron
) -> Callable[[Tensor], Tensor]:
    scale, offset = float(1 << node.fields.fraction_bits) / theta, bias / theta

    def currents(spikes: Tensor) -> Tensor:
        for step in steps:
            spikes = step(spikes)
        return spikes * scale + offset

    return currents


def _step(node: Any) -> Callable[[Tensor], Tensor]:
    if isinstance(node, SumPool2d):
        return lambda x: functional.avg_pool2d(x, node.kernel, node.stride, divisor_override=1)
    if isinstance(node, Flatten):
        return lambda x: x.flatten(1)
    weight = torch.from_numpy(node.weight.astype(np.float32))
    if isinstance(node, Linear):
        return lambda x: functional.linear(x, weight)
    return lambda x: functional.conv2d(
        x, weight, None, node.stride, node.padding, node.dilation, node.groups
    )


def _sinabs(decay: float) -> Callable[[Tensor], Tensor]:
    from sinabs.activation import SingleSpike
    from sinabs.layers import LIF

    neurons = LIF(tau_mem=-1 / math.log(decay), spike_fn=SingleSpike, norm_input=False)

    def run(currents: Tensor) -> Tensor:
        neurons.reset_states()
        spikes: Tensor = neurons(currents)
        return spikes

    return run


def _norse(decay: float) -> Callable[[Tensor], Tensor]:
    from norse.torch import LIFBoxCell, LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract

    step = 1e-3
    inverse = torch.tensor((1 - decay) / step)
    cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=inverse, reset_method=reset_subtract), dt=step)

    def run(currents: Tensor) -> Tensor:
        state, spikes = None, []
        for current in (currents / (1 - decay)).unbind(1):
            spike, state = cell(current, state)
            spikes.append(spike)
        return torch.stack(spikes, 1)

    return run


def _spikingjelly(decay: float) -> Callable[[Tensor], Tensor]:
    from spikingjelly.activation_based import functional as states
    from spikingjelly.activation_based.neuron import LIFNode

    neurons = LIFNode(tau=1 / (1 - decay), decay_input=False, v_reset=None, step_mode="m")

    def run(currents: Tensor) -> Tensor:
        states.reset_net(neurons)
        spikes: Tensor = neurons(currents.transpose(0, 1))
        return spikes.transpose(0, 1)

    return run
