"""Constrained backpropagation: real-valued weights that a constraint draws to the levels.

The loss gets a sum over all weights, multiplier * constraint, as a Lagrangian does. The constraint
is 0 at the levels, and elsewhere twice the distance from the nearest one, in levels. Between two
levels it is 0 again within a window about the middle, where a weight is still free to choose: a
share 1/g of the way from the middle to a level, on both sides. g starts at 1, where the window
leaves no constraint between levels. Multipliers start at 0.

When the sum of the losses of `interval` batches, the Lagrangian, has not fallen, or after `period`
such intervals, g grows by 1, from 10 on by 10, and every multiplier by `rate` times its weight's
constraint: it climbs the Lagrangian, while the optimiser descends it. So weights come to lie at
levels, and little is lost where they are quantized, when phase A has ended.

Sources: Kim & Jeong 2021, "CBP: backpropagation with constraint on weight precision using a
pseudo-Lagrange multiplier method"; Yoo & Jeong 2023, "CBP-QSNN: Spiking neural networks quantized
using constrained backpropagation". Constraint, window, its growth and when multipliers are updated
are as in the code that the former publish, and so is what a level is worth: the mean magnitude of a
layer's weights at the start. Four things are not. Their multipliers move by Adam, here by plain
gradient ascent. Their forward pass takes quantized weights, whose rounding it has to differentiate
straight through; here the forward pass of training takes the real ones (`forward = "quantized"` is
theirs), and that of evaluation the quantized ones. Their interval is an epoch, of hundreds. They
start from a network of real weights, trained before; here phase A trains them first, for the share
`after` of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lehr.train.floats.layers import Quantized
from lehr.train.floats.quantize import Drawn
from lehr.train.keys.training import Constrained

SLOPE = 2.0
"""Of the constraint, by level."""

AT_LEVEL = 0.05
"""How far from a level a weight may lie, in levels, to count as being at it."""


def free(g: float) -> float:
    """Return how near to a level the window comes, as a share of the way to the middle: 1 - 1/g."""
    return 1 - 1 / g


def constraint(weight: Tensor, largest: int, spacing: float, reach: float) -> Tensor:
    """Return the constraint of each weight, with its gradient.

    Args:
        weight: any shape, in levels.
        largest: the greatest level, the least is its negative.
        spacing: of neighbouring levels.
        reach: how near to the middle of two levels the constraint goes, 0..1 of the way.
    """
    distance = (weight - nearest(weight.detach(), largest, spacing)).abs()
    constrained = (distance <= reach * spacing / 2) | (weight.abs() > largest)
    return SLOPE * distance * constrained


def nearest(weight: Tensor, largest: int, spacing: float) -> Tensor:
    """Return the level nearest to each weight, the upper one of two."""
    steps = ((weight + largest) / spacing + 0.5).floor()
    return (steps * spacing - largest).clamp(-largest, largest)


class Constraint(nn.Module):
    """Multipliers of all quantized layers, and the window, which is theirs alike.

    Its buffers are what a run that is taken up again must set.

    Attributes:
        batch: batches trained so far.
        g: as in the module's text.
        now: sum of the losses of the interval's batches so far.
        last: that of the interval before; infinite after an update.
        waited: intervals since the last update.
    """

    def __init__(self, layers: Sequence[Quantized], recipe: Constrained, batches: int) -> None:
        """Give the layers quantizers that draw, for a phase A of `batches` batches."""
        super().__init__()
        self._layers, self._recipe = list(layers), recipe
        self._first = int(recipe.after * batches)
        for layer in layers:
            layer.quantizer = Drawn(
                layer.quantizer.kind, layer.weight, real=recipe.forward == "real"
            )
        self.batch: Tensor
        self.g: Tensor
        self.now: Tensor
        self.last: Tensor
        self.waited: Tensor
        self.register_buffer("batch", torch.tensor(0))
        self.register_buffer("g", torch.tensor(1.0))
        self.register_buffer("now", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("last", torch.tensor(torch.inf, dtype=torch.float64))
        self.register_buffer("waited", torch.tensor(0))
        for number, layer in enumerate(layers):
            self.register_buffer(f"multipliers_{number}", torch.zeros_like(layer.weight))

    def _each(self) -> list[tuple[Tensor, Tensor]]:
        """Return every layer's multipliers and constraints."""
        reach = free(float(self.g))
        pairs = []
        for number, layer in enumerate(self._layers):
            drawn = cast(Drawn, layer.quantizer)
            pairs.append(
                (
                    self.get_buffer(f"multipliers_{number}"),
                    constraint(drawn.real(layer.weight), drawn.largest, drawn.spacing, reach),
                )
            )
        return pairs

    def penalty(self) -> Tensor:
        """Return what the loss gets, a scalar."""
        return torch.stack([(by * values).sum() for by, values in self._each()]).sum()

    def after_batch(self, lagrangian: float) -> None:
        """Update the multipliers and the window where it is time.

        Args:
            lagrangian: the batch's loss, the penalty included.
        """
        self.batch += 1
        counted = int(self.batch) - self._first
        if counted <= 0:
            if counted == 0:
                self._climb()
            return
        self.now += lagrangian
        if counted % self._recipe.interval:
            return
        self.waited += 1
        if self.now < self.last and int(self.waited) < self._recipe.period:
            self.last.copy_(self.now)
        else:
            self.last.fill_(torch.inf)
            self.waited.zero_()
            self.g += 1 if self.g < 10 else 10
            self._climb()
        self.now.zero_()

    def _climb(self) -> None:
        """Take a step of gradient ascent with every multiplier."""
        with torch.no_grad():
            for multipliers, values in self._each():
                multipliers += self._recipe.rate * values

    def at_levels(self) -> float:
        """Return the share of all weights that lie at a level, 0..1."""
        near = total = 0
        with torch.no_grad():
            for layer in self._layers:
                drawn = cast(Drawn, layer.quantizer)
                weight = drawn.real(layer.weight)
                away = (weight - nearest(weight, drawn.largest, drawn.spacing)).abs()
                near, total = near + int((away <= AT_LEVEL).sum()), total + away.numel()
        return near / total
