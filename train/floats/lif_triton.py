"""The loops of `lehr.train.floats.lif_kernels` for a GPU, compiled by Triton: one kernel a layer.

`lehr.train.floats.lif_torch` starts some ten kernels for each step, and reads and writes all that
it computes; here a neuron's state stays in registers over all steps. The operations are the same,
in the same order, without fused multiply-adds, and quotients are rounded to nearest, so that every
result has the same bits.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor, tensor

from lehr.train.floats import lif_kernels as codes
from lehr.train.floats.lif_kernels import Rule

triton: Any = import_module("triton")
tl: Any = import_module("triton.language")

State = tuple[Tensor, Tensor]
BLOCK = 256
"""Neurons, of all samples, that one program takes through time."""
MULTIPLY, SHIFT = tl.constexpr(codes.MULTIPLY), tl.constexpr(codes.SHIFT)
TOWARD_ZERO, FLOOR = tl.constexpr(codes.TOWARD_ZERO), tl.constexpr(codes.FLOOR)
SUBTRACT, ZERO = tl.constexpr(codes.SUBTRACT), tl.constexpr(codes.ZERO)
SATURATE, WRAP = tl.constexpr(codes.SATURATE), tl.constexpr(codes.WRAP)
PART, GAIN, LOWEST, HIGHEST, SPAN, UNIT, OFFSET, SLOPE = map(tl.constexpr, range(8))
"""Places of a rule's numbers."""
TO_NEAREST = tl.constexpr(1.5 * 2**52)
"""What added to a double, and taken from it, leaves the nearest integer, of halves the even one."""


@triton.jit  # type: ignore[untyped-decorator]
def _rounded(x, rounding: tl.constexpr):  # type: ignore[no-untyped-def]
    wide = x.to(tl.float64)
    if rounding == TOWARD_ZERO:
        whole = tl.where(wide < 0, -tl.floor(-wide), tl.floor(wide))
    elif rounding == FLOOR:
        whole = tl.floor(wide)
    else:
        nearest = (wide + TO_NEAREST) - TO_NEAREST
        whole = tl.where(nearest == 0, wide * 0, nearest)  # with the sign of what was rounded
    return whole


@triton.jit
def _quotient(x, y):  # type: ignore[no-untyped-def]
    return tl.div_rn(x, y) if x.dtype == tl.float32 else x / y


@triton.jit  # type: ignore[untyped-decorator]
def _bound(v, numbers, overflow: tl.constexpr):  # type: ignore[no-untyped-def]
    lowest = tl.load(numbers + LOWEST)
    if overflow == SATURATE:
        v = tl.minimum(tl.maximum(v, lowest), tl.load(numbers + HIGHEST))
    elif overflow == WRAP:
        span = tl.load(numbers + SPAN)
        v = v - tl.floor(_quotient(v - lowest, span)) * span
    return v


@triton.jit  # type: ignore[untyped-decorator]
def _reset(v, s, theta, reset: tl.constexpr):  # type: ignore[no-untyped-def]
    if reset == SUBTRACT:
        v = v - theta * s
    elif reset == ZERO:
        v = v * (1 - s)
    return v


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    current,
    theta,
    bias,
    beta,
    v_before,
    s_before,
    spikes,
    raw,
    membranes,
    numbers,
    steps,
    given,
    size,
    neurons,
    leak: tl.constexpr,
    rounding: tl.constexpr,
    reset: tl.constexpr,
    overflow: tl.constexpr,
    same_step: tl.constexpr,
    block: tl.constexpr,
):
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < size
    v = tl.load(v_before + at, there, 0)
    s = tl.load(s_before + at, there, 0)
    th = tl.load(theta + at % neurons, there, 1)
    b = tl.load(bias + at % neurons, there, 0)
    decay = tl.load(beta + at % neurons, there, 0)
    gain = tl.load(numbers + GAIN)
    for t in range(steps):
        if leak == MULTIPLY:  # in double, or long decays would not be exact
            v = _rounded(v.to(tl.float64) * decay.to(tl.float64), rounding).to(decay.dtype)
        elif leak == SHIFT:
            v = v - _rounded(v * tl.load(numbers + PART), rounding).to(decay.dtype)
        else:
            v = v * decay
        if (not same_step) and reset == ZERO:
            v = _reset(v, s, th, reset)
        v = v + (tl.load(current + (t % given) * size + at, there, 0) * gain + b)
        if (not same_step) and reset == SUBTRACT:
            v = _reset(v, s, th, reset)
        tl.store(raw + t * size + at, v, there)
        v = _bound(v, numbers, overflow)
        s = ((v - th + tl.load(numbers + OFFSET)) * tl.load(numbers + UNIT) > 0).to(decay.dtype)
        if same_step:
            v = _reset(v, s, th, reset)
        tl.store(spikes + t * size + at, s, there)
        tl.store(membranes + t * size + at, v, there)


