"""The neurons of a layer in phase A, in floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lehr.nodes import Shape
from lehr.programs import CURRENT
from lehr.train.floats import lif
from lehr.train.floats.dropout import Dropout
from lehr.train.floats.spread import mean_and_spread
from lehr.train.keys.adaptation import JUMP
from lehr.train.keys.layer import Integrator
from lehr.train.keys.network import NetworkRecipe
from lehr.train.keys.updates import NAMES, update_of
from lehr.train.twin import update as twin_update
from lehr.train.twin.update import Surrogate
from lehr.update import FIRED, MEMBRANE, Program

GAIN = 2.0
"""Of an integrator's gain at the start, times the root of its fan-in.

Scores differ by a few units then, as a softmax wants them.
"""
LEAST_THRESHOLD = 0.01
"""A threshold that is learned stays above this, in weights, whatever the optimiser does to it."""

States = Mapping[str, Tensor]
"""What lives from step to step, by register, `[N, *shape]` each."""


class FloatNeurons(nn.Module):
    """The neurons of one layer.

    Attributes:
        shape: of the layer, without time and batch.
        integrates: whether they never fire.
        update: what they compute in the integers.
        beta: decay of their membrane at the start; None where a machine's parameters say it.
        slope: of the surrogate gradient.
        in_thresholds: whether its distances are counted in thresholds.
        threshold: a scalar that annealing changes in place, or that is trained; infinite where they
            never fire.
        decays: of the decays that are learned, by name, a scalar or one by channel; the factor is
            the logistic function of it, as in Fang et al. 2021, "Incorporating learnable membrane
            time constant to enhance learning of spiking neural networks", Eq. 8.
        gain: of an integrator's current, a scalar that is trained: what one weight is worth to the
            loss. 1 in all other layers.
        bias: by channel; zeros that are not trained where the recipe wants none.
        dropout: of the current, anew in every step; nothing in evaluation.
    """

    def __init__(self, net: NetworkRecipe, number: int, shape: Shape, fan_in: int) -> None:
        """Make the neurons of layer `number`, from 0; `fan_in` weights drive each of them."""
        super().__init__()
        layer = net.weighted[number]
        self.shape, self.integrates = shape, isinstance(layer, Integrator)
        self.bias = nn.Parameter(torch.zeros(shape[0]), layer.bias)
        self.dropout = Dropout(layer.dropout)
        self.update, self.beta = update_of(net, number), net.trained_beta(number)
        self.slope = net.slope
        # that of integrators is infinite
        self.in_thresholds = net.slope_in == "thresholds" and not self.integrates
        # as many weights of +-1 sum up to about the root of their number
        start = GAIN / fan_in**0.5 if self.integrates else 1.0
        self.gain = nn.Parameter(torch.tensor(start), self.integrates)
        self.decays = nn.ParameterDict(
            {
                NAMES[x]: torch.full(
                    shape[:1] if decay.learn == "channel" else (), float(decay.factor)
                ).logit()
                for x, decay in self.update.learned.items()
            }
        )
        self.threshold: Tensor
        if isinstance(layer, Integrator):
            self.register_buffer("threshold", torch.tensor(torch.inf))
        elif layer.threshold.learned:
            self.threshold = nn.Parameter(torch.tensor(layer.threshold.start))
        else:
            self.register_buffer("threshold", torch.tensor(layer.threshold.start))

    @property
    def factors(self) -> dict[str, npt.NDArray[np.float64]]:
        """The decays that are learned as they stand now, by register, `[1]` or `[channels]`."""
        return {
            x: self.decays[NAMES[x]].detach().sigmoid().double().flatten().numpy(force=True)
            for x in self.update.learned
        }

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return mean and standard deviation of each decay that is learned, by its key."""
        return {NAMES[x]: mean_and_spread(factors) for x, factors in self.factors.items()}

    def clamp(self) -> None:
        """Keep a threshold that is learned above LEAST_THRESHOLD."""
        if isinstance(self.threshold, nn.Parameter):
            with torch.no_grad():
                self.threshold.clamp_(min=LEAST_THRESHOLD)

    def forward(
        self, current: Tensor, steps: int, back: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run all steps.

        Args:
            current: `[steps or 1, N, *shape]`.
            steps: how many.
            back: from the spikes of the step before, `[N, *shape]`, to the current that they add;
                None where none come back.

        Returns:
            Spikes and membranes `[steps, N, *shape]`.
        """
        current = current * self.gain if self.integrates else current
        if back is None:
            return self._run(*self._dropped(current, steps), steps, None)[:2]
        spikes, membranes, states = [current.new_zeros(current.shape[1:])], [], None
        for t in range(steps):
            whole = current[t % len(current)] + back(spikes[-1])
            fired, membrane, states = self._run(*self._dropped(whole[None], 1), 1, states)
            spikes.append(fired[0])
            membranes.append(membrane[0])
        return torch.stack(spikes[1:]), torch.stack(membranes)

    def _dropped(self, current: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return the current and the bias.

        As in the paper's code the bias is dropped with the current, and a held current anew in
        every step.
        """
        if not (self.training and self.dropout.p):
            return current, self.bias
        current = current + self.bias.view(-1, *[1] * (len(self.shape) - 1))
        dropped: Tensor = self.dropout(current.expand(steps, *current.shape[1:]))
        return dropped, torch.zeros_like(self.bias)

    def _run(
        self, current: Tensor, bias: Tensor, steps: int, states: States | None
    ) -> tuple[Tensor, Tensor, States]:
        """Run a span of time on the states before it, and return those after it as well."""
        fields = self.update.plain
        if fields is None:
            return self._stepped(current, bias, steps, states or {})
        rule = lif.float_rule(self.slope, current.dtype, fields, in_thresholds=self.in_thresholds)
        before = None if states is None else (states[MEMBRANE], states[FIRED])
        spikes, membranes = lif.scan(
            current, self.threshold, bias, self._decays()[NAMES[MEMBRANE]], rule, steps, before
        )
        return spikes, membranes, {MEMBRANE: membranes[-1], FIRED: spikes[-1]}

    def _stepped(
        self, current: Tensor, bias: Tensor, steps: int, states: States
    ) -> tuple[Tensor, Tensor, States]:
        """Run a program's update, statement by statement.

        The registers of a machine are in units of 2**-fraction_bits, as in the integers.
        """
        update, one = self.update, 1.0
        given: dict[str, Tensor] = {}
        if isinstance(update.arithmetic, Program):
            assert update.fraction_bits is not None, "a program shifts its input"
            one = 2.0**update.fraction_bits
            given = {
                name: torch.tensor(value, device=current.device)
                for name, value in update.parameters.items()
            }
        else:
            given = {
                name: torch.as_tensor(value, dtype=current.dtype, device=current.device)
                for name, value in self._decays().items()
            }
        if update.adaptation is not None:
            given[JUMP] = current.new_tensor(update.adaptation.jump)
        given |= {"threshold": self.threshold * one, "bias": bias * one}
        surrogate = Surrogate(1 / one, self.slope, self.in_thresholds)
        spikes, membranes, after = twin_update.scan(
            update.program, current, given, steps, states, surrogate, smooth=True
        )
        return spikes, membranes / one, after

    def _decays(self) -> dict[str, Tensor | float]:
        """Return the decay factors of fields, by name."""
        assert self.beta is not None, "fields have a decay"
        fixed: dict[str, Tensor | float] = {NAMES[MEMBRANE]: self.beta}
        if self.update.synapse is not None:
            fixed[NAMES[CURRENT]] = self.update.synapse.beta
        return fixed | {name: logit.sigmoid() for name, logit in self.decays.items()}
