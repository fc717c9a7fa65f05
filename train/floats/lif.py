"""Leaky integrate-and-fire neurons over all steps at once, with an analytic gradient.

One autograd node stands for the whole loop over time, where torch alone would record some ten for
every step. On the host it is a compiled loop in the first-level cache
(`lehr.train.floats.lif_kernels`), on a GPU one kernel where Triton is installed, as torch for GPUs
has it (`lehr.train.floats.lif_triton`), on any other device torch operations
(`lehr.train.floats.lif_torch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lehr.arithmetic import Arithmetic, Reset
from lehr.train.floats import lif_kernels as kernels
from lehr.train.floats import lif_torch
from lehr.train.floats.lif_kernels import Rule

_RESETS: tuple[Reset, ...] = ("none", "subtract", "zero")
"""In the order of the kernels' codes."""
_LEAKY = Arithmetic()
State = tuple[Tensor, Tensor]
"""Membranes and spikes of the step before, `[N, *shape]` each."""


def float_rule(
    slope: float,
    dtype: torch.dtype,
    arithmetic: Arithmetic = _LEAKY,
    *,
    in_thresholds: bool = False,
) -> Rule:
    """Return a neuron in floats, without rounding and bounds.

    Without `how` it is snnTorch's Leaky, V = beta V + I - threshold (last spikes).

    Args:
        slope: of the surrogate gradient.
        dtype: of the tensors.
        arithmetic: its reset, and its comparison.
        in_thresholds: as in `Rule`.
    """
    codes = (
        kernels.NO_ROUNDING,
        kernels.TOWARD_ZERO,
        _RESETS.index(arithmetic.reset),
        kernels.UNBOUNDED,
        arithmetic.reset_timing == "same_step",
    )
    offset = (
        torch.finfo(dtype).tiny if arithmetic.fires == "ge" else 0
    )  # a difference of 0, and none below it, is above 0 by that
    return _rule(dtype, codes, (0, 1, 0, 0, 1, 1, offset, slope), in_thresholds)


def integer_rule(
    arithmetic: Arithmetic,
    unit: float,
    slope: float,
    dtype: torch.dtype,
    *,
    in_thresholds: bool = False,
) -> Rule:
    """Return an integer neuron.

    A state wider than the type's integers is not bounded: a membrane that reached such a bound
    would not be exact in any case, which `lehr.widths` rules out.

    Args:
        arithmetic: of the neuron.
        unit: what one step of the membrane is worth to the surrogate gradient.
        slope: of the surrogate gradient.
        dtype: of the tensors.
        in_thresholds: as in `Rule`.
    """
    leak = (
        kernels.SHIFT
        if arithmetic.decay_form == "shift"
        else kernels.MULTIPLY
        if arithmetic.decay_shift
        else kernels.NO_ROUNDING
    )
    exact = round(-np.log2(torch.finfo(dtype).eps)) + 1
    bounded = kernels.SATURATE if arithmetic.overflow == "saturate" else kernels.WRAP
    codes = (
        leak,
        ("toward_zero", "floor", "nearest_even").index(arithmetic.rounding),
        _RESETS.index(arithmetic.reset),
        bounded if arithmetic.state_bits <= exact + 1 else kernels.UNBOUNDED,
        arithmetic.reset_timing == "same_step",
    )
    span = 2.0**arithmetic.state_bits
    offset = (
        0.5 if arithmetic.fires == "ge" else 0.0
    )  # on integers V >= threshold is V - threshold + 0.5 > 0
    bounds = (arithmetic.lowest, arithmetic.highest, span)
    return _rule(
        dtype,
        codes,
        (
            2.0**-arithmetic.decay_shift,
            2.0**arithmetic.fraction_bits,
            *bounds,
            unit,
            offset,
            slope,
        ),
        in_thresholds,
    )


def _rule(
    dtype: torch.dtype,
    codes: tuple[int, int, int, int, bool],
    numbers: tuple[float, ...],
    in_thresholds: bool,
) -> Rule:
    scalar = np.float32 if dtype == torch.float32 else np.float64
    values: dict[str, Any] = dict(
        zip(Rule._fields, (*codes, *map(scalar, numbers), in_thresholds), strict=True)
    )
    return Rule(**values)


