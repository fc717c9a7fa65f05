"""One layer of phase A: what it makes of spikes, and its neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from lehr.nodes import Shape
from lehr.train.floats.batch_norm import BatchNorm1d
from lehr.train.floats.delays import Delays
from lehr.train.floats.events import Pool, convolved
from lehr.train.floats.layers import QuantizedConv2d, QuantizedLinear
from lehr.train.floats.neurons import FloatNeurons
from lehr.train.floats.pooling import any_spike
from lehr.train.floats.step_norm import normed
from lehr.train.floats.weighting import weighting
from lehr.train.keys.layer import Linear
from lehr.train.keys.network import NetworkRecipe


class Block(nn.Module):
    """One layer: weights, pooling, batch norm, neurons, in Eshraghian & Lu's order.

    Attributes:
        shape: of what the next layer gets, without time and batch.
        weight: as in `Weighting`, as are `pool`, `norm`, `window` and `max_pool`.
        neurons: what the current drives.
        recurrent: whether the spikes of the step before come back, through the last weights of each
            neuron, as many as there are neurons.
        delays: of what arrives; None where it arrives at once.
        by_step: whether batch norm takes the statistics of each time step by itself.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape) -> None:
        """Make layer `number`, from 0, of a network for inputs of `shape`."""
        super().__init__()
        layer = net.weighted[number]
        modules = weighting(net, number, shape)
        self.delays = None if layer.delay is None else Delays(layer.delay, shape[0])
        self.by_step = getattr(layer, "batch_norm", False) == "step"
        self.window, self.max_pool = modules.window, modules.max_pool
        channels, *size = modules.shape
        self.shape: Shape = (
            channels,
            *(n // p for n, p in zip(size, self.max_pool, strict=False)),
        )
        self.neurons = FloatNeurons(net, number, modules.shape, modules.weight.weight[0].numel())
        self.norm, self.pool, self.weight = modules.norm, modules.pool, modules.weight
        self.recurrent = isinstance(layer, Linear) and layer.recurrent

    @property
    def integrates(self) -> bool:
        """Whether its neurons never fire."""
        return self.neurons.integrates

    def current(self, x: Tensor, steps: int) -> Tensor:
        """Synaptic current `[T, N, ...]` of the neurons for inputs `[T, N, ...]`.

        T is 1, where an input is held, or `steps`.
        """
        flat = x.flatten(0, 1)
        if len(self.shape) == 1:
            flat = flat.flatten(1)
        # a held input is convolved once for all steps
        once = self.window == (1, 1) or len(x) == 1
        sums = self.pool(self.weight(flat)) if once else self._pooled(flat)
        if self.by_step and isinstance(self.norm, _BatchNorm):
            current = normed(self.norm, sums, len(x), steps)
        else:
            current = cast(Tensor, self.norm(sums))
        return current.view(*x.shape[:2], *current.shape[1:])

    def _pooled(self, x: Tensor) -> Tensor:
        """Convolution and average pooling in one."""
        conv = self.weight
        assert isinstance(conv, QuantizedConv2d)
        kernel = conv.quantizer.driving(conv.weight) / (self.window[0] * self.window[1])
        sums = convolved(x, kernel, *conv.geometry, Pool(self.window, self.window))
        return conv.quantizer.scaled(sums, conv.weight)

    def forward(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and membranes of the neurons, `[T, N, ...]`."""
        if self.delays is not None:
            x = self.delays(x.expand(steps, *x.shape[1:]))
        current, back = self._recurrent(x) if self.recurrent else (self.current(x, steps), None)
        spikes, membranes = self.neurons(current, steps, back)
        return spikes, membranes

    def _recurrent(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the current of the inputs, and what makes one of the spikes that come back.

        Batch norm takes its statistics of the inputs' current, and has one gain for both, so that
        one weight is worth the same and they share integers.
        """
        weight = self.weight.weight
        if isinstance(self.weight, QuantizedLinear):
            quantizer = self.weight.quantizer
            weight = quantizer.scaled(quantizer.driving(weight), weight)
        taken, returning = weight.split([weight.shape[1] - len(weight), len(weight)], 1)
        sums = functional.linear(x.flatten(0, 1).flatten(1), taken)
        gain = self.norm.gain(sums) if isinstance(self.norm, BatchNorm1d) else 1.0
        current = cast(Tensor, self.norm(sums)).view(*x.shape[:2], len(weight))
        return current, lambda spikes: functional.linear(spikes, returning) * gain

    def passed(self, spikes: Tensor) -> Tensor:
        """Return what the next layers get of the neurons' spikes, `[T, N, *shape]`."""
        return spikes if self.max_pool == (1, 1) else any_spike(spikes, self.max_pool)
