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

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Drop values of `[T, N, ...]`."""
        if self.part is None or not self.training:
            return super().forward(input)
        whole = input.new_ones(len(input), self.part.samples, *input.shape[2:])
        return input * functional.dropout(whole, self.p)[:, self.part.mine]
