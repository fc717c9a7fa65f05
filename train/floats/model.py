"""The network of phase A.

It has quantized (or float) weights, float batch norm, neurons with annealed thresholds.

Tensors carry time first: `[T, N, ...]`. The net is feed-forward, so that each layer runs over all
steps at once, with time folded into the batch; an input that is held for all steps stays `[1, N,
...]` up to the first neurons.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.network import INPUT
from lehr.nodes import Shape
from lehr.train.floats.block import Block
from lehr.train.floats.delays import Delays
from lehr.train.floats.layers import Quantized
from lehr.train.keys.graph import FROM_INPUT
from lehr.train.keys.layer import Linear
from lehr.train.keys.network import NetworkRecipe

FULL_SCALE = 255
"""Pixels 0..255 enter training as 0..1."""


class FloatNet(nn.Module):
    """The whole network of a recipe.

    Attributes:
        shape: of the input, without time and batch.
        sources: of each layer, the numbers of those whose spikes it takes
            (`lehr.train.keys.graph`).
        full_scale: what the input's integers are divided by: FULL_SCALE for pixels, 1 for spikes
            and counts.
    """

    def __init__(self, recipe: NetworkRecipe, shape: Shape, full_scale: int = FULL_SCALE) -> None:
        """Make the network for inputs of `shape`, its weights random.

        Raises:
            UsageError: when it does not fit the input.
        """
        super().__init__()
        self.steps, self.shape, self.full_scale = recipe.steps, shape, full_scale
        self.sources = recipe.graph.sources
        self.blocks = nn.ModuleList()
        shapes = {FROM_INPUT: shape}
        for number, sources in enumerate(self.sources):
            if full_scale != 1:
                _require_no_sum_of_pixels(recipe, number)
                _require_no_recurrence_on_pixels(recipe, number)
            _require_one_shape(recipe, number, [shapes[source] for source in sources])
            block = Block(recipe, number, shapes[sources[0]])
            self.blocks.append(block)
            shapes[number] = block.shape
        for delays in self.delays.values():  # last, so that weights start as without them
            delays.draw()

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return [cast(Block, block) for block in self.blocks]

    @property
    def delays(self) -> dict[int, Delays]:
        """Axonal delays by the layer's number, from 1."""
        return {
            number: block.delays
            for number, block in enumerate(self.layers, start=1)
            if block.delays is not None
        }

    @property
    def weights(self) -> dict[int, Tensor]:
        """Latent weights by the layer's number, from 1."""
        return {number: block.weight.weight for number, block in enumerate(self.layers, start=1)}

    @property
    def quantized(self) -> list[Quantized]:
        """The layers of quantized weights."""
        return [block.weight for block in self.layers if isinstance(block.weight, Quantized)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of the last layer that fires, `[T, N, ...]`.

        Inputs are `[N, *shape]`, held for all steps, or `[N, T, *shape]`.
        """
        return self.run(x)[0][-1]

    def run(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return spikes of every layer that fires, `[T, N, ...]`, and membranes `[T, N, classes]`.

        The membranes are the output's.
        """
        x = x / self.full_scale
        held = x.ndim == len(self.shape) + 1
        steps = self.steps if held else x.shape[1]
        x = x.unsqueeze(0) if held else x.transpose(0, 1)
        passed, fired, membrane = {FROM_INPUT: x}, [], x
        for number, (block, sources) in enumerate(zip(self.layers, self.sources, strict=True)):
            first, *others = (passed[source] for source in sources)
            spikes, membrane = block(sum(others, first), steps)
            passed[number] = block.passed(spikes)
            if not block.integrates:
                fired.append(spikes)
        return fired, membrane

    def trained(self) -> dict[str, list[tuple[str, Tensor]]]:
        """Return all numbers that training sets, named, by layer.

        The thresholds of integrators are none.
        """
        return {
            f"layer {number}": [
                *(
                    (name.removeprefix("weight.").removeprefix("neurons."), tensor)
                    for name, tensor in block.named_parameters()
                ),
                *(
                    (name.removeprefix("neurons."), tensor)
                    for name, tensor in block.named_buffers()
                    if not (block.integrates and name == "neurons.threshold")
                ),
            ]
            for number, block in enumerate(self.layers, start=1)
        }

    def reestimate_batch_norm(self, batches: Iterable[Tensor]) -> None:
        """Replace the running statistics by the mean over all `batches`.

        They remember the last batches best.
        """
        norms = [m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative average
        self.eval()  # without dropout
        for norm in norms:
            norm.train()
        with torch.no_grad():
            for batch in batches:
                self(batch)
        self.eval()


def _require_no_sum_of_pixels(recipe: NetworkRecipe, number: int) -> None:
    """Refuse spikes added to pixels: in integers those count up to 255, in phase A up to 1."""
    sources = recipe.graph.sources[number]
    if FROM_INPUT in sources and len(sources) > 1:
        raise UsageError(
            f"{recipe.key(number)} takes a sum of spikes and the input, whose pixels are no "
            "spikes; add layers alone, or encode the pixels (data.encoding)"
        )


def _require_no_recurrence_on_pixels(recipe: NetworkRecipe, number: int) -> None:
    """Refuse spikes that come back to where pixels arrive, for the same reason."""
    layer = recipe.weighted[number]
    if isinstance(layer, Linear) and layer.recurrent and FROM_INPUT in recipe.graph.sources[number]:
        raise UsageError(
            f"{recipe.key(number)}.recurrent is true, but the layer takes pixels, to which spikes "
            "cannot be added; put a layer before it, or encode the pixels (data.encoding)"
        )


def _require_one_shape(recipe: NetworkRecipe, number: int, shapes: list[Shape]) -> None:
    if len(set(shapes)) > 1:
        names = (
            INPUT if source == FROM_INPUT else recipe.graph.names[source]
            for source in recipe.graph.sources[number]
        )
        listed = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
        raise UsageError(
            f"{recipe.key(number)} takes a sum of layers that differ in shape ({listed}); make "
            "their channels, strides and poolings agree"
        )