def scan(
    current: Tensor,
    threshold: Tensor,
    bias: Tensor,
    beta: Tensor | float,
    rule: Rule,
    steps: int,
    state: State | None = None,
) -> tuple[Tensor, Tensor]:
    """Run a layer of neurons.

    Args:
        current: `[steps or 1, N, *shape]`; one step is held for all.
        threshold: a scalar, per channel (the first axis of `shape`) or per neuron; infinite for a
            neuron that never fires.
        bias: likewise.
        beta: what membranes decay by, likewise or a number.
        rule: how to compute, in the type of `current`.
        steps: how many.
        state: zeros if None.

    Returns:
        Spikes and membranes `[steps, N, *shape]`. Gradients reach the current, the threshold, the
        bias, the decay and the state's membranes; resets, as in snnTorch, are constants to them.
    """
    shape = current.shape[2:]
    given = (threshold, bias, torch.as_tensor(beta, dtype=current.dtype, device=current.device))
    sizes = ((value, (*value.shape, *[1] * (len(shape) - value.ndim))) for value in given)
    features = (
        value.to(current.dtype).reshape(size).expand(shape).flatten() for value, size in sizes
    )
    membrane, spike = state or (torch.zeros_like(current[0]),) * 2
    scanned = _Scan.apply(current, *features, membrane, spike, steps, rule)  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor], scanned)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        theta: Tensor,
        bias: Tensor,
        beta: Tensor,
        membrane: Tensor,
        spike: Tensor,
        steps: int,
        rule: Rule,
    ) -> tuple[Tensor, Tensor]:
        size = (steps, len(membrane), len(theta))
        spikes, membranes = room(current, size), room(current, size)
        same = rule.overflow == kernels.UNBOUNDED and not (rule.same_step and rule.reset)
        raw = membranes if same else room(current, size)
        before = (_sized(membrane, size[1:]), _sized(spike, size[1:]))
        tensors = (
            _sized(current, (len(current), *size[1:])),
            theta,
            bias,
            beta,
            before,
            spikes,
            raw,
            membranes,
        )
        _run("forward", tensors, rule)
        ctx.rule, ctx.held, ctx.shape = rule, len(current) == 1, current.shape[1:]
        # the gradient of the decay alone asks for the membranes
        kept = (before[0], membranes) if ctx.needs_input_grad[3] else (None, None)
        ctx.save_for_backward(theta, beta, before[1], spikes, raw, *kept)
        ctx.set_materialize_grads(False)
        return spikes.view(steps, *ctx.shape), membranes.view(steps, *ctx.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        theta, beta, spike, spikes, raw, membrane, membranes = ctx.saved_tensors
        of_spikes, of_membranes = (
            raw[:0] if grad is None else _sized(grad, raw.shape) for grad in grads
        )
        held = ctx.held and membranes is None
        current = room(raw, (1 if held else len(raw), *raw.shape[1:]))
        wanted = (*ctx.needs_input_grad[1:3], True)
        sums = tuple(torch.empty_like(spike[:, : None if want else 0]) for want in wanted)
        tensors = ((of_spikes, of_membranes), theta, beta, (spikes, spike), raw, current, sums)
        _run("backward", tensors, ctx.rule)
        of_theta, of_bias, of_membrane = sums
        of_beta = None
        if membranes is not None:
            # what is added to a membrane has the gradient of the current, times its gain
            decayed = _decayed((membrane, membranes), (spike, spikes), ctx.rule)
            of_beta = over_samples((current / ctx.rule.gain * decayed).flatten(0, 1))
            current = current.sum(0, keepdim=True) if ctx.held else current
        return (
            current.view(len(current), *ctx.shape),
            over_samples(of_theta) if wanted[0] else None,
            over_samples(of_bias) if wanted[1] else None,
            of_beta,
            of_membrane.view(ctx.shape),
            None,
            None,
            None,
        )


def _decayed(membranes: State, spikes: State, rule: Rule) -> Tensor:
    """Return what the decay of every step is a factor of: the membrane that the last step left.

    Where the reset to zero is part of the next step, it is 0 after a spike.
    """
    last, fired = (torch.cat([first[None], each[:-1]]) for first, each in (membranes, spikes))
    return last * (1 - fired) if rule.reset == kernels.ZERO and not rule.same_step else last


def room(like: Tensor, size: Sequence[int]) -> Tensor:
    """Return a tensor to fill.

    On the host it is numpy's, which asks the system for huge pages: a large tensor meets fewer page
    faults.
    """
    return (
        torch.from_numpy(np.empty(size, like.numpy(force=True).dtype))
        if like.is_cpu
        else like.new_empty(size)
    )


def _sized(value: Tensor, size: Sequence[int]) -> Tensor:
    """Return the tensor, contiguous and of another shape."""
    return value.contiguous().view(size)


def _run(name: str, tensors: tuple[Any, ...], rule: Rule) -> None:
    """Run the loop of that name for the device of the tensors, of which the second is one."""
    if tensors[1].is_cpu:
        getattr(kernels, name)(*_arrays(tensors), rule)
    else:
        getattr(_loops(tensors[1].device.type), name)(*tensors, rule)


@cache
def _loops(device: str) -> ModuleType:
    """Return the loops for tensors on a device that is not the host."""
    compiled = device == "cuda" and find_spec("triton") is not None
    return import_module("lehr.train.floats.lif_triton") if compiled else lif_torch


def _arrays(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the memory of tensors on the host as arrays, in tuples nested as theirs."""
    return tuple(
        _arrays(value) if isinstance(value, tuple) else value.numpy(force=True) for value in tensors
    )


def over_samples(gradient: Tensor) -> Tensor:
    """Sum sample by sample on the host.

    Torch's order of summing depends on its version and its threads.
    """
    return torch.from_numpy(gradient.numpy().sum(0)) if gradient.is_cpu else gradient.sum(0)
