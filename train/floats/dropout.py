"""Dropout of a process's part of a batch."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lehr.train.processes import Part


class Dropout(nn.Dropout):
    """torch's, for time first; what is drawn for a sample does not depend on whose part it is in.

    Attributes:
        part: of the batch, this process's; None where it is alone.
    """

    part: Part | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of `[T, N, ...]`."""
        if self.part is None or not self.training:
            return super().forward(x)
        whole = x.new_ones(len(x), self.part.samples, *x.shape[2:])
        return x * functional.dropout(whole, self.p)[:, self.part.mine]
