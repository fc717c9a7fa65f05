"""The neurons of a layer in phase A, in floats."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lehr.nodes import Shape
from lehr.train import lif, twin_update
from lehr.train.network_recipe import Integrator, NetworkRecipe
from lehr.train.twin_update import Surrogate
from lehr.train.updates import update_of
from lehr.update import Program

GAIN = 2.0
"""Of an integrator's gain at the start, times the root of its fan-in.

Scores differ by a few units then, as a softmax wants them.
"""


class FloatNeurons(nn.Module):
    """The neurons of one layer.

    Attributes:
        shape: of the layer, without time and batch.
        integrates: whether they never fire.
        update: what they compute in the integers.
        beta: decay of their membrane; None where a machine's parameters say it.
        slope: of the surrogate gradient.
        in_thresholds: whether its distances are counted in thresholds.
        threshold: a scalar that annealing changes in place; infinite where they never fire.
        gain: of an integrator's current, a scalar that is trained: what one weight is worth to the
            loss. 1 in all other layers.
        bias: by channel; zeros that are not trained where the recipe wants none.
        dropout: of the current, anew in every step; nothing in evaluation.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape, fan_in: int) -> None:
        """Make the neurons of layer `number`, from 0; `fan_in` weights drive each of them."""
        super().__init__()
        layer = net.layers[number]
        self.shape, self.integrates = shape, isinstance(layer, Integrator)
        self.bias = nn.Parameter(torch.zeros(shape[0]), layer.bias)
        self.dropout = nn.Dropout(layer.dropout)
        self.update, self.beta = update_of(net, number), net.trained_beta
        self.slope, self.in_thresholds = net.slope, net.slope_in == "thresholds"
        # as many weights of +-1 sum up to about the root of their number
        start = GAIN / fan_in**0.5 if self.integrates else 1.0
        self.gain = nn.Parameter(torch.tensor(start), self.integrates)
        self.threshold: Tensor
        self.register_buffer(
            "threshold",
            torch.tensor(torch.inf if isinstance(layer, Integrator) else layer.threshold.start),
        )

    def forward(self, current: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and membranes `[steps, N, *shape]` for a current `[steps or 1, N, *shape]`."""
        current = current * self.gain if self.integrates else current
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
