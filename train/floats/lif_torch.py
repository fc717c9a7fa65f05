"""The loops of `lehr.train.floats.lif_kernels` in torch operations, for tensors on other devices.

The same operations in the same order, one after another over all neurons: on one device, in float32
or float64, every result is the kernels' to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lehr.train.floats.lif_kernels import (
    FLOOR,
    MULTIPLY,
    NO_ROUNDING,
    SATURATE,
    SUBTRACT,
    TOWARD_ZERO,
    UNBOUNDED,
    WRAP,
    ZERO,
    Rule,
)

State = tuple[Tensor, Tensor]


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
    v, s = before
    for t in range(len(spikes)):
        v = _decayed(v, beta, rule)
        if not rule.same_step and rule.reset == ZERO:
            v = _reset(v, s, theta, rule)
        v = v + (current[t % len(current)] * rule.gain + bias)
        if not rule.same_step and rule.reset == SUBTRACT:
            v = _reset(v, s, theta, rule)
        raw[t] = v
        v = _bound(v, rule)
        s = (_distance(v, theta, rule) > 0).to(v.dtype)
        if rule.same_step:
            v = _reset(v, s, theta, rule)
        spikes[t] = s
        membranes[t] = v


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
    spikes, before = fired
    of_spikes, of_membranes = given
    g_theta, g_bias, g = (
        each.zero_() if each.numel() else torch.zeros_like(before) for each in sums
    )
    current.zero_()
    for t in reversed(range(len(spikes))):
        if len(of_membranes):
            g += of_membranes[t]
        if rule.same_step:
            _through_reset(g, g_theta, spikes[t], rule)
        if len(of_spikes):
            v = _bound(raw[t], rule)
            x = (
                (v - theta + rule.offset) / theta
                if rule.in_thresholds
                else _distance(v, theta, rule)
            )
            root = x.abs() * rule.slope + 1
            e = of_spikes[t] * rule.unit / (root * root)
            g += e
            g_theta -= e
        if rule.overflow == SATURATE:
            g.masked_fill_((raw[t] < rule.lowest) | (raw[t] > rule.highest), 0)
        g_bias += g
        last = spikes[t - 1] if t else before
        if not rule.same_step and rule.reset == SUBTRACT:
            _through_reset(g, g_theta, last, rule)
        current[t % len(current)] += g * rule.gain
        g *= beta
        if not rule.same_step and rule.reset == ZERO:
            _through_reset(g, g_theta, last, rule)


def _decayed(v: Tensor, beta: Tensor, rule: Rule) -> Tensor:
    if rule.leak == NO_ROUNDING:
        return v * beta
    if rule.leak == MULTIPLY:
        return _rounded(v.double() * beta.double(), rule.rounding).to(
            v.dtype
        )  # in double, or long decays would not be exact
    return v - _rounded(v * rule.part, rule.rounding)


def _rounded(x: Tensor, rounding: int) -> Tensor:
    if rounding == TOWARD_ZERO:
        return x.trunc()
    return x.floor() if rounding == FLOOR else x.round()


def _reset(v: Tensor, s: Tensor, theta: Tensor, rule: Rule) -> Tensor:
    if rule.reset == SUBTRACT:
        return v - theta * s
    return v * (1 - s) if rule.reset == ZERO else v


def _bound(v: Tensor, rule: Rule) -> Tensor:
    if rule.overflow == UNBOUNDED:
        return v
    if rule.overflow == WRAP:
        return torch.sub(v, ((v - rule.lowest) / rule.span).floor() * rule.span)
    return v.clamp(rule.lowest, rule.highest)


def _distance(v: Tensor, theta: Tensor, rule: Rule) -> Tensor:
    """From the threshold, in units of training: above 0 the neuron fires."""
    return torch.mul(v - theta + rule.offset, rule.unit)


def _through_reset(g: Tensor, g_theta: Tensor, s: Tensor, rule: Rule) -> None:
    """Take the gradient back through a reset by the spikes `s`, which are constants to it."""
    if rule.reset == SUBTRACT:
        g_theta -= s * g
    elif rule.reset == ZERO:
        g *= 1 - s
