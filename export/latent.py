"""Latent weights: the real values behind a layer's integers, as a run's folder keeps them.

In `checkpoint.safetensors`:

    NODE.weight   float32, the shape of the weights
    NODE.grid     float32, a scalar: the distance of two levels; absent where the signs are weights
    NODE.kept     bool, the shape of the weights; absent where nothing is pruned
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.weights import LARGEST, Int8Array, WeightKind


@dataclass(frozen=True)
class Latent:
    """One layer's latents and what makes integers of them.

    Attributes:
        weight: real values.
        grid: the distance of two levels, a scalar; None for signs (0 counts as +1).
        kept: False where a weight is pruned, and its level 0; None where none is.
    """

    weight: npt.NDArray[np.floating[Any]]
    grid: npt.NDArray[np.floating[Any]] | None = None
    kept: npt.NDArray[np.bool_] | None = None

    def levels(self, kind: WeightKind) -> Int8Array:
        """Return the integers: the nearest level, to even at ties, no greater than `kind` allows.

        Raises:
            NotMappable: when a weight, or the distance of levels, is not finite. The caller names
                the layer.
        """
        if not np.isfinite(self.weight).all() or not (self.grid is None or 0 < self.grid < np.inf):
            raise NotMappable(
                "its latent weights are not finite; train it again with a lower learning rate"
            )
        if self.grid is None:
            found = np.where(self.weight >= 0, 1, -1)
        else:
            found = np.clip(np.rint(self.weight / self.grid), -LARGEST[kind], LARGEST[kind])
        return (found if self.kept is None else found * self.kept).astype(np.int8)

    def tensors(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint holds for node `name`."""
        told: dict[str, npt.NDArray[Any] | None] = {
            "weight": self.weight,
            "grid": self.grid,
            "kept": self.kept,
        }
        return {f"{name}.{key}": value for key, value in told.items() if value is not None}

    @classmethod
    def take(cls, name: str, tensors: dict[str, npt.NDArray[Any]]) -> Latent:
        """Take node `name` out of the tensors of a checkpoint.

        Raises:
            KeyError: when it has no weight.
            ValueError: when a tensor is not what it should be.
        """
        weight = tensors.pop(f"{name}.weight").astype(np.float32)
        grid, kept = tensors.pop(f"{name}.grid", None), tensors.pop(f"{name}.kept", None)
        if not np.isfinite(weight).all():
            raise ValueError(f"{name}.weight is not finite")
        if grid is not None and (grid.dtype != np.float32 or grid.shape or not 0 < grid < np.inf):
            raise ValueError(f"{name}.grid is no positive float32 number")
        if kept is not None and (kept.dtype != np.bool_ or kept.shape != weight.shape):
            raise ValueError(f"{name}.kept is {kept.dtype} {kept.shape}, not bool {weight.shape}")
        return cls(weight, grid, kept)
