"""A layer of neurons over all its steps, forward and backward, as compiled loops.

Arrays are contiguous, of one floating type, and carry `[steps, samples, neurons]`. A block of
neurons goes through all steps before the next one starts, so that its state stays in the
first-level cache; each small loop below touches few arrays, or LLVM would not vectorise it. Every
operation is the plain loop's, in its order and without fused multiply-adds: outputs are equal to
the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lehr.compiled import compiled

Floats = npt.NDArray[np.floating[Any]]
State = tuple[Floats, Floats]

BLOCK = 1024
"""Neurons that go through time together.

They have some 4 KiB each of membranes, spikes, thresholds and gradients.
"""

NO_ROUNDING, MULTIPLY, SHIFT = range(3)
TOWARD_ZERO, FLOOR, NEAREST_EVEN = range(3)
NO_RESET, SUBTRACT, ZERO = range(3)
UNBOUNDED, SATURATE, WRAP = range(3)


class Rule(NamedTuple):
    """Arithmetic of a layer's neurons; `part` to `slope` are scalars of the arrays' type.

    The decay factor beta is no part of it: every neuron may have its own.

    Attributes:
        leak: NO_ROUNDING is beta * V, MULTIPLY round(beta * V) with the product in double, SHIFT V
            - round(part * V).
        rounding: TOWARD_ZERO, FLOOR or NEAREST_EVEN.
        reset: NO_RESET, SUBTRACT or ZERO.
        overflow: UNBOUNDED, SATURATE to `lowest`..`highest`, or WRAP by `span`.
        same_step: whether the reset follows its spike at once; else it is part of the next step.
        part: 1 - beta, where SHIFT has one beta for all neurons.
        gain: of the current.
        lowest, highest, span: of the membrane.
        unit, offset, slope: a spike where x = (V - threshold + offset) * unit > 0, with gradient 1
            / (1 + slope * |x|)^2.
        in_thresholds: whether that gradient counts x in thresholds, (V - threshold + offset) /
            threshold.
    """

    leak: int
    rounding: int
    reset: int
    overflow: int
    same_step: bool
    part: Any
    gain: Any
    lowest: Any
    highest: Any
    span: Any
    unit: Any
    offset: Any
    slope: Any
    in_thresholds: bool = False


@compiled
def _rounded(x: Any, rounding: int) -> Any:
    if rounding == TOWARD_ZERO:
        return np.trunc(x)
    if rounding == FLOOR:
        return np.floor(x)
    return np.rint(x)


@compiled
def _bound(x: Any, rule: Rule) -> Any:
    if rule.overflow == SATURATE:
        return min(max(x, rule.lowest), rule.highest)
    if rule.overflow == WRAP:
        return x - np.floor((x - rule.lowest) / rule.span) * rule.span
    return x


@compiled
def _copy(into: Floats, x: Floats) -> None:
    """Do what assigning a slice does, which takes longer to compile and to run."""
    for i in range(into.size):
        into[i] = x[i]


@compiled
def _decay(v: Floats, beta: Floats, rule: Rule) -> None:
    if rule.leak == NO_ROUNDING:
        for i in range(v.size):
            v[i] = v[i] * beta[i]
    elif rule.leak == MULTIPLY:
        # |V| <= 2^24 times a numerator below 2^16 is exact in double, not in float32
        for i in range(v.size):
            v[i] = _rounded(np.float64(v[i]) * np.float64(beta[i]), rule.rounding)
    else:
        for i in range(v.size):
            v[i] = v[i] - _rounded(v[i] * rule.part, rule.rounding)


@compiled
def _reset(v: Floats, s: Floats, theta: Floats, rule: Rule) -> None:
    if rule.reset == SUBTRACT:
        for i in range(v.size):
            v[i] = v[i] - theta[i] * s[i]
    elif rule.reset == ZERO:
        for i in range(v.size):
            v[i] = v[i] * (s.dtype.type(1) - s[i])


@compiled
def _drive(v: Floats, current: Floats, bias: Floats, rule: Rule) -> None:
    for i in range(v.size):
        v[i] = v[i] + (current[i] * rule.gain + bias[i])


@compiled
def _fire(v: Floats, s: Floats, theta: Floats, rule: Rule) -> None:
    for i in range(v.size):
        s[i] = (v[i] - theta[i] + rule.offset) * rule.unit > 0


@compiled
def forward(
    current: Floats,
    theta: Floats,
    bias: Floats,
    beta: Floats,
    before: State,
    spikes: Floats,
    raw: Floats,
    membranes: Floats,
    rule: Rule,
) -> None:
    """Fill `spikes`, `membranes`, and `raw`.

    The latter are the membranes before bound and reset of the step; it may be the same array.

    Args:
        current: `[steps or 1, samples, neurons]`; one step is held for all.
        theta: threshold, `[neurons]`.
        bias: `[neurons]`.
        beta: decay factor, `[neurons]`.
        before: membranes and spikes of the step before the first, `[samples, neurons]` each.
        spikes: filled, `[steps, samples, neurons]`, as are the two that follow.
        raw: filled.
        membranes: filled.
        rule: how to compute.
    """
    steps, samples, neurons = spikes.shape
    for n in range(samples):
        for start in range(0, neurons, BLOCK):
            block = slice(start, min(start + BLOCK, neurons))
            v, s = before[0][n, block].copy(), before[1][n, block].copy()
            th, b, decay = theta[block], bias[block], beta[block]
            for t in range(steps):
                _decay(v, decay, rule)
                if not rule.same_step and rule.reset == ZERO:
                    _reset(v, s, th, rule)
                _drive(v, current[t % len(current), n, block], b, rule)
                if not rule.same_step and rule.reset == SUBTRACT:
                    _reset(v, s, th, rule)
                _copy(raw[t, n, block], v)
                if rule.overflow != UNBOUNDED:
                    for i in range(v.size):
                        v[i] = _bound(v[i], rule)
                _fire(v, s, th, rule)
                if rule.same_step:
                    _reset(v, s, th, rule)
                _copy(spikes[t, n, block], s)
                _copy(membranes[t, n, block], v)


@compiled
def _through_overflow(g: Floats, raw: Floats, rule: Rule) -> None:
    """Stop the gradient where the membrane was clipped."""
    if rule.overflow == SATURATE:
        for i in range(g.size):
            if raw[i] < rule.lowest or raw[i] > rule.highest:
                g[i] = 0


@compiled
def _add(total: Floats, x: Floats, factor: Any) -> None:
    for i in range(total.size):
        total[i] += x[i] * factor


@compiled
def _give(into: Floats, x: Floats, factor: Any, anew: bool) -> None:
    """Add to what there is, or to 0."""
    if anew:
        for i in range(into.size):
            into[i] = 0
    _add(into, x, factor)


@compiled
def _through_reset(g: Floats, g_theta: Floats, s: Floats, rule: Rule) -> None:
    """Take the gradient back through a reset by the spikes `s`, which are constants to it."""
    if rule.reset == SUBTRACT:
        for i in range(g_theta.size):
            g_theta[i] -= s[i] * g[i]
    elif rule.reset == ZERO:
        for i in range(g.size):
            g[i] = g[i] * (s.dtype.type(1) - s[i])


@compiled
def _through_fire(e: Floats, raw: Floats, theta: Floats, rule: Rule) -> None:
    """Turn the gradient of spikes, in `e`, into that of membranes."""
    one = theta.dtype.type(1)
    if rule.in_thresholds:
        for i in range(e.size):
            root = (
                rule.slope * abs((_bound(raw[i], rule) - theta[i] + rule.offset) / theta[i]) + one
            )
            e[i] = e[i] * rule.unit / (root * root)
        return
    for i in range(e.size):
        root = rule.slope * abs((_bound(raw[i], rule) - theta[i] + rule.offset) * rule.unit) + one
        e[i] = e[i] * rule.unit / (root * root)


@compiled
def backward(
    given: State,
    theta: Floats,
    beta: Floats,
    fired: State,
    raw: Floats,
    current: Floats,
    sums: tuple[Floats, Floats, Floats],
    rule: Rule,
) -> None:
    """Take the gradients of spikes and membranes back through time.

    Args:
        given: gradients of spikes and membranes, `[steps, samples, neurons]`; either may have no
            steps, for a gradient of zero.
        theta: threshold, `[neurons]`.
        beta: decay factor, `[neurons]`.
        fired: spikes `[steps, samples, neurons]`, and those of the step before the first,
            `[samples, neurons]`.
        raw: as `forward` filled it.
        current: filled with the gradient of the current, `[steps or 1, samples, neurons]`; the sum
            of theirs, where one step was held for all.
        sums: filled with the gradients of threshold, bias and first membrane, `[samples, neurons]`
            each; those of threshold and bias may have no neurons, where they are not wanted.
        rule: how to compute.
    """
    spikes, one = fired[0], theta.dtype.type(1)
    steps, samples, neurons = spikes.shape
    for n in range(samples):
        for start in range(0, neurons, BLOCK):
            block = slice(start, min(start + BLOCK, neurons))
            th, decay = theta[block], beta[block]
            g, e = np.zeros_like(th), np.zeros_like(th)
            g_theta, g_bias = np.zeros_like(sums[0][n, block]), np.zeros_like(sums[1][n, block])
            for t in range(steps - 1, -1, -1):
                last = fired[1][n, block] if t == 0 else spikes[t - 1, n, block]
                if len(given[1]):
                    _add(g, given[1][t, n, block], one)
                if rule.same_step:
                    _through_reset(g, g_theta, spikes[t, n, block], rule)
                if len(given[0]):
                    _copy(e, given[0][t, n, block])
                    _through_fire(e, raw[t, n, block], th, rule)
                    _add(g, e, one)
                    _add(g_theta, e, -one)
                _through_overflow(g, raw[t, n, block], rule)
                _add(g_bias, g, one)
                if not rule.same_step and rule.reset == SUBTRACT:
                    _through_reset(g, g_theta, last, rule)
                anew = t == steps - 1 or len(current) > 1
                _give(current[t % len(current), n, block], g, rule.gain, anew)
                for i in range(g.size):
                    g[i] = g[i] * decay[i]
                if not rule.same_step and rule.reset == ZERO:
                    _through_reset(g, g_theta, last, rule)
            _copy(sums[0][n, block], g_theta)
            _copy(sums[1][n, block], g_bias)
            _copy(sums[2][n, block], g)
