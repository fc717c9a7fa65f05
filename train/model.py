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
from torch.nn import functional

from lehr.errors import UsageError
from lehr.nodes import Shape, values_in
from lehr.train import lif, twin_update
from lehr.train.layers import Quantized, QuantizedConv2d, QuantizedLinear
from lehr.train.network_recipe import Conv, Integrator, Linear, NetworkRecipe
from lehr.train.pooling import pooled_kernel
from lehr.train.quantize import quantizer
from lehr.train.twin_update import Surrogate
from lehr.train.updates import update_of
from lehr.update import Program

FULL_SCALE = 255
"""Pixels 0..255 enter training as 0..1."""


GAIN = 2.0
"""Of an integrator's gain at the start, times the root of its fan-in.

Scores differ by a few units then, as a softmax wants them.
"""


class Block(nn.Module):
    """One layer: weights, average pooling, batch norm, neurons, in Eshraghian & Lu's order.

    Attributes:
        shape: of its output, without time and batch.
        integrates: whether its neurons never fire.
        threshold: of its neurons, a scalar that annealing changes in place; infinite where they
            never fire.
        gain: of an integrator's current, a scalar that is trained: what one weight is worth to the
            loss. 1 in all other layers.
        bias: of its neurons, by channel; zeros that are not trained where the recipe wants none.
        dropout: of the current, anew in every step; nothing in evaluation.
        window: of the pooling that the convolution can compute with its own kernel; 1 where it
            cannot.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape) -> None:
        super().__init__()
        recipe = net.layers[number]
        kind, self.integrates = net.kind, isinstance(recipe, Integrator)
        self.norm: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        self.window = 1
        if isinstance(recipe, Conv):
            window = (shape[0], recipe.channels, recipe.kernel, recipe.stride, recipe.padding)
            self.weight: nn.Conv2d | nn.Linear = (
                QuantizedConv2d(quantizer(kind, net.learned_step), *window)
                if kind
                else nn.Conv2d(*window, bias=False)
            )
            size = [
                (n + 2 * recipe.padding - recipe.kernel) // recipe.stride + 1 for n in shape[1:]
            ]
            if min(size) < recipe.pool:
                raise UsageError(
                    f"a conv layer of kernel {recipe.kernel} and pool {recipe.pool} gets "
                    f"{shape[1:]} pixels; make it smaller"
                )
            values_in(f"a conv layer of padding {recipe.padding}", (recipe.channels, *size))
            self.shape: Shape = (recipe.channels, *(n // recipe.pool for n in size))
            if recipe.batch_norm:
                self.norm = nn.BatchNorm2d(recipe.channels)
            if recipe.pool > 1:
                self.pool = nn.AvgPool2d(recipe.pool)
            # sums of integers times spikes, and a quarter of them, are exact in any order
            self.window = recipe.pool if kind and recipe.pool in (2, 4, 8) else 1
        else:
            features = int(torch.Size(shape).numel())
            self.weight = (
                QuantizedLinear(quantizer(kind, net.learned_step), features, recipe.features)
                if kind
                else nn.Linear(features, recipe.features, bias=False)
            )
            self.shape = (recipe.features,)
            if isinstance(recipe, Linear) and recipe.batch_norm:
                self.norm = nn.BatchNorm1d(recipe.features)
        if net.init == "glorot":
            nn.init.xavier_uniform_(self.weight.weight, gain=0.5)
        self.bias = nn.Parameter(torch.zeros(self.shape[0]), recipe.bias)
        self.dropout = nn.Dropout(recipe.dropout)
        self.update, self.beta = update_of(net, number), net.trained_beta
        self.slope, self.in_thresholds = net.slope, net.slope_in == "thresholds"
        # as many weights of +-1 sum up to about the root of their number
        start = GAIN / self.weight.weight[0].numel() ** 0.5 if self.integrates else 1.0
        self.gain = nn.Parameter(torch.tensor(start), self.integrates)
        self.threshold: Tensor
        self.register_buffer(
            "threshold",
            torch.tensor(torch.inf if isinstance(recipe, Integrator) else recipe.threshold.start),
        )

    def current(self, x: Tensor) -> Tensor:
        """Synaptic current `[T, N, *shape]` for inputs `[T, N, ...]`."""
        flat = x.flatten(0, 1)
        if len(self.shape) == 1:
            flat = flat.flatten(1)
        once = self.window == 1 or len(x) == 1  # a held input is convolved once for all steps
        current = cast(
            Tensor, self.norm(self.pool(self.weight(flat)) if once else self._pooled(flat))
        )
        current = current * self.gain if self.integrates else current
        return current.view(*x.shape[:2], *current.shape[1:])

    def _pooled(self, x: Tensor) -> Tensor:
        """Convolution and average pooling in one."""
        conv = self.weight
        assert isinstance(conv, QuantizedConv2d)
        kernel = pooled_kernel(
            conv.quantizer.levels(conv.weight),
            (self.window, self.window),
            (conv.stride[0], conv.stride[0]),
        )
        sums = functional.conv2d(
            x, kernel / self.window**2, None, conv.stride[0] * self.window, conv.padding[0]
        )
        return conv.quantizer.scaled(sums, conv.weight)

    def forward(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and membranes `[T, N, *shape]`."""
        current = self.current(x)
        bias: Tensor = self.bias
        if self.training and self.dropout.p:
            # as in the paper's code the bias is dropped with the current, and a held current anew
            # in every step
            current = current + bias.view(-1, *[1] * (len(self.shape) - 1))
            current, bias = (
                self.dropout(current.expand(steps, *current.shape[1:])),
                torch.zeros_like(bias),
            )
        arithmetic, beta = self.update.arithmetic, self.beta
        if isinstance(arithmetic, Program):
            return self._stepped(arithmetic, current, bias, steps)
        assert beta is not None, "fields have a decay"
        in_thresholds = self.in_thresholds and not self.integrates  # whose threshold is infinite
        rule = lif.float_rule(
            beta, self.slope, current.dtype, arithmetic, in_thresholds=in_thresholds
        )
        return lif.scan(current, self.threshold, bias, rule, steps)

    def _stepped(
        self, program: Program, current: Tensor, bias: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Run a program's update, statement by statement.

        Its registers are in units of 2**-fraction_bits, as in the integers.
        """
        assert self.update.fraction_bits is not None, "a program shifts its input"
        one = 2.0**self.update.fraction_bits
        given = {
            name: torch.tensor(value, device=current.device)
            for name, value in self.update.parameters.items()
        }
        given |= {"threshold": self.threshold * one, "bias": bias * one}
        surrogate = Surrogate(1 / one, self.slope, self.in_thresholds)
        spikes, membranes, _ = twin_update.scan(
            program, current, given, steps, {}, surrogate, smooth=True
        )
        return spikes, membranes / one


class FloatNet(nn.Module):
    """The whole network of a recipe.

    Attributes:
        shape: of the input, without time and batch.
        full_scale: what the input's integers are divided by: FULL_SCALE for pixels, 1 for spikes
            and counts.
    """

    def __init__(self, recipe: NetworkRecipe, shape: Shape, full_scale: int = FULL_SCALE) -> None:
        super().__init__()
        self.steps, self.shape, self.full_scale = recipe.steps, shape, full_scale
        self.blocks = nn.ModuleList()
        for number, layer in enumerate(recipe.layers):
            if isinstance(layer, Conv) and len(shape) != 3:
                raise UsageError(
                    f"a conv layer gets inputs of shape {shape}, which are no channels, rows and "
                    "columns; use linear layers"
                )
            block = Block(recipe, number, shape)
            self.blocks.append(block)
            shape = block.shape

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return [cast(Block, block) for block in self.blocks]

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
        outputs, membrane = [], x
        for block in self.layers:
            x, membrane = block(x, steps)
            outputs.append(x)
        return [
            spikes
            for block, spikes in zip(self.layers, outputs, strict=True)
            if not block.integrates
        ], membrane

    def trained(self) -> dict[str, list[tuple[str, Tensor]]]:
        """Return all numbers that training sets, named, by layer.

        The thresholds of integrators are none.
        """
        return {
            f"layer {number}": [
                *(
                    (name.removeprefix("weight."), tensor)
                    for name, tensor in block.named_parameters()
                ),
                *(
                    (name, tensor)
                    for name, tensor in block.named_buffers()
                    if not (block.integrates and name == "threshold")
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
