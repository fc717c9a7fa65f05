"""One layer of phase A: what it makes of spikes, and its neurons."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from lehr.nodes import Shape
from lehr.train.float_neurons import FloatNeurons
from lehr.train.layers import QuantizedConv2d
from lehr.train.network_recipe import NetworkRecipe
from lehr.train.pooling import pooled_kernel
from lehr.train.weighting import weighting


class Block(nn.Module):
    """One layer: weights, average pooling, batch norm, neurons, in Eshraghian & Lu's order.

    Attributes:
        shape: of its output, without time and batch.
        weight: as in `Weighting`, as are `pool`, `norm` and `window`.
        neurons: what the current drives.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape) -> None:
        """Make layer `number`, from 0, of a network for inputs of `shape`."""
        super().__init__()
        modules = weighting(net, net.layers[number], shape)
        self.shape, self.window = modules.shape, modules.window
        self.neurons = FloatNeurons(net, number, self.shape, modules.weight.weight[0].numel())
        self.norm, self.pool, self.weight = modules.norm, modules.pool, modules.weight

    @property
    def integrates(self) -> bool:
        """Whether its neurons never fire."""
        return self.neurons.integrates

    def current(self, x: Tensor) -> Tensor:
        """Synaptic current `[T, N, *shape]` for inputs `[T, N, ...]`."""
        flat = x.flatten(0, 1)
        if len(self.shape) == 1:
            flat = flat.flatten(1)
        once = self.window == 1 or len(x) == 1  # a held input is convolved once for all steps
        current = cast(
            Tensor, self.norm(self.pool(self.weight(flat)) if once else self._pooled(flat))
        )
        return current.view(*x.shape[:2], *current.shape[1:])

    def _pooled(self, x: Tensor) -> Tensor:
        """Convolution and average pooling in one."""
        conv = self.weight
        assert isinstance(conv, QuantizedConv2d)
        kernel = pooled_kernel(
            conv.quantizer.driving(conv.weight),
            (self.window, self.window),
            (conv.stride[0], conv.stride[0]),
        )
        sums = functional.conv2d(
            x, kernel / self.window**2, None, conv.stride[0] * self.window, conv.padding[0]
        )
        return conv.quantizer.scaled(sums, conv.weight)

    def forward(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and membranes `[T, N, *shape]`."""
        spikes, membranes = self.neurons(self.current(x), steps)
        return spikes, membranes
