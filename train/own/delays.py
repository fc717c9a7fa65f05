"""Axonal delays in a torch model of one's own, which is called once a time step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lehr.errors import UsageError
from lehr.export.torchmodels.classes import HoldsBack
from lehr.train.floats.delays import Delays, held_back
from lehr.train.keys.delay import DelayRecipe


class AxonalDelays(Delays, HoldsBack):
    """Delays of what a layer takes, each channel's by steps of its own.

    It is called once a step, as snnTorch's neurons are, and keeps what it has taken until
    `reset_mem`, which is to be called with theirs; other shapes than before begin anew.

    While they learn, delays are real numbers, `steps`, which belong into a group of the optimiser
    with a rate of their own, such as 0.1; `lehr.train.ThresholdAnnealer` keeps them within 1 to
    the longest, and rounds them at the share `until` of its batches. `hold` rounds them at once.
    """

    def __init__(
        self, channels: int, longest: int, *, learn: bool = True, until: float | None = None
    ) -> None:
        """Draw delays for so many channels evenly from 1 to the longest, by torch's generator.

        Args:
            channels: of the input, its first axis without batch.
            longest: of them, in steps, at least 2.
            learn: whether they are trained; if not, they are whole numbers from the start.
            until: the share of all batches after which they are whole; 0.75 if None.

        Raises:
            UsageError: naming an argument that is out of range.
        """
        for name, value, least in (("channels", channels, 1), ("longest", longest, 2)):
            if value < least:
                raise UsageError(f"{name} is {value}; give at least {least}")
        if until is not None and not 0 < until <= 1:
            raise UsageError(f"until is {until}; give more than 0 and at most 1")
        recipe = DelayRecipe(max=longest, learn=learn, until=until)
        super().__init__(recipe, channels)
        self._line: list[Tensor] = []
        self.draw()

    def forward(self, x: Tensor) -> Tensor:
        """Take a step's values `[N, channels, ...]` and return those that are due; 0 at first."""
        if self._line and self._line[-1].shape != x.shape:
            self.reset_mem()
        self._line = [*self._line, x][-(self.recipe.max + self.reach + 1) :]
        return held_back(torch.stack(self._line), self.steps, 1, self.reach)[0]

    def reset_mem(self) -> None:
        """Forget what it has taken."""
        self._line = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave what it has taken out of a copy: torch refuses to copy the graph behind it."""
        return {**vars(self), "_line": []}
