"""The networks that the simulator is timed on, and loops over snnTorch that compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch
import torch
from peers import peers
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate import simulate
from lehr.simulate.fast.engine import Engine
from lehr.train.twin.network import Twin

threadpool_limits(1, "blas")  # numpy's products, whose threads would count as the process's time

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A network: channels of its convolutions, features of its linear layers, and its input."""

    input: Input
    convolutions: tuple[int, ...]
    linear: tuple[int, ...]
    steps: int
    beta: tuple[int, int]
    batch: int
    density: float

    @property
    def held(self) -> bool:
        """Whether an input is the same in all steps."""
        return self.input.kind == "u8"


CASES = {
    "fashion-mnist": Case(Input((1, 28, 28), "u8"), (16, 64), (10,), 100, (7, 3), 64, 1.0),
    "shd": Case(Input((700,), "spikes"), (), (3000, 20), 333, (243, 8), 16, 0.05),
    "dvs-gesture": Case(Input((2, 32, 32), "spikes"), (16, 32), (11,), 360, (15, 4), 8, 0.05),
}


def network(case: Case) -> Network:
    """Return the network, with thresholds that nothing reaches."""
    rng, nodes, order, shape = (
        np.random.default_rng(0),
        dict[str, Node](),
        [INPUT],
        case.input.shape,
    )
    arithmetic = Arithmetic(decay_numerator=case.beta[0], decay_shift=case.beta[1], state_bits=24)

    def add(name: str, node: Node) -> None:
        nonlocal shape
        nodes[name], shape = node, node.output_shape(shape)
        order.append(name)

    def signs(*size: int) -> npt.NDArray[np.int8]:
        return rng.choice(np.array([-1, 1], np.int8), size)

    for index, channels in enumerate(case.convolutions):
        add(f"conv{index}", Conv2d(signs(channels, shape[0], 5, 5)))
        add(f"pool{index}", SumPool2d((2, 2), (2, 2)))
        add(
            f"lif{index}",
            Neuron(np.full(channels, 2**23, np.int32), np.zeros(channels, np.int32), arithmetic),
        )
    if case.convolutions:
        add("flat", Flatten())
    for index, features in enumerate(case.linear, len(case.convolutions)):
        add(f"fc{index}", Linear(signs(features, shape[0])))
        add(
            f"lif{index}",
            Neuron(np.full(features, 2**23, np.int32), np.zeros(features, np.int32), arithmetic),
        )
    return Network(
        nodes, tuple(zip(order, [*order[1:], OUTPUT], strict=True)), case.input, case.steps
    )


def at_rate(net: Network, x: Images, rate: float) -> Network:
    """Return the network with a threshold in each layer at which it spikes at a rate.

    The threshold is found by halving.
    """
    for name, neuron in net.neurons.items():
        low, high = 1, 2**20
        while high - low > 1:
            middle = (low + high) // 2
            tried = replace(neuron, threshold=np.full_like(neuron.threshold, middle))
            candidate = replace(net, nodes={**net.nodes, name: tried})
            low, high = (
                (middle, high) if Engine(candidate).run(x).rates[name] > rate else (low, middle)
            )
        net = replace(
            net,
            nodes={
                **net.nodes,
                name: replace(neuron, threshold=np.full_like(neuron.threshold, high)),
            },
        )
    return net


def inputs(case: Case, samples: int, density: float | None = None) -> Images:
    """Random pixels, or random spikes."""
    rng = np.random.default_rng(1)
    if case.held:
        return rng.integers(0, 256, (samples, *case.input.shape), np.uint8, endpoint=False)
    return (
        rng.random((samples, case.steps, *case.input.shape)) < (density or case.density)
    ).astype(np.uint8)


def loop(net: Network, binarize: bool) -> Callable[[Images], Tensor]:
    """Return a loop over time that calls every layer of a chain once a step.

    Its neurons are snnTorch's; weights are binarized there, or once.
    """
    parts = [_part(net, name) for name in net.order]

    def forward(x: Images) -> Tensor:
        held, data = x.ndim == len(net.input.shape) + 1, torch.from_numpy(x).float()
        membranes = [
            part[0].reset_mem()
            if isinstance(part, tuple) and isinstance(part[0], snntorch.Leaky)
            else None
            for part in parts
        ]
        spikes = []
        for t in range(net.steps):
            s = data if held else data[:, t]
            for i, part in enumerate(parts):
                match part:
                    case (snntorch.Leaky() as neuron, bias, scale):
                        s, membranes[i] = neuron(s * scale + bias, membranes[i])
                    case (Conv2d() as conv, latent, once):
                        weight = _binarized(latent) if binarize else once
                        s = functional.conv2d(
                            s, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups
                        )
                    case (Linear(), latent, once):
                        s = functional.linear(s, _binarized(latent) if binarize else once)
                    case SumPool2d(kernel, stride):
                        s = functional.avg_pool2d(s, kernel, stride, divisor_override=1)
                    case _:
                        s = s.flatten(1)
            spikes.append(s)
        return torch.stack(spikes)

    return forward


def _part(net: Network, name: str) -> Any:
    """Return what a loop needs of a node."""
    node = net.nodes[name]
    if isinstance(node, Neuron):
        shape = (-1, *[1] * (len(net.shapes[name]) - 1))
        threshold, bias = (
            torch.tensor(value, dtype=torch.float32).reshape(shape)
            for value in (node.threshold, node.bias)
        )
        neuron = snntorch.Leaky(
            beta=node.fields.beta, threshold=threshold, reset_mechanism="subtract"
        )
        return neuron, bias, float(1 << node.fields.fraction_bits)
    if isinstance(node, (Conv2d, Linear)):
        latent = torch.from_numpy(node.weight.astype(np.float32) * 0.3)
        return node, latent, _binarized(latent)
    return node


def _binarized(latent: Tensor) -> Tensor:
    return torch.where(latent >= 0, 1.0, -1.0)


def sides(net: Network, threads: int = 1) -> dict[str, Callable[[Images], object]]:
    """Programs that compute a network, by name: five, and the peers that are installed."""
    twin = Twin(net)
    return {
        "plain": loop(net, binarize=True),
        "tidy": loop(net, binarize=False),
        "twin": lambda x: twin(torch.from_numpy(x).float()),
        "reference": lambda x: simulate(net, x),
        "fast": Engine(net, threads).run,
        **{name: run for name, run in peers(net).items() if not isinstance(run, str)},
    }
