"""Neurons of the training twin: integers in the forward pass, and gradients.

These are for what thresholds, biases and other parameters are made of.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lehr.network import Neuron
from lehr.nodes import Int32Array
from lehr.train.floats import lif
from lehr.train.floats.quantize import straight_through
from lehr.train.keys.fused import decays_by_channel, fields_of
from lehr.train.keys.shares import Shares
from lehr.train.twin import update as twin_update
from lehr.train.twin.update import Surrogate
from lehr.update import FIRED, Bound, Leak, reads

_EACH = Shares()
"""Each channel, or neuron, has a threshold of its own, any integer from 1."""
States = Mapping[str, Tensor]
"""What lives from step to step, by register, `[N, *shape]` each."""


def rounded(value: Tensor) -> Tensor:
    """Round to integers, to even at ties, with a straight-through gradient."""
    return straight_through(value, torch.round)


class TwinNeuron(nn.Module):
    """A neuron layer in integers.

    A program that fields say runs in the fused loops of `lehr.train.floats.lif`, any other one
    statement by statement.

    Attributes:
        threshold: float, in the membrane units of training, of the shape that it has in the
            network, or one for each share of channels; rounding `value / unit` gives the integers.
        bias: likewise, of the shape that it has in the network.
        program: the update of one step.
        integrates: whether it never fires.
        unit: what an integer membrane step is worth in the units of training, a power of two.
    """

    def __init__(
        self,
        neuron: Neuron,
        surrogate: Surrogate,
        shares: Shares = _EACH,
        threshold: nn.Parameter | None = None,
        *,
        biases: bool = True,
    ) -> None:
        """Make the neurons of a layer.

        Args:
            neuron: of the integer network; its thresholds are equal within each share, and on the
                grid.
            surrogate: how spikes pass gradients; its unit is the attribute.
            shares: of the thresholds.
            threshold: the parameter of another layer, if this one has the same threshold.
            biases: whether they learn; they stay as they are if not.

        Raises:
            NotMappable: when there is no rule for a statement.
        """
        super().__init__()
        self.program, self.surrogate, self.unit, self.integrates = (
            neuron.program,
            surrogate,
            surrogate.unit,
            neuron.integrates,
        )
        for statement in self.program.all:
            _ = twin_update.RULES[type(statement)]
        self._fields = fields_of(self.program)
        fixed = set[str]().union(
            *(reads(s) for s in self.program.all if isinstance(s, (Leak, Bound)))
        )
        self._levels = {"threshold", *(s.level for s in self.program.fires)}
        self._shares, self._groups = shares, shares.groups(neuron.channels)
        first = np.unique(self._groups, return_index=True)[1]
        self.threshold = (
            threshold if threshold is not None else self._trained(neuron.threshold[first])
        )
        self.bias = self._trained(neuron.bias).requires_grad_(biases)
        self._names = [name for name in neuron.parameters if name not in fixed]
        self._others = nn.ParameterList(
            [self._trained(neuron.parameters[name]) for name in self._names]
        )
        self._fixed = [name for name in self.program.parameters if name in fixed]
        for name in self._fixed:
            self.register_buffer(
                f"_fixed_{name}",
                torch.tensor(neuron.values[name], dtype=torch.int64),
                persistent=False,
            )

    def _trained(self, value: Int32Array) -> nn.Parameter:
        """In the default type, or in double where that does not hold the integers."""
        whole = torch.tensor(value * self.unit, dtype=torch.float64)
        usual = whole.to(torch.get_default_dtype())
        return nn.Parameter(usual if torch.equal(usual.double(), whole) else whole)

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """Return thresholds, biases and what else the program adds, puts or compares with, by name.

        Not what sets decays or ends of a Bound.
        """
        return {
            "threshold": self.threshold,
            "bias": self.bias,
            **dict(zip(self._names, self._others, strict=True)),
        }

    def integers(self) -> dict[str, Tensor]:
        """Return all parameters as integers, with gradients.

        Levels of spikes are at least 1; what the program does not read is 0.
        """
        integers = {
            name: rounded(value / self.unit)
            for name, value in self.trained.items()
            if name != "threshold"
        }
        integers |= {
            name: value.clamp(min=1) for name, value in integers.items() if name in self._levels
        }
        integers = {"threshold": self._thresholds(), **integers}
        integers |= {
            name: torch.zeros_like(value)
            for name, value in integers.items()
            if name not in self.program.parameters
        }
        return integers | {name: self.get_buffer(f"_fixed_{name}") for name in self._fixed}

    def _thresholds(self) -> Tensor:
        """On their grid, of the shape that they have in the network."""
        multiple, highest = self._shares.multiple, self._shares.highest
        whole = rounded(self.threshold / (self.unit * multiple)).clamp(
            min=1, max=None if highest is None else highest // multiple
        )
        whole = whole if multiple == 1 else whole * multiple
        return (
            whole
            if self._shares.share == "channel"
            else whole[torch.from_numpy(self._groups).to(whole.device)]
        )

    def clamp(self, highest: int) -> None:
        """Keep every level of spikes from 1 to an integer.

        Thresholds stay from the least to the greatest on their grid.
        """
        with torch.no_grad():
            for name, value in self.trained.items():
                if name == "threshold":
                    value.clamp_(
                        self._shares.multiple * self.unit, self._shares.most(highest) * self.unit
                    )
                elif name in self._levels:
                    value.clamp_(self.unit, highest * self.unit)

    def freeze(self) -> None:
        """Make all parameters the integers that they round to, for good."""
        with torch.no_grad():
            integers = self.integers()
            for name, value in self.trained.items():
                whole = integers[name]
                if name == "threshold":
                    whole = whole[
                        torch.from_numpy(np.unique(self._groups, return_index=True)[1]).to(
                            whole.device
                        )
                    ]
                value.copy_(whole * self.unit)
                value.requires_grad_(False)

    def _decay(self, given: Mapping[str, Tensor]) -> Tensor | float:
        """Return the factor of the fused loops, which may be by channel."""
        assert self._fields is not None
        [name, *_] = [*decays_by_channel(self.program), ""]
        if not name:
            return self._fields.beta
        return given[name].double() / (1 << self._fields.decay_shift)

    def begin(self, zero: Tensor) -> States:
        """Return the states before the first step."""
        return dict.fromkeys(self.program.states, zero)

    def forward(
        self, current: Tensor, given: Mapping[str, Tensor], steps: int, states: States
    ) -> tuple[Tensor, Tensor, States]:
        """Run `steps` steps on `current` `[steps or 1, N, *shape]`, with what `integers` gave.

        Returns:
            Spikes and membranes `[steps, N, *shape]`, and the states for the step that follows.
        """
        if self._fields is None:
            return twin_update.scan(self.program, current, given, steps, states, self.surrogate)
        in_thresholds = (
            self.surrogate.in_thresholds and not self.integrates
        )  # whose threshold is infinite
        rule = lif.integer_rule(
            self._fields,
            self.unit,
            self.surrogate.slope,
            current.dtype,
            in_thresholds=in_thresholds,
        )
        threshold, bias = given["threshold"], given["bias"]
        threshold = torch.full_like(threshold, torch.inf) if self.integrates else threshold
        membrane = states[self.program.membrane]
        before = (membrane, states.get(FIRED, torch.zeros_like(membrane)))
        spikes, membranes = lif.scan(
            current, threshold, bias, self._decay(given), rule, steps, before
        )
        last = {self.program.membrane: membranes[-1], FIRED: spikes[-1]}
        return spikes, membranes, {name: last[name] for name in self.program.states}
