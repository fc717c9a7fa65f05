"""Axonal delays: each channel that arrives at a layer is held back by steps of its own.

While they learn, delays are real numbers, and a value between two steps is taken from both (linear
interpolation), so that there is a gradient along the delay. From a share of phase A on they are
whole numbers, as in the integer network.

One autograd node stands for all steps: on the host a compiled loop
(`lehr.train.floats.delay_kernels`), on any other device torch operations
(`lehr.train.floats.delays_torch`).

Source of learned delays in spiking networks: Hammouamri et al. 2024, "Learning delays in spiking
neural networks using dilated convolutions with learnable spacings".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lehr.nodes import Int32Array
from lehr.train.floats import delay_kernels, delays_torch
from lehr.train.floats.lif import over_samples, room
from lehr.train.floats.spread import mean_and_spread
from lehr.train.keys.delay import LR, UNTIL, DelayRecipe

SHORTEST = 1
"""Steps: what the integer network's Delay holds back at least."""

FIRST_REACH = 0.5
"""Share of the longest delay over which a delay's gradient is measured at the start.

It shrinks to one step on a straight line. Of spikes, which come now here, now there, the next step
alone says nothing of what a delay longer by three would bring.
"""

EVERY = 4
"""Delays learn from every fourth batch.

It takes a gradient of what arrives, a product with all weights of the layer: a third of a batch's
time where it is the network's input, which needs none else.
"""


def held_back(x: Tensor, steps: Tensor, count: int | None = None, reach: int = 1) -> Tensor:
    """Hold values back, each channel by its own number of steps.

    Args:
        x: `[T, N, *shape]`.
        steps: of every channel, the first axis of `shape`, of every value `[*shape]`, or of all
            `[]`; at least 0, and what lies between two whole numbers is taken from both by linear
            interpolation.
        count: how many steps to put out, the last ones of `x`; all if None.
        reach: over how many steps on either side the gradient of `steps` is measured; with 1 it is
            the interpolation's own.

    Returns:
        `[count, N, *shape]`; 0 for what arrives before the first step of `x`.
    """
    count = len(x) if count is None else count
    return cast(Tensor, _HeldBack.apply(x, steps, count, reach))  # type: ignore[no-untyped-call]


class _HeldBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: Tensor, count: int, reach: int) -> Tensor:
        flat = x.contiguous().view(*x.shape[:2], steps.numel(), x.shape[2 + steps.ndim :].numel())
        along = steps.detach().flatten()
        whole = along.floor()
        rest = (along - whole).to(x.dtype)
        delayed = room(x, (count, *flat.shape[1:]))
        ctx.save_for_backward(flat, whole.long(), rest)
        ctx.shapes, ctx.reach = (x.shape, steps.shape, steps.dtype), reach
        _run(delay_kernels.forward, delays_torch.forward, flat, whole.long(), rest, delayed)
        return delayed.view(count, *x.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, rest = ctx.saved_tensors
        of_x, of_steps, dtype = ctx.shapes
        given = grads[0].contiguous().view(len(grads[0]), *x.shape[1:])
        gradient: Tensor | None = None
        along: Tensor | None = None
        if ctx.needs_input_grad[0]:
            gradient = room(x, x.shape)
            _run(delay_kernels.backward, delays_torch.backward, given, whole, rest, gradient)
            gradient = gradient.view(of_x)
        if ctx.needs_input_grad[1]:
            sums = torch.empty(x.shape[1:3], dtype=x.dtype, device=x.device)
            _run(delay_kernels.slopes, delays_torch.slopes, given, x, whole, ctx.reach, sums)
            along = over_samples(sums).to(dtype).view(of_steps)
        return gradient, along, None, None


def _run(compiled: Callable[..., None], in_torch: Callable[..., None], *given: Any) -> None:
    """Run the loop for the device that the tensors, of which the first one is one, are on."""
    if given[0].is_cpu:
        compiled(*(v.numpy(force=True) if isinstance(v, Tensor) else v for v in given))
    else:
        in_torch(*given)


class Delays(nn.Module):
    """Axonal delays of what arrives at a layer.

    Attributes:
        steps: of every channel, from SHORTEST to the recipe's `max`.
        recipe: of the layer.
        reach: as in `held_back`.
        measured: whether the next batch gives them a gradient.
    """

    def __init__(self, recipe: DelayRecipe, channels: int) -> None:
        """Make the shortest ones for so many channels."""
        super().__init__()
        self.recipe, self.reach, self.measured = recipe, 1, True
        self.steps = nn.Parameter(torch.full((channels,), float(SHORTEST)), recipe.learn)

    def draw(self) -> None:
        """Draw them anew, evenly: real numbers if they learn, else whole ones."""
        with torch.no_grad():
            self.steps.uniform_(SHORTEST, self.recipe.max)
            if not self.recipe.learn:
                self.steps.round_()

    @property
    def learns(self) -> bool:
        """Whether they do still."""
        return self.steps.requires_grad

    @property
    def lr(self) -> float:
        """Their learning rate, in steps."""
        return LR if self.recipe.lr is None else self.recipe.lr

    @property
    def until(self) -> float:
        """The share of phase A in which they learn."""
        return UNTIL if self.recipe.until is None else self.recipe.until

    def forward(self, x: Tensor) -> Tensor:
        """Hold back `[T, N, *shape]`."""
        steps = self.steps if self.measured else self.steps.detach()
        return held_back(x, steps, reach=self.reach)

    def clamp(self) -> None:
        """Bring them within SHORTEST..`max` again, after an update."""
        with torch.no_grad():
            self.steps.clamp_(SHORTEST, self.recipe.max)

    def hold(self) -> None:
        """Round them to whole steps, and end their learning."""
        with torch.no_grad():
            self.steps.round_()
        self.steps.grad = None  # or the optimiser would move them once more
        self.steps.requires_grad_(False)

    def metrics(self) -> dict[str, float]:
        """Return their mean and their standard deviation, in steps."""
        return mean_and_spread(self.steps.numpy(force=True))

    def whole(self) -> Int32Array:
        """Return the steps that the integer network holds back by."""
        steps: Int32Array = np.rint(self.steps.numpy(force=True)).astype(np.int32)
        return steps


class Learning:
    """The delays of all layers over phase A: kept in their bounds, and rounded when it is time."""

    def __init__(self, delays: Sequence[Delays], batches: int) -> None:
        """Take over new delays, for a phase of `batches` batches."""
        self._delays, self._batches, self._batch = delays, batches, 0
        self.go_on(0)

    @property
    def held(self) -> bool:
        """Whether all of them are whole, and stay."""
        return not any(delays.learns for delays in self._delays)

    def go_on(self, batch: int) -> None:
        """Bring the delays to where they are after so many batches."""
        self._batch = batch
        for delays in self._delays:
            if not delays.learns:
                continue
            delays.clamp()
            gone = batch / (delays.until * self._batches)
            if gone >= 1:
                delays.hold()
            delays.measured = batch % EVERY == 0
            delays.reach = max(1, round((1 - gone) * delays.recipe.max * FIRST_REACH))

    def step(self) -> None:
        """Go on by a batch."""
        self.go_on(self._batch + 1)