def forward(
    current: Tensor,
    theta: Tensor,
    bias: Tensor,
    beta: Tensor,
    before: State,
    spikes: Tensor,
    raw: Tensor,
    membranes: Tensor,
    rule: Rule,
) -> None:
    """Do what `lif_kernels.forward` does, on tensors of the same shapes."""
    steps, samples, neurons = spikes.shape
    size = samples * neurons
    tensors = (current, theta, bias, beta, *before, spikes, raw, membranes)
    _forward[_programs(size)](
        *tensors,
        _numbers(rule, theta),
        steps,
        len(current),
        size,
        neurons,
        *rule[:5],
        BLOCK,
        enable_fp_fusion=False,
    )


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]  # noqa: C901 - one kernel
    of_spikes,
    of_membranes,
    theta,
    beta,
    spikes,
    s_before,
    raw,
    current,
    of_theta,
    of_bias,
    of_first,
    numbers,
    steps,
    size,
    neurons,
    held: tl.constexpr,
    by_spikes: tl.constexpr,
    by_membranes: tl.constexpr,
    theta_wanted: tl.constexpr,
    bias_wanted: tl.constexpr,
    reset: tl.constexpr,
    overflow: tl.constexpr,
    same_step: tl.constexpr,
    in_thresholds: tl.constexpr,
    block: tl.constexpr,
):
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < size
    first = tl.load(s_before + at, there, 0)
    th = tl.load(theta + at % neurons, there, 1)
    decay = tl.load(beta + at % neurons, there, 0)
    gain, unit, offset = (
        tl.load(numbers + GAIN),
        tl.load(numbers + UNIT),
        tl.load(numbers + OFFSET),
    )
    g, g_theta, g_bias, total = decay * 0, decay * 0, decay * 0, decay * 0
    for back in range(steps):
        t = steps - 1 - back
        v = tl.load(raw + t * size + at, there, 0)
        late = tl.load(spikes + tl.maximum(t - 1, 0) * size + at, there, 0)
        last = tl.where(t > 0, late, first)
        if by_membranes:
            g += tl.load(of_membranes + t * size + at, there, 0)
        if same_step:
            s = tl.load(spikes + t * size + at, there, 0)
            if reset == SUBTRACT:
                g_theta -= s * g
            elif reset == ZERO:
                g *= 1 - s
        if by_spikes:
            over = _bound(v, numbers, overflow) - th + offset
            x = _quotient(over, th) if in_thresholds else over * unit
            root = tl.abs(x) * tl.load(numbers + SLOPE) + 1
            e = _quotient(tl.load(of_spikes + t * size + at, there, 0) * unit, root * root)
            g += e
            g_theta -= e
        if overflow == SATURATE:
            clipped = (v < tl.load(numbers + LOWEST)) | (v > tl.load(numbers + HIGHEST))
            g = tl.where(clipped, 0, g)
        g_bias += g
        if (not same_step) and reset == SUBTRACT:
            g_theta -= last * g
        if held:
            total += g * gain
        else:
            tl.store(current + t * size + at, 0 + g * gain, there)
        g *= decay
        if (not same_step) and reset == ZERO:
            g *= 1 - last
    if held:
        tl.store(current + at, total, there)
    if theta_wanted:
        tl.store(of_theta + at, g_theta, there)
    if bias_wanted:
        tl.store(of_bias + at, g_bias, there)
    tl.store(of_first + at, g, there)


def backward(
    given: State,
    theta: Tensor,
    beta: Tensor,
    fired: State,
    raw: Tensor,
    current: Tensor,
    sums: tuple[Tensor, Tensor, Tensor],
    rule: Rule,
) -> None:
    """Do what `lif_kernels.backward` does, on tensors of the same shapes."""
    steps, samples, neurons = raw.shape
    size = samples * neurons
    tensors = (*given, theta, beta, *fired, raw, current, *sums)
    _backward[_programs(size)](
        *tensors,
        _numbers(rule, theta),
        steps,
        size,
        neurons,
        len(current) < steps,
        *(len(each) > 0 for each in given),
        *(each.numel() > 0 for each in sums[:2]),
        rule.reset,
        rule.overflow,
        rule.same_step,
        rule.in_thresholds,
        BLOCK,
        enable_fp_fusion=False,
    )


def _programs(size: int) -> tuple[int]:
    return (triton.cdiv(size, BLOCK),)


def _numbers(rule: Rule, like: Tensor) -> Tensor:
    """Return a rule's numbers in the type of its tensors; as arguments, they would be float32."""
    return tensor([float(number) for number in rule[5:13]], dtype=like.dtype, device=like.device)
