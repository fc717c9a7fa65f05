"""The network of phase A: binarized (or float) weights, float batch norm, snnTorch's Leaky neurons with annealed thresholds.

Tensors carry time first: `[T, N, ...]`. The net is feed-forward, so that each layer runs over all steps at once, with time folded
into the batch; an input that is held for all steps stays `[1, N, ...]` up to the first neurons.
"""

from __future__ import annotations

from typing import cast

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.nodes import Shape
from lehr.train.binarize import BinaryConv2d, BinaryLinear
from lehr.train.recipe import Conv, Linear, NetworkRecipe

FULL_SCALE = 255
"""Pixels 0..255 enter training as 0..1."""


class Block(nn.Module):
    """One layer: weights, batch norm, average pooling, neurons.

    Attributes:
        shape: of its output, without time and batch.
    """

    def __init__(self, recipe: Conv | Linear, net: NetworkRecipe, shape: Shape) -> None:
        super().__init__()
        binary = net.weights == "binarized"
        self.norm: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        if isinstance(recipe, Conv):
            window = (shape[0], recipe.channels, recipe.kernel, recipe.stride, recipe.padding)
            self.weight: nn.Conv2d | nn.Linear = BinaryConv2d(*window) if binary else nn.Conv2d(*window, bias=False)
            size = [(n + 2 * recipe.padding - recipe.kernel) // recipe.stride + 1 for n in shape[1:]]
            if min(size) < recipe.pool:
                raise UsageError(f"a conv layer of kernel {recipe.kernel} and pool {recipe.pool} gets {shape[1:]} pixels; make it smaller")
            self.shape: Shape = (recipe.channels, *(n // recipe.pool for n in size))
            if recipe.batch_norm:
                self.norm = nn.BatchNorm2d(recipe.channels)
            if recipe.pool > 1:
                self.pool = nn.AvgPool2d(recipe.pool)
        else:
            features = int(torch.Size(shape).numel())
            self.weight = BinaryLinear(features, recipe.features) if binary else nn.Linear(features, recipe.features, bias=False)
            self.shape = (recipe.features,)
            if recipe.batch_norm:
                self.norm = nn.BatchNorm1d(recipe.features)
        self.neuron = snntorch.Leaky(beta=float(net.decay), threshold=recipe.threshold.start, spike_grad=surrogate.fast_sigmoid(net.slope))

    @property
    def threshold(self) -> Tensor:
        """The neurons' threshold, a scalar that annealing changes in place."""
        return cast(Tensor, self.neuron.threshold)

    def current(self, x: Tensor) -> Tensor:
        """Synaptic current `[T, N, *shape]` for inputs `[T, N, ...]`."""
        flat = x.flatten(0, 1)
        if len(self.shape) == 1:
            flat = flat.flatten(1)
        current = cast(Tensor, self.pool(self.norm(self.weight(flat))))
        return current.view(*x.shape[:2], *current.shape[1:])

    def forward(self, x: Tensor, steps: int) -> Tensor:
        """Spikes `[T, N, *shape]`."""
        current = self.current(x)
        membrane, spikes = torch.zeros_like(current[0]), []
        for t in range(steps):
            spike, membrane = self.neuron(current[t if len(current) > 1 else 0], membrane)
            spikes.append(spike.to(membrane.dtype))  # snnTorch's are float32, whatever the membrane is
        return torch.stack(spikes)


class FloatNet(nn.Module):
    """The whole network of a recipe, for inputs of `shape`."""

    def __init__(self, recipe: NetworkRecipe, shape: Shape) -> None:
        super().__init__()
        self.steps = recipe.steps
        self.blocks = nn.ModuleList()
        for layer in recipe.layers:
            block = Block(layer, recipe, shape)
            self.blocks.append(block)
            shape = block.shape

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return [cast(Block, block) for block in self.blocks]

    def forward(self, x: Tensor) -> Tensor:
        """Output spikes `[T, N, classes]` for pixels 0..255, `[N, *shape]` held for all steps."""
        return self.spikes(x)[-1]

    def spikes(self, x: Tensor) -> list[Tensor]:
        """Spikes of every layer, `[T, N, ...]` each."""
        x = (x / FULL_SCALE).unsqueeze(0)
        found = []
        for block in self.layers:
            x = block(x, self.steps)
            found.append(x)
        return found

    def reestimate_batch_norm(self, batches: list[Tensor]) -> None:
        """Replace the running statistics, which remember the last batches best, by the mean over all `batches`."""
        norms = [m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative average
        self.train()
        with torch.no_grad():
            for batch in batches:
                self(batch)
        self.eval()
