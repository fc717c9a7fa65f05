"""Magnitude pruning: a growing share of every layer's smallest weights becomes 0 and stays so.

Source: Zhu & Gupta 2017, "To prune, or not to prune", Eq. 1: the share rises fast while the weights
are many, slowly at the end. Here it rises after every batch of phase A, from 0 to what the recipe
tells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lehr.train.floats.layers import Quantized


def share_at(final: float, position: float) -> float:
    """Return the pruned share at a position 0..1 of phase A: final * (1 - (1 - position)**3)."""
    return final * (1 - (1 - position) ** 3)


def smallest(latent: Tensor, kept: Tensor, share: float) -> Tensor:
    """Return the weights that are kept, 1 or 0 each, when `share` of them is pruned.

    Pruned are those pruned before, and of the rest the smallest.
    """
    count = int(share * latent.numel())
    if count == 0:
        return kept
    magnitude = torch.where(kept > 0, latent.detach().abs(), -1.0)
    return (magnitude > magnitude.flatten().kthvalue(count).values).to(latent.dtype)


class Pruner:
    """Prunes layers after every batch; does nothing where the recipe tells no share.

    Attributes:
        batch: batches trained so far; with the layers' `kept`, all that a run which is taken up
            again must set.
    """

    def __init__(self, layers: Sequence[Quantized], share: float | None, batches: int) -> None:
        """Begin with all weights kept, for a phase of `batches` batches."""
        self._layers, self._share, self._batches, self.batch = layers, share, batches, 0
        if share is not None:
            for layer in layers:
                layer.quantizer.kept = torch.ones_like(layer.weight)

    def step(self) -> None:
        """One batch has been trained."""
        self.batch += 1
        if self._share is None:
            return
        share = share_at(self._share, self.batch / self._batches)
        for layer in self._layers:
            assert layer.quantizer.kept is not None
            layer.quantizer.kept.copy_(smallest(layer.weight, layer.quantizer.kept, share))
