"""Leaky integrate-and-fire neurons over all steps at once, with an analytic gradient.

One autograd node stands for the whole loop over time, where torch alone would record some ten for every step. It computes in the
first-level cache of the host, and its results go back to the device that the tensors came from.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lehr.arithmetic import Arithmetic
from lehr.train import lif_kernels as kernels
from lehr.train.lif_kernels import Floats, Rule

State = tuple[Tensor, Tensor]
"""Membranes and spikes of the step before, `[N, *shape]` each."""


def float_rule(beta: float, slope: float, dtype: torch.dtype) -> Rule:
    """The neuron of snnTorch's Leaky: V = beta * V + I - threshold * (last spikes), without rounding."""
    return _rule(
        dtype,
        (kernels.NO_ROUNDING, kernels.TOWARD_ZERO, kernels.SUBTRACT, kernels.UNBOUNDED, False),
        (beta, 1 - beta, 1, 0, 0, 1, 1, 0, slope),
    )


def integer_rule(how: Arithmetic, unit: float, slope: float, dtype: torch.dtype) -> Rule:
    """An integer neuron.

    A state wider than the type's integers is not bounded: a membrane that reached such a bound would not be exact in any case, which
    `lehr.export.widths` rules out.

    Args:
        how: its arithmetic.
        unit: what one step of the membrane is worth to the surrogate gradient.
        slope: of the surrogate gradient.
        dtype: of the tensors.
    """
    leak = kernels.SHIFT if how.decay_form == "shift" else kernels.MULTIPLY if how.decay_shift else kernels.NO_ROUNDING
    exact = round(-np.log2(torch.finfo(dtype).eps)) + 1
    bounded = kernels.SATURATE if how.overflow == "saturate" else kernels.WRAP
    codes = (
        leak,
        ("toward_zero", "floor", "nearest_even").index(how.rounding),
        ("none", "subtract", "zero").index(how.reset),
        bounded if how.state_bits <= exact + 1 else kernels.UNBOUNDED,
        how.reset_timing == "same_step",
    )
    span = 2.0**how.state_bits
    offset = 0.5 if how.fires == "ge" else 0.0  # on integers V >= threshold is V - threshold + 0.5 > 0
    bounds = (how.lowest, how.highest, span)
    return _rule(dtype, codes, (how.beta, 2.0**-how.decay_shift, 2.0**how.fraction_bits, *bounds, unit, offset, slope))


def _rule(dtype: torch.dtype, codes: tuple[int, int, int, int, bool], numbers: tuple[float, ...]) -> Rule:
    scalar = np.float32 if dtype == torch.float32 else np.float64
    return Rule(*codes, *(scalar(number) for number in numbers))


def scan(current: Tensor, threshold: Tensor, bias: Tensor, rule: Rule, steps: int, state: State | None = None) -> tuple[Tensor, Tensor]:
    """Run a layer of neurons.

    Args:
        current: `[steps or 1, N, *shape]`; one step is held for all.
        threshold: a scalar, or per channel (the first axis of `shape`).
        bias: likewise.
        rule: how to compute, in the type of `current`.
        steps: how many.
        state: zeros if None.

    Returns:
        Spikes and membranes `[steps, N, *shape]`. Gradients reach the current, the threshold, the bias and the state's membranes;
        resets, as in snnTorch, are constants to them.
    """
    shape = current.shape[2:]
    per_channel = (-1, *[1] * (len(shape) - 1))
    features = (value.to(current.dtype).reshape(per_channel).expand(shape).flatten() for value in (threshold, bias))
    membrane, spike = state or (torch.zeros_like(current[0]),) * 2
    made = _Scan.apply(current, *features, membrane, spike, steps, rule)  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor], made)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, theta: Tensor, bias: Tensor, membrane: Tensor, spike: Tensor, steps: int, rule: Rule
    ) -> tuple[Tensor, Tensor]:
        drive = _array(current).reshape(*current.shape[:2], -1)
        size = (steps, *drive.shape[1:])
        spikes, membranes = np.empty(size, drive.dtype), np.empty(size, drive.dtype)
        same = rule.overflow == kernels.UNBOUNDED and not (rule.same_step and rule.reset)
        raw = membranes if same else np.empty_like(membranes)
        before = (_array(membrane).reshape(size[1:]), _array(spike).reshape(size[1:]))
        kernels.forward(drive, _array(theta), _array(bias), before, spikes, raw, membranes, rule)
        made = [torch.from_numpy(array).view(steps, *current.shape[1:]).to(current.device) for array in (spikes, membranes)]
        ctx.rule, ctx.raw, ctx.held = rule, None if same else raw, len(current) == 1
        ctx.save_for_backward(theta, spike, *made)
        ctx.set_materialize_grads(False)
        return made[0], made[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        theta, spike, spikes, membranes = ctx.saved_tensors
        size = (len(spikes), spikes.shape[1], theta.numel())
        fired = (_array(spikes).reshape(size), _array(spike).reshape(size[1:]))
        raw = _array(membranes).reshape(size) if ctx.raw is None else ctx.raw
        of_spikes, of_membranes = (raw[:0] if grad is None else _array(grad).reshape(size) for grad in grads)
        current = np.zeros((1 if ctx.held else len(spikes), *size[1:]), raw.dtype)
        sums = (np.empty_like(current[0]), np.empty_like(current[0]), np.empty_like(current[0]))
        kernels.backward((of_spikes, of_membranes), _array(theta), fired, raw, current, sums, ctx.rule)
        of_theta, of_bias, of_membrane = sums
        made = (current.reshape(-1, *spikes.shape[1:]), of_theta.sum(0), of_bias.sum(0), of_membrane.reshape(spikes.shape[1:]))
        return (*(torch.from_numpy(array).to(spikes.device) for array in made), None, None, None)


def _array(value: Tensor) -> Floats:
    """The tensor's numbers, contiguous, on the host."""
    return cast(Floats, value.contiguous().numpy(force=True))
