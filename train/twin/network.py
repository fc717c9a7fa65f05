"""The exact-integer twin: an integer network's forward pass in torch floats, with gradients.

Every number in the forward pass is an integer (or an integer over a power of two), small enough
that float32 holds it exactly, so that training sees the very spikes the hardware will fire;
`lehr.widths` proves it, float64 widens the range. Gradients pass straight through the rounding of
thresholds, biases and decays and through the binarization; `lehr.train.twin.update` has those of
the update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lehr.errors import NotMappable
from lehr.export.latent import Latent
from lehr.network import Conv2d, Linear, Network, Neuron, SumPool2d
from lehr.simulate.result import Trace
from lehr.train.floats.finite import require_finite
from lehr.train.floats.quantize import Frozen
from lehr.train.keys.shares import Shares
from lehr.train.twin.folding import THRESHOLD_MAX
from lehr.train.twin.neuron import TwinNeuron
from lehr.train.twin.nodes import NODES, Run
from lehr.train.twin.update import Surrogate


class Twin(nn.Module):
    """An integer network as a torch module.

    Attributes:
        weights: latent real-valued weights by node name.
        quantizers: what makes the network's integers of them, by node name.
        neurons: the neuron layers that learn, by node name.
        maxima: the other ones, which are the OR of the spikes in a window of a pooling.
    """

    def __init__(
        self,
        net: Network,
        *,
        latents: Mapping[str, Latent] | None = None,
        layers: Sequence[str] | None = None,
        units: Mapping[str, float] | None = None,
        slope: float = 25.0,
        slope_in_thresholds: bool = False,
        shares: Shares | None = None,
        biases: bool = True,
    ) -> None:
        """Make the twin of `net`.

        Args:
            net: the integer network.
            latents: real-valued weights by node, whose levels are the network's; the weights
                themselves if None.
            layers: the neuron layers that learn, in the order in which `run` returns them; all in
                order of evaluation if None. Any other one is the OR of what a pooling sums up.
            units: by neuron layer, as in `TwinNeuron`; 1 if None.
            slope: of the surrogate gradient.
            slope_in_thresholds: whether its distances are counted in thresholds, and not in the
                units of training.
            shares: of the thresholds, which are equal in `net` within each share, and on its grid;
                each has its own if None.
            biases: whether they learn.

        Raises:
            NotMappable: naming the node for whose type, or for a statement of whose program, there
                is no rule.
        """
        super().__init__()
        self.net = net
        # torch keeps modules under names without dots
        self._key = {name: f"n{i}" for i, name in enumerate(net.nodes)}
        self._weights, self._quantizers, self._neurons = (
            nn.ParameterDict(),
            nn.ModuleDict(),
            nn.ModuleDict(),
        )
        self._layers = list(net.neurons if layers is None else layers)
        self.maxima = {
            name: net.sources(name)[0] for name in net.neurons if name not in self._layers
        }
        shares = shares or Shares()
        one: nn.Parameter | None = None
        for name, node in net.nodes.items():
            if isinstance(node, (Conv2d, Linear)):
                latent = _latent(node) if latents is None else latents[name]
                self._weights[self._key[name]] = nn.Parameter(torch.tensor(latent.weight))
                self._quantizers[self._key[name]] = Frozen(node.kind, latent)
            try:
                _ = NODES[type(node)]
                if isinstance(node, Neuron) and name not in self.maxima:
                    surrogate = Surrogate(units[name] if units else 1.0, slope, slope_in_thresholds)
                    neuron = TwinNeuron(
                        node, surrogate, shares, None if node.integrates else one, biases=biases
                    )
                    one = (
                        neuron.threshold
                        if shares.share == "network" and not node.integrates
                        else one
                    )
                    self._neurons[self._key[name]] = neuron
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
        return {
            name: cast(Frozen, self._quantizers[key])
            for name, key in self._key.items()
            if key in self._quantizers
        }

    def levels(self, name: str) -> Tensor:
        """Return the integer weights of a node, with gradients for the latents."""
        return self.quantizers[name].levels(self.weights[name])

    def latents(self) -> dict[str, Latent]:
        """Latent weights as they stand now, with what makes integers of them."""
        return {
            name: quantizer.frozen(self.weights[name])
            for name, quantizer in self.quantizers.items()
        }

    @property
    def neurons(self) -> dict[str, TwinNeuron]:
        """Neuron layers by node name."""
        return {name: cast(TwinNeuron, self._neurons[self._key[name]]) for name in self._layers}

    def trained(self) -> dict[str, list[tuple[str, Tensor]]]:
        """All numbers that training sets, named, by node."""
        named: dict[str, list[tuple[str, Tensor]]] = {}
        for name, weight in self.weights.items():
            named[name] = [("weight", weight), *self.quantizers[name].named_buffers()]
        for name, neuron in self.neurons.items():
            named[name] = [*neuron.trained.items()]
        return named

    def clamp_thresholds(self) -> None:
        """Keep every threshold where an integer one can follow: from 1 to THRESHOLD_MAX."""
        for neuron in self.neurons.values():
            neuron.clamp(THRESHOLD_MAX)

    def freeze_thresholds(self) -> None:
        """Freeze for phase C: thresholds, biases and other parameters become integers, and stay.

        Each becomes the integer it rounds to.
        """
        for neuron in self.neurons.values():
            neuron.freeze()

    def network(self) -> Network:
        """Return the integer network as it stands now.

        Raises:
            UsageError: when a number of it is not finite.
        """
        require_finite(self.trained(), "where integers are made of it")
        nodes = dict(self.net.nodes)
        for name in self.weights:
            node = nodes[name]
            assert isinstance(node, (Conv2d, Linear))
            nodes[name] = replace(
                node, weight=self.levels(name).detach().to(torch.int8).numpy(force=True)
            )
        for name, neuron in self.neurons.items():
            values = {
                which: value.detach().to(torch.int32).numpy(force=True)
                for which, value in neuron.integers().items()
            }
            nodes[name] = replace(
                self.net.neurons[name],
                threshold=values.pop("threshold"),
                bias=values.pop("bias"),
                parameters=values,
            )
        return replace(self.net, nodes=nodes)

    def forward(self, x: Tensor, steps: int | None = None) -> Tensor:
        """Return output spikes `[T, N, *output shape]`.

        Inputs are `[N, *shape]` (held) or `[N, T, *shape]`.
        """
        return self.layers(x, steps)[0][self.net.output]

    def run(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return spikes of every layer that learns and fires, and the output's membranes.

        Spikes are `[T, N, *shape]` each, membranes in the units of training.
        """
        spikes, membranes = self.layers(x)
        neurons, output = self.neurons, self.net.output
        fired = [spikes[name] for name, neuron in neurons.items() if not neuron.integrates]
        return fired, membranes[output] * neurons[output].unit

    def layers(
        self, x: Tensor, steps: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spikes and membranes of every neuron layer, `[T, N, *shape]` each, by name."""
        held = x.ndim == len(self.net.input.shape) + 1
        steps = steps or (self.net.steps if held else x.shape[1])
        x = x.to(torch.get_default_dtype() if not x.is_floating_point() else x.dtype)
        x = x.unsqueeze(0) if held else x.transpose(0, 1)
        run = Run(self, x.shape[1], x)
        # Without feedback every layer runs over all steps at once; with it, the whole network goes
        # step by step.
        span = 1 if self.net.feedback else steps
        for start in range(0, steps, span):
            run.run(x if held else x[start : start + span], span)
        return run.collected()


def _latent(node: Conv2d | Linear) -> Latent:
    """Return the integers themselves as latents."""
    dtype = np.dtype(str(torch.get_default_dtype()).removeprefix("torch."))
    return Latent(node.weight.astype(dtype), None if node.kind == "binary" else np.ones((), dtype))


def _one_step(net: Network, source: str, sink: str) -> bool:
    """Whether the edge leads from a convolution to a pooling that nothing else comes between."""
    conv, pool = net.nodes.get(source), net.nodes.get(sink)
    if not isinstance(conv, Conv2d) or not isinstance(pool, SumPool2d):
        return False
    alone = [edge for edge in net.edges if edge[0] == source or edge[1] == sink] == [(source, sink)]
    return alone and conv.dilation == (1, 1) and pool.padding == (0, 0)


def trace(twin: Twin, x: npt.NDArray[np.uint8], chunk: int = 64) -> Trace:
    """Run the twin on uint8 inputs as the simulator takes them, and return a trace of its kind."""
    spikes: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in twin.net.neurons}
    membranes: dict[str, list[npt.NDArray[np.int32]]] = {name: [] for name in twin.net.neurons}
    dtype = next(twin.parameters()).dtype
    with torch.no_grad():
        for start in range(0, len(x), chunk):
            s, v = twin.layers(torch.from_numpy(x[start : start + chunk]).to(dtype))
            for name in spikes:
                spikes[name].append(s[name].transpose(0, 1).to(torch.uint8).numpy())
                membranes[name].append(v[name].transpose(0, 1).to(torch.int32).numpy())
    return Trace(
        {n: np.concatenate(a) for n, a in spikes.items()},
        {n: np.concatenate(a) for n, a in membranes.items()},
    )
