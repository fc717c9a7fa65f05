"""Events to frames: time is cut into T slices of equal length, and a slice has a 1 where at least one event fell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.nodes import Shape
from lehr.train.data.source import Values

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CameraEvents:
    """What an event camera recorded: time in microseconds, column, row, and polarity 0 (darker) or 1 (brighter), int64 `[events]` each."""

    time: Integers
    x: Integers
    y: Integers
    polarity: Integers

    def frames(self, shape: Shape, steps: int, step_ms: float) -> Values:
        """Frames uint8 `[steps, 2, rows, columns]` from time 0 on.

        Args:
            shape: 2, rows and columns of the frames, as `camera_shape` gives it.
            steps: number of frames.
            step_ms: length of each, in milliseconds.
        """
        return frames(self.time / 1000, np.ravel_multi_index((self.polarity, self.y, self.x), shape), shape, steps, step_ms)

    def smaller(self, factor: int) -> CameraEvents:
        """The events of a camera whose pixels are `factor` times as wide and high."""
        return CameraEvents(self.time, self.x // factor, self.y // factor, self.polarity)


def camera_shape(size: int, factor: int) -> Shape:
    """Shape of a frame of a square camera of `size` pixels, each `factor` times as wide and high."""
    return (2, -(-size // factor), -(-size // factor))


def frames(time_ms: npt.NDArray[np.float64], address: Integers, shape: Shape, steps: int, step_ms: float) -> Values:
    """Frames uint8 `[steps, *shape]` of 0 and 1; events before 0 and after the last frame are left out.

    Args:
        time_ms: of each event, in milliseconds.
        address: of each event, in the flattened shape.
        shape: of a frame.
        steps: number of frames.
        step_ms: length of each, in milliseconds.
    """
    made = np.zeros((steps, int(np.prod(shape))), np.uint8)
    step = np.floor(time_ms / step_ms)
    inside = (step >= 0) & (step < steps)
    made[step[inside].astype(np.int64), address[inside]] = 1
    return made.reshape(steps, *shape)
