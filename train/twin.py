"""The exact-integer twin: the forward pass of an integer network in torch floating point, with gradients.

Every number in the forward pass is an integer (or an integer over a power of two), small enough that float32 holds it exactly, so
that training sees the very spikes the hardware will fire; `lehr.widths` proves it, float64 widens the range. Gradients
pass straight through the rounding of thresholds, biases and decays and through the binarization; spikes use the fast-sigmoid
surrogate of the membrane's distance to threshold, in the units of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lehr.errors import NotMappable
from lehr.export.latent import Latent
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate.result import Trace
from lehr.train.finite import require_finite
from lehr.train.folding import THRESHOLD_MAX
from lehr.train.pooling import pooled_kernel
from lehr.train.quantize import Frozen
from lehr.train.twin_neuron import TwinNeuron, rounded


class Twin(nn.Module):
    """An integer network as a torch module.

    Attributes:
        weights: latent real-valued weights by node name.
        quantizers: what makes the network's integers of them, by node name.
        neurons: the neuron layers by node name.
    """

    def __init__(
        self, net: Network, *, latents: Mapping[str, Latent] | None = None, units: Mapping[str, float] | None = None, slope: float = 25.0
    ) -> None:
        """Make the twin of `net`.

        Args:
            net: the integer network.
            latents: real-valued weights by node, whose levels are the network's; the weights themselves if None.
            units: by neuron layer, as in `TwinNeuron`; 1 if None.
            slope: of the surrogate gradient.
        """
        super().__init__()
        self.net = net
        # torch keeps modules under names without dots
        self._key = {name: f"n{i}" for i, name in enumerate(net.nodes)}
        self._weights, self._quantizers, self._neurons = nn.ParameterDict(), nn.ModuleDict(), nn.ModuleDict()
        for name, node in net.nodes.items():
            if isinstance(node, (Conv2d, Linear)):
                latent = _latent(node) if latents is None else latents[name]
                self._weights[self._key[name]] = nn.Parameter(torch.tensor(latent.weight))
                self._quantizers[self._key[name]] = Frozen(node.kind, latent)
            elif isinstance(node, Neuron):
                try:
                    self._neurons[self._key[name]] = TwinNeuron(node, units[name] if units else 1.0, slope)
                except NotMappable as error:
                    raise NotMappable(f"{name}: {error}") from None
        # by the name of the pooling, the convolution before it that can be computed with it
        self.pooled = {pool: conv for conv, pool in net.edges if _one_step(net, conv, pool)}

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """Latent weights by node name."""
        return {name: self._weights[key] for name, key in self._key.items() if key in self._weights}

    @property
    def quantizers(self) -> dict[str, Frozen]:
        """Quantizers by node name."""
        return {name: cast(Frozen, self._quantizers[key]) for name, key in self._key.items() if key in self._quantizers}

    def levels(self, name: str) -> Tensor:
        """The integer weights of a node, with gradients for the latents."""
        return self.quantizers[name].levels(self.weights[name])

    def latents(self) -> dict[str, Latent]:
        """Latent weights as they stand now, with what makes integers of them."""
        return {name: quantizer.frozen(self.weights[name]) for name, quantizer in self.quantizers.items()}

    @property
    def neurons(self) -> dict[str, TwinNeuron]:
        """Neuron layers by node name."""
        return {name: cast(TwinNeuron, self._neurons[key]) for name, key in self._key.items() if key in self._neurons}

    def trained(self) -> dict[str, list[tuple[str, Tensor]]]:
        """All numbers that training sets, named, by node."""
        named: dict[str, list[tuple[str, Tensor]]] = {}
        for name, weight in self.weights.items():
            named[name] = [("weight", weight), *self.quantizers[name].named_buffers()]
        for name, neuron in self.neurons.items():
            named[name] = [*neuron.named_parameters()]
        return named

    def clamp_thresholds(self) -> None:
        """Keep every threshold where an integer one can follow: from 1 to THRESHOLD_MAX."""
        for neuron in self.neurons.values():
            with torch.no_grad():
                neuron.threshold.clamp_(neuron.unit, THRESHOLD_MAX * neuron.unit)

    def freeze_thresholds(self) -> None:
        """Phase C: thresholds and biases become the integers they round to, and stay."""
        for neuron in self.neurons.values():
            with torch.no_grad():
                threshold, bias = neuron.integers()
                neuron.threshold.copy_(threshold * neuron.unit)
                neuron.bias.copy_(bias * neuron.unit)
            neuron.threshold.requires_grad_(False)
            neuron.bias.requires_grad_(False)

    def network(self) -> Network:
        """The integer network as it stands now.

        Raises:
            UsageError: when a number of it is not finite.
        """
        require_finite(self.trained(), "where integers are made of it")
        nodes = dict(self.net.nodes)
        for name in self.weights:
            node = nodes[name]
            assert isinstance(node, (Conv2d, Linear))
            nodes[name] = replace(node, weight=self.levels(name).detach().to(torch.int8).numpy(force=True))
        for name, neuron in self.neurons.items():
            threshold, bias = (value.detach().to(torch.int32).numpy(force=True) for value in neuron.integers())
            nodes[name] = Neuron(threshold, bias, neuron.arithmetic)
        return replace(self.net, nodes=nodes)

    def forward(self, x: Tensor, steps: int | None = None) -> Tensor:
        """Output spikes `[T, N, *output shape]` for inputs `[N, *shape]` (held) or `[N, T, *shape]`."""
        return self.layers(x, steps)[0][self.net.output]

    def run(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Spikes of every layer that fires, `[T, N, *shape]` each, and the output's membranes in the units of training."""
        spikes, membranes = self.layers(x)
        neurons, output = self.neurons, self.net.output
        return [fired for name, fired in spikes.items() if not neurons[name].integrates], membranes[output] * neurons[output].unit

    def layers(self, x: Tensor, steps: int | None = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spikes and membranes of every neuron layer, `[T, N, *shape]` each, by name."""
        held = x.ndim == len(self.net.input.shape) + 1
        steps = steps or (self.net.steps if held else x.shape[1])
        x = x.to(torch.get_default_dtype() if not x.is_floating_point() else x.dtype)
        x = x.unsqueeze(0) if held else x.transpose(0, 1)
        state = _State(self, x.shape[1], x)
        # Without feedback every layer runs over all steps at once; with it, the whole network goes step by step.
        span = 1 if self.net.feedback else steps
        for start in range(0, steps, span):
            state.run(x if held else x[start : start + span], span)
        return state.collected()


def _latent(node: Conv2d | Linear) -> Latent:
    """The integers themselves as latents."""
    dtype = np.dtype(str(torch.get_default_dtype()).removeprefix("torch."))
    return Latent(node.weight.astype(dtype), None if node.kind == "binary" else np.ones((), dtype))


def _one_step(net: Network, source: str, sink: str) -> bool:
    """Whether the edge leads from a convolution to a pooling that nothing else comes between."""
    conv, pool = net.nodes.get(source), net.nodes.get(sink)
    if not isinstance(conv, Conv2d) or not isinstance(pool, SumPool2d):
        return False
    alone = [edge for edge in net.edges if edge[0] == source or edge[1] == sink] == [(source, sink)]
    return alone and conv.dilation == (1, 1) and pool.padding == (0, 0)


class _State:
    """What one run of the twin carries from span to span of time."""

    def __init__(self, twin: Twin, batch: int, like: Tensor) -> None:
        self.twin, self.net = twin, twin.net
        self.zero = {name: like.new_zeros(1, batch, *shape) for name, shape in self.net.shapes.items()}
        self.before = dict(self.zero)
        self.neuron = {name: (self.zero[name][0], self.zero[name][0]) for name in self.net.neurons}
        self.line = {n: self.zero[n].repeat_interleave(d.alike, 0) for n, d in self.net.nodes.items() if isinstance(d, Delay)}
        self.spikes: dict[str, list[Tensor]] = {name: [] for name in self.net.neurons}
        self.membranes: dict[str, list[Tensor]] = {name: [] for name in self.net.neurons}

    def run(self, x: Tensor, steps: int) -> None:
        """Evaluate every node over `steps` steps; `x` is `[steps or 1, N, *shape]`."""
        value = {INPUT: x}
        for name in self.net.order:
            a = self._arriving(name, value)
            if name in self.neuron:
                spikes, membranes, self.neuron[name] = self.twin.neurons[name](a, steps, self.neuron[name])
                value[name] = spikes
                self.spikes[name].append(spikes)
                self.membranes[name].append(membranes)
            elif name in self.line:
                line = torch.cat([self.line[name], a.expand(steps, *a.shape[1:])])
                value[name], self.line[name] = line[:steps], line[steps:]
            elif name in self.twin.pooled.values():
                value[name] = a  # computed with its pooling
            else:
                value[name] = self._apply(name, a)
        self.before = {name: v[-1:] for name, v in value.items()}

    def _arriving(self, name: str, value: Mapping[str, Tensor]) -> Tensor:
        first, *rest = ((self.before if (s, name) in self.net.feedback else value)[s] for s in self.net.sources(name))
        for other in rest:
            first = first + other
        return first

    def _apply(self, name: str, a: Tensor) -> Tensor:
        node = self.net.nodes[name]
        lead = a.shape[:2]
        flat = a.flatten(0, 1)
        if name in self.twin.pooled:
            out = self._convolve(flat, self.twin.pooled[name], node)
        elif isinstance(node, Conv2d):
            out = self._convolve(flat, name)
        elif isinstance(node, Linear):
            out = functional.linear(flat, self.twin.levels(name))
        elif isinstance(node, SumPool2d):
            padded = functional.pad(flat, (node.padding[1], node.padding[1], node.padding[0], node.padding[0]))
            out = functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)
        else:
            assert isinstance(node, Flatten), node
            out = flat.flatten(1)
        return out.view(*lead, *out.shape[1:])

    def _convolve(self, x: Tensor, name: str, pool: Node | None = None) -> Tensor:
        conv, weight = self.net.nodes[name], self.twin.levels(name)
        assert isinstance(conv, Conv2d)
        stride = conv.stride
        if isinstance(pool, SumPool2d):
            weight = pooled_kernel(weight, pool.kernel, stride)
            stride = (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
        # fast convolutions may return a sum of integers that is off by a fraction
        return rounded(functional.conv2d(x, weight, None, stride, conv.padding, conv.dilation, conv.groups))

    def collected(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spikes and membranes over all spans."""
        return {n: _joined(v) for n, v in self.spikes.items()}, {n: _joined(v) for n, v in self.membranes.items()}


def _joined(spans: list[Tensor]) -> Tensor:
    return spans[0] if len(spans) == 1 else torch.cat(spans)  # which would copy one span


def trace(twin: Twin, x: npt.NDArray[np.uint8], chunk: int = 64) -> Trace:
    """Run the twin on uint8 inputs as the simulator takes them, and return the simulator's kind of trace."""
    spikes: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in twin.net.neurons}
    membranes: dict[str, list[npt.NDArray[np.int32]]] = {name: [] for name in twin.net.neurons}
    dtype = next(twin.parameters()).dtype
    with torch.no_grad():
        for start in range(0, len(x), chunk):
            s, v = twin.layers(torch.from_numpy(x[start : start + chunk]).to(dtype))
            for name in spikes:
                spikes[name].append(s[name].transpose(0, 1).to(torch.uint8).numpy())
                membranes[name].append(v[name].transpose(0, 1).to(torch.int32).numpy())
    return Trace({n: np.concatenate(a) for n, a in spikes.items()}, {n: np.concatenate(a) for n, a in membranes.items()})
