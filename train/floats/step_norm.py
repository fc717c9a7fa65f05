"""Batch norm of each time step's batch, as code has it that runs a network step by step.

In training every step is normalised by its own statistics, and the running ones move once a step.
What they end up as is one mean and one variance by channel, that of all steps, as where time is
folded into the batch: evaluation, re-estimation and folding are the same for both.

Source: the code of Eshraghian & Lu 2022, which calls torch's layers in a loop over time.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lehr.errors import UsageError
from lehr.train.data import Dataset
from lehr.train.recipe import Recipe


def normed(norm: _BatchNorm, sums: Tensor, given: int, steps: int) -> Tensor:
    """Normalise the sums of all time steps.

    Args:
        norm: whose running statistics move once a step where it is training.
        sums: `[given * N, ...]`, time first.
        given: of how many steps sums are there: all, or one where an input is held.
        steps: T.
    """
    if not norm.training or (given == 1 and norm.momentum is None):
        return cast(Tensor, norm(sums))
    if given > 1:
        # a process whose part of a batch has no samples takes part in all steps' statistics
        return torch.cat([norm(step) for step in sums.unflatten(0, (given, -1))])
    momentum = norm.momentum
    assert momentum is not None
    norm.momentum = 1 - (1 - momentum) ** steps  # as often as T calls with the same batch
    try:
        return cast(Tensor, norm(sums))
    finally:
        norm.momentum = momentum


def require_statistics(recipe: Recipe, data: Dataset) -> None:
    """Raise UsageError where a batch has one value of a channel, of which there is no variance."""
    samples, size = len(data.train), recipe.train.batch_size
    if samples % size != 1 and size != 1:
        return
    for number, layer in enumerate(recipe.network.weighted):
        if layer.type == "linear" and layer.batch_norm == "step":
            key = f"{recipe.network.key(number)}.batch_norm"
            raise UsageError(
                f"train.batch_size is {size}, of which {samples:,} samples leave a batch of one, "
                f"but {key} is 'step', which takes the variance of a step's samples; change "
                "batch_size, or data.train_samples"
            )
