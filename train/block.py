"""One layer of phase A: what it makes of spikes, and its neurons."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from lehr.nodes import Shape
from lehr.train.float_neurons import FloatNeurons
from lehr.train.layers import QuantizedConv2d
from lehr.train.network_recipe import NetworkRecipe
from lehr.train.pooling import any_spike, pooled_kernel
from lehr.train.weighting import weighting


class Block(nn.Module):
    """One layer: weights, average pooling, batch norm, neurons, in Eshraghian & Lu's order.

    Attributes:
        shape: of what the next layer gets, without time and batch.
        weight: as in `Weighting`, as are `pool`, `norm`, `window` and `max_pool`.
        neurons: what the current drives.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape) -> None:
        """Make layer `number`, from 0, of a network for inputs of `shape`."""
        super().__init__()
        modules = weighting(net, number, shape)
        self.window, self.max_pool = modules.window, modules.max_pool
        channels, *size = modules.shape
        self.shape: Shape = (
            channels,
            *(n // p for n, p in zip(size, self.max_pool, strict=False)),
        )
        self.neurons = FloatNeurons(net, number, modules.shape, modules.weight.weight[0].numel())
        self.norm, self.pool, self.weight = modules.norm, modules.pool, modules.weight

    @property
    def integrates(self) -> bool:
        """Whether its neurons never fire."""
        return self.neurons.integrates

    def current(self, x: Tensor) -> Tensor:
        """Synaptic current `[T, N, ...]` of the neurons for inputs `[T, N, ...]`."""
        flat = x.flatten(0, 1)
        if len(self.shape) == 1:
            flat = flat.flatten(1)
        # a held input is convolved once for all steps
        once = self.window == (1, 1) or len(x) == 1
        current = cast(
            Tensor, self.norm(self.pool(self.weight(flat)) if once else self._pooled(flat))
        )
        return current.view(*x.shape[:2], *current.shape[1:])

    def _pooled(self, x: Tensor) -> Tensor:
        """Convolution and average pooling in one."""
        conv = self.weight
        assert isinstance(conv, QuantizedConv2d)
        high, wide = self.window
        step_y, step_x = conv.stride
        kernel = pooled_kernel(conv.quantizer.driving(conv.weight), self.window, (step_y, step_x))
        sums = functional.conv2d(
            x,
            kernel / (high * wide),
            None,
            (step_y * high, step_x * wide),
            conv.padding,
            groups=conv.groups,
        )
        return conv.quantizer.scaled(sums, conv.weight)

    def forward(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and membranes of the neurons, `[T, N, ...]`."""
        spikes, membranes = self.neurons(self.current(x), steps)
        return spikes, membranes

    def passed(self, spikes: Tensor) -> Tensor:
        """Return what the next layers get of the neurons' spikes, `[T, N, *shape]`."""
        return spikes if self.max_pool == (1, 1) else any_spike(spikes, self.max_pool)
