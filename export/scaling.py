"""What a torch model takes for the integers of its input: scaled, less a mean, over a deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.export.digits import digits
from lehr.export.fold import Float
from lehr.nodes import Shape

Numbers = float | Sequence[float]


@dataclass(frozen=True)
class Scaling:
    """The inputs of a model, `(x / full_scale - mean) / std` of integers x.

    Attributes:
        full_scale: 255 for pixels, 1 for counts and spikes.
        mean, std: float64 `[channels]`.
    """

    full_scale: float
    mean: Float
    std: Float

    @property
    def gain(self) -> Float:
        """Return what an integer is worth, by channel."""
        return 1 / (self.full_scale * self.std)

    @property
    def offset(self) -> Float:
        """Return what the model has where the integer is 0, by channel."""
        return -self.mean / self.std

    @property
    def digits(self) -> int:
        """Return the most binary digits of any number that the model computes with here."""
        return digits(1 / self.full_scale, self.mean, 1 / self.std, self.gain, self.offset)

    def floats(self, x: npt.NDArray[np.uint8]) -> Float:
        """Return what the model takes for integers `[N, channels, ...]`, one step of them."""
        axes = [1, -1, *[1] * (x.ndim - 2)]
        mean, std = self.mean.reshape(axes), self.std.reshape(axes)
        return (x.astype(np.float64) / self.full_scale - mean) / std


def scaling(
    shape: Shape, full_scale: float | None, mean: Numbers | None, std: Numbers | None
) -> Scaling:
    """Return what is said of the input of a shape, without batch and time.

    Raises:
        UsageError: when it is not one number or one a channel, or out of range.
    """
    if full_scale is not None and not 0 < full_scale < np.inf:
        raise UsageError(f"--full-scale is {full_scale:g}; use a number above 0, 255 for pixels")
    means = _by_channel("--mean", 0.0 if mean is None else mean, shape)
    deviations = _by_channel("--std", 1.0 if std is None else std, shape)
    if not (deviations > 0).all():
        raise UsageError(f"--std is {deviations.min():g}; use numbers above 0")
    return Scaling(full_scale or 1.0, means, deviations)


def _by_channel(name: str, given: Numbers, shape: Shape) -> Float:
    values = np.atleast_1d(np.asarray(given, np.float64))
    if values.shape not in ((1,), (shape[0],)):
        raise UsageError(
            f"{name} has {values.size} numbers, the input {shape[0]} channels; give one number, or "
            "one a channel"
        )
    if not np.isfinite(values).all():
        raise UsageError(f"{name} holds {values[~np.isfinite(values)][0]:g}; use finite numbers")
    return np.broadcast_to(values, shape[:1]).copy()
