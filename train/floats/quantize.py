"""Quantizers: from the latents to the integers that the network computes with.

Latents are the real-valued weights that the optimiser keeps.

A quantized weight is an integer level times a step. Gradients pass straight through the rounding,
and reach a latent as if it were the quantized weight itself, so that a learning rate means the same
with every quantizer. A level counts 1 where no step is told; where one
is, latents are measured by their mean magnitude at the start, which counts as 1, too: thresholds
keep their meaning as well.

Sources: Courbariaux et al. 2016, "Binarized Neural Networks", for signs and the straight-through
gradient; Li & Liu 2016, "Ternary weight networks", Eq. 6, for the ternary threshold; Esser et al.
2020, "Learned step size quantization", Eq. 1-3 and section 2.2, for steps, their start and their
gradient.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lehr.export.latent import Latent
from lehr.train.floats.weight_noise import factors
from lehr.train.keys.training import WeightNoise
from lehr.weights import LARGEST, WeightKind

TERNARY_THRESHOLD = 0.7
"""A ternary weight is 0 up to this share of the layer's mean magnitude."""

LEAST_STEP = 1e-6
"""A learned step stays above this, whatever the optimiser does to it."""


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:  # noqa: ARG004
        return rule(value)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grad[0], None


def straight_through(value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """`rule(value)`, whose gradient passes to `value` as if nothing had been done to it."""
    result: Tensor = _StraightThrough.apply(value, rule)  # type: ignore[no-untyped-call]
    return result


def sign(value: Tensor) -> Tensor:
    """Binarize: >= 0 gives +1, below -1, with a straight-through gradient; NaN stays NaN.

    torch.sign would give 0 at 0.
    """
    return straight_through(
        value, lambda x: torch.where(x >= 0, 1.0, torch.where(x < 0, -1.0, x)).to(x.dtype)
    )


class Quantizer(nn.Module, ABC):
    """Rule by which the latents of one layer become integers.

    Attributes:
        kept: by which the levels are multiplied: 1 where a weight is kept, 0 where it was pruned;
            None where nothing is pruned.
        noise: on the levels while the network is trained; none if None.
    """

    def __init__(self, kind: WeightKind) -> None:
        super().__init__()
        self._kind: WeightKind = kind
        self.kept: Tensor | None
        self.register_buffer("kept", None)
        self.noise: WeightNoise | None = None

    @property
    def kind(self) -> WeightKind:
        """Kind that the levels are declared to be: signs of which some are pruned are ternary."""
        return "ternary" if self._kind == "binary" and self.kept is not None else self._kind

    @property
    def largest(self) -> int:
        """The greatest level."""
        return LARGEST[self.kind]

    def levels(self, latent: Tensor) -> Tensor:
        """Integers, in the type and shape of the latents."""
        levels = self._levels(latent)
        return levels if self.kept is None else levels * self.kept

    def factor(self, latent: Tensor) -> Tensor | None:
        """Draw a factor for each level; None where there is no noise, and in evaluation."""
        return None if self.noise is None or not self.training else factors(self.noise, latent)

    def driving(self, latent: Tensor) -> Tensor:
        """Return the levels as a forward pass takes them: with noise, in training."""
        levels, factor = self.levels(latent), self.factor(latent)
        return levels if factor is None else levels * factor

    @abstractmethod
    def _levels(self, latent: Tensor) -> Tensor:
        """Return the same before pruning."""

    def step(self, latent: Tensor) -> Tensor | None:  # noqa: ARG002
        """Return what one level is worth, a scalar; None where that is 1."""
        return None

    def scaled(self, sums: Tensor, latent: Tensor) -> Tensor:
        """Return sums of levels times inputs as sums of quantized weights times inputs."""
        step = self.step(latent)
        return sums if step is None else sums * step

    @abstractmethod
    def grid(self, latent: Tensor) -> Tensor | None:
        """Return the distance of two levels in units of the latents, a scalar; None for signs."""

    def frozen(self, latent: Tensor) -> Latent:
        """Return the latents with the grid as it stands.

        From here on every level depends on its own latent alone.

        Nothing is lost by that: past folding the thresholds and biases of every channel learn, and
        scale a layer more finely than its one step could.
        """
        grid = self.grid(latent)
        kept = None if self.kept is None else self.kept.numpy(force=True) > 0
        return Latent(
            latent.detach().numpy(force=True),
            None if grid is None else grid.detach().numpy(force=True),
            kept,
        )


class Signs(Quantizer):
    """-1 and +1."""

    def __init__(self) -> None:
        super().__init__("binary")

    def _levels(self, latent: Tensor) -> Tensor:
        return sign(latent)

    def grid(self, latent: Tensor) -> None:
        """None: there is no other distance than 2."""


class Ternary(Quantizer):
    """-1, 0 and +1: 0 for the latents whose magnitude is at most TERNARY_THRESHOLD of the mean."""

    def __init__(self) -> None:
        super().__init__("ternary")

    def _levels(self, latent: Tensor) -> Tensor:
        grid = self.grid(latent)
        return straight_through(latent, lambda x: (x / grid).round().clamp(-1, 1))

    def grid(self, latent: Tensor) -> Tensor:
        """Return twice the threshold: what is rounded to 0 lies within half a step.

        It is above 0 where all latents are 0.
        """
        return (2 * TERNARY_THRESHOLD * latent.detach().abs().mean()).clamp(
            min=torch.finfo(latent.dtype).tiny
        )


class Drawn(Quantizer):
    """-1 and +1, or -1, 0 and +1, to which weights are drawn (`lehr.train.floats.constrained`).

    A level is worth the mean magnitude of the layer's latents at the start.

    Attributes:
        scale: that one, a scalar.
        spacing: of neighbouring levels.
    """

    def __init__(self, kind: WeightKind, latent: Tensor, *, real: bool) -> None:
        """Measure the latents; `real` lets a forward pass of training take them unrounded."""
        super().__init__(kind)
        self._real = real
        self.scale: Tensor
        self.register_buffer("scale", latent.detach().abs().mean())
        self.spacing = 2 if kind == "binary" else 1

    def real(self, latent: Tensor) -> Tensor:
        """Return the latents in levels."""
        return straight_through(latent, lambda x: x / self.scale)

    def _levels(self, latent: Tensor) -> Tensor:
        real = self.real(latent)
        if self.spacing == 2:
            return sign(real)
        return straight_through(real, lambda x: x.round().clamp(-1, 1))

    def driving(self, latent: Tensor) -> Tensor:
        """Return real weights in training, and their levels in evaluation."""
        return self.real(latent) if self._real and self.training else super().driving(latent)

    def grid(self, latent: Tensor) -> Tensor | None:  # noqa: ARG002
        """As it was at the start."""
        return None if self.spacing == 2 else self.scale


class Uniform(Quantizer):
    """2 to 8 bits: equally spaced levels, symmetric about 0.

    Attributes:
        learned: the step, a scalar parameter that starts at 2 / sqrt(greatest level); None where
            the step is fixed by the greatest latent.
    """

    def __init__(self, kind: WeightKind, learned: bool) -> None:
        super().__init__(kind)
        # twice the mean magnitude of a weight, which counts as 1, over the root of the greatest
        # level
        self.learned = nn.Parameter(torch.tensor(2 / self.largest**0.5)) if learned else None

    def _measured(self, latent: Tensor) -> Tensor:
        """Return latents in units of their mean magnitude at the start.

        torch draws them evenly from +-1 / sqrt(fan-in).
        """
        return straight_through(latent, lambda x: x * _unit(x))

    def _levels(self, latent: Tensor) -> Tensor:
        return straight_through(
            (self._measured(latent) / self.step(latent)).clamp(-self.largest, self.largest),
            torch.round,
        )

    def step(self, latent: Tensor) -> Tensor:
        """Return what one level is worth: learned, or fixed.

        Where it is learned, its gradient is scaled by 1 / sqrt(weights * greatest level).
        """
        if self.learned is None:
            return self._measured(latent).detach().abs().max().clamp(min=LEAST_STEP) / self.largest
        step, share = (
            self.learned.abs().clamp(min=LEAST_STEP),
            (latent.numel() * self.largest) ** -0.5,
        )
        return straight_through(step * share, lambda _: step.detach())

    def grid(self, latent: Tensor) -> Tensor:
        """Return the step in units of the latents."""
        return self.step(latent) / _unit(latent)


def _unit(latent: Tensor) -> float:
    return 2 * math.sqrt(latent[0].numel())


class Frozen(Quantizer):
    """Levels of a grid that does not move, past folding."""

    def __init__(self, kind: WeightKind, latent: Latent) -> None:
        super().__init__(kind)
        self._grid: Tensor | None
        self.register_buffer("_grid", None if latent.grid is None else torch.tensor(latent.grid))
        self.kept = (
            None
            if latent.kept is None
            else torch.from_numpy(latent.kept.astype(latent.weight.dtype))
        )

    def _levels(self, latent: Tensor) -> Tensor:
        if self._grid is None:
            return sign(latent)
        levels = latent / self._grid
        if self.kind == "ternary":  # as in training, latents far outside move on
            return straight_through(levels, lambda x: x.round().clamp(-1, 1))
        return straight_through(levels.clamp(-self.largest, self.largest), torch.round)

    def grid(self, latent: Tensor) -> Tensor | None:  # noqa: ARG002
        """As it was frozen."""
        return self._grid


def quantizer(kind: WeightKind, learned_step: bool) -> Quantizer:
    """Return a quantizer of a kind; `learned_step` is for 2 to 8 bits."""
    if kind == "binary":
        return Signs()
    return Ternary() if kind == "ternary" else Uniform(kind, learned_step)
