"""Neurons of the training twin: integers in the forward pass, gradients for thresholds and biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lehr.errors import NotMappable
from lehr.network import Neuron
from lehr.train import lif
from lehr.train.quantize import straight_through


def rounded(value: Tensor) -> Tensor:
    """Round to integers, to even at ties, with a straight-through gradient."""
    return straight_through(value, torch.round)


class TwinNeuron(nn.Module):
    """A neuron layer in integers.

    Attributes:
        threshold, bias: float `[channels]`, in the membrane units of training; rounding `value / unit` gives the integers.
        integrates: whether it never fires.
        unit: what an integer membrane step is worth in the units of training, a power of two.
    """

    def __init__(self, neuron: Neuron, unit: float, slope: float) -> None:
        super().__init__()
        if neuron.fields.update == "event":
            raise NotMappable("update is 'event', which the training twin does not compute; train with update 'step'")
        if neuron.synapse is not None:
            raise NotMappable("has a synapse state, which the training twin does not compute; train without it")
        self.arithmetic, self.unit, self.slope, self.integrates = neuron.fields, unit, slope, neuron.integrates
        self.threshold = nn.Parameter(torch.tensor(neuron.threshold * unit, dtype=torch.get_default_dtype()))
        self.bias = nn.Parameter(torch.tensor(neuron.bias * unit, dtype=torch.get_default_dtype()))

    def integers(self) -> tuple[Tensor, Tensor]:
        """Threshold (at least 1; 0 in an integrator, which has none) and bias as integers `[channels]`, with gradients."""
        bias = rounded(self.bias / self.unit)
        return (torch.zeros_like(bias) if self.integrates else rounded(self.threshold / self.unit).clamp(min=1)), bias

    def forward(self, current: Tensor, steps: int, state: lif.State) -> tuple[Tensor, Tensor, lif.State]:
        """Run `steps` steps on `current` `[steps or 1, N, *shape]`.

        Returns:
            Spikes and membranes `[steps, N, *shape]`, and the state (membrane, last spikes) for the step that follows.
        """
        rule = lif.integer_rule(self.arithmetic, self.unit, self.slope, current.dtype)
        threshold, bias = self.integers()
        threshold = torch.full_like(bias, torch.inf) if self.integrates else threshold
        spikes, membranes = lif.scan(current, threshold, bias, rule, steps, state)
        return spikes, membranes, (membranes[-1], spikes[-1])
