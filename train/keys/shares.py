"""The neurons that share a threshold, and the grid on which integer thresholds lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from lehr.nodes import Int32Array
from lehr.strict import Count, Strict
from lehr.targets.training_form import Share


class Shares(Strict):
    """The integer thresholds of phases B and C: how many there are, and which integers they may be.

    Attributes:
        share: whose threshold is one: each `channel`'s, a `pair`'s, which channels 2i and 2i + 1
            are, each `layer`'s, the `network`'s.
        multiple: they are multiples of it.
        highest: the greatest there may be; what training in float32 holds if None.
    """

    share: Share = "channel"
    multiple: Count = 1
    highest: Count | None = None

    @model_validator(mode="after")
    def _any_is_left(self) -> Shares:
        if self.highest is not None and self.highest < self.multiple:
            raise ValueError(
                f"highest is {self.highest}, below the least multiple, {self.multiple}; raise it"
            )
        return self

    def most(self, limit: int) -> int:
        """Return the greatest threshold on the grid, at most `limit`."""
        return min(limit, self.highest or limit) // self.multiple * self.multiple

    def groups(self, channels: int) -> npt.NDArray[np.int64]:
        """Return the number of the threshold that each channel has, int64 `[channels]`."""
        each = np.arange(channels)
        return (
            each
            if self.share == "channel"
            else each // 2
            if self.share == "pair"
            else np.zeros_like(each)
        )

    def shared(self, layers: dict[str, Int32Array], limit: int) -> dict[str, Int32Array]:
        """Return thresholds of layers, int32 `[channels]` each by name, as their shares' means.

        They are brought to the grid, and to at most `limit`.
        """
        mean = {name: self._means(value.astype(np.float64)) for name, value in layers.items()}
        if self.share == "network":
            mean = (
                dict.fromkeys(layers, np.mean([value.mean() for value in mean.values()]))
                if mean
                else mean
            )
        highest = self.most(limit) // self.multiple
        on_grid = {
            name: np.clip(np.rint(value / self.multiple), 1, highest) * self.multiple
            for name, value in mean.items()
        }
        return {
            name: np.broadcast_to(on_grid[name], value.shape).astype(np.int32)
            for name, value in layers.items()
        }

    def _means(self, value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Over each share within a layer, for each channel."""
        groups = self.groups(len(value))
        return (np.bincount(groups, value) / np.bincount(groups))[groups]
