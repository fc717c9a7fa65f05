"""The loops of `lehr.train.floats.delay_kernels` in torch operations, for other devices."""

from __future__ import annotations

import torch
from torch import Tensor


def forward(x: Tensor, whole: Tensor, rest: Tensor, delayed: Tensor) -> None:
    """Do what `delay_kernels.forward` does, on tensors of the same shapes; the same bits."""
    early = len(x) - len(delayed)
    at = early + _steps(delayed) - whole
    f = rest[:, None]
    torch.add((1 - f) * _at(x, at), f * _at(x, at - 1), out=delayed)


def backward(given: Tensor, whole: Tensor, rest: Tensor, gradient: Tensor) -> None:
    """Do what `delay_kernels.backward` does, on tensors of the same shapes; the same bits."""
    early = len(gradient) - len(given)
    at = _steps(gradient) - early + whole
    f = rest[:, None]
    torch.add((1 - f) * _at(given, at), f * _at(given, at + 1), out=gradient)


def slopes(given: Tensor, x: Tensor, whole: Tensor, reach: int, sums: Tensor) -> None:
    """Do what `delay_kernels.slopes` does, up to the order of summing."""
    middle = len(x) - len(given) + _steps(given) - whole
    before = torch.zeros_like(torch.cat([x[:1], x]))
    for t in range(len(x)):  # cumsum is not deterministic everywhere
        torch.add(before[t], x[t], out=before[t + 1])
    at_middle, low, high = (
        _at(before, (middle + shift).clamp(0, len(x))) for shift in (0, -reach, reach)
    )
    slope = (at_middle - low) - (high - at_middle)
    torch.sum(given * slope / reach**2, (0, 3), out=sums)


def _steps(like: Tensor) -> Tensor:
    """Return the numbers of steps, `[steps, 1]`."""
    return torch.arange(len(like), device=like.device)[:, None]


def _at(x: Tensor, at: Tensor) -> Tensor:
    """Return the values of the steps `at`, `[steps, channels]`; 0 where there is no such step."""
    inside = (at >= 0) & (at < len(x))
    index = at.clamp(0, len(x) - 1)[:, None, :, None].expand(-1, *x.shape[1:2], -1, x.shape[3])
    return torch.where(inside[:, None, :, None], x.gather(0, index), 0)
