"""Batch norm by the statistics of the whole batch, of which each process has a part.

`torch.nn.SyncBatchNorm` does so on GPUs alone; in one process these are torch's own layers.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lehr.train import processes


class _Moments(torch.autograd.Function):
    """Mean and variance by channel, over the values of all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        values = x.numel() // x.shape[1]
        zeros = x.new_zeros(x.shape[1])
        variance, mean = torch.var_mean(x, axes, correction=0) if values else (zeros, zeros)
        mine = torch.stack([torch.full_like(mean, values), mean, variance]).double()
        counts, means, variances = torch.stack(processes.gathered(mine)).unbind(1)
        count = counts.sum(0)
        whole = (counts * means).sum(0) / count
        spread = (counts * (variances + (means - whole) ** 2)).sum(0) / count
        mean = whole.to(x.dtype)
        ctx.save_for_backward(x, mean)
        ctx.count = count = count[0]
        ctx.mark_non_differentiable(count)
        return mean, spread.to(x.dtype), count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        size = (-1, *[1] * (x.ndim - 2))
        # each process has the gradient from its own outputs alone
        of_mean, of_variance = processes.summed(torch.stack(grads[:2])) / ctx.count.to(x.dtype)
        spread = (x - mean.view(size)) * (2 * of_variance).view(size)
        whole: Tensor = spread + of_mean.view(size)
        return whole


class _Whole(_BatchNorm):
    """Batch norm of the whole batch."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalise `[N, channels, ...]`."""
        if processes.count() == 1 or not self.training:
            return super().forward(input)
        mean, variance, count = moments(input)
        self._track(mean.detach(), variance.detach() * (count / (count - 1)).to(input.dtype))
        size = (-1, *[1] * (input.ndim - 2))
        gain = self.weight / (variance + self.eps).sqrt()
        return input * gain.view(size) + (self.bias - mean * gain).view(size)

    def gain(self, x: Tensor) -> Tensor:
        """Return what the values of this batch are multiplied by, by channel."""
        variance = self.running_var
        if self.training:
            variance = moments(x)[1] if processes.count() > 1 else x.var(0, correction=0)
        assert variance is not None
        return self.weight / (variance + self.eps).sqrt()

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as torch's layers do."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # a cumulative average
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class BatchNorm1d(_Whole, nn.BatchNorm1d):
    """Of vectors `[N, features]`."""


class BatchNorm2d(_Whole, nn.BatchNorm2d):
    """Of maps `[N, channels, H, W]`."""


def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of `[N, channels, ...]` by channel, and the number of values.

    They are those of all processes, and gradients reach the values of all.
    """
    return cast(tuple[Tensor, Tensor, Tensor], _Moments.apply(x))  # type: ignore[no-untyped-call]
