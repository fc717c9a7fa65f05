"""Events to frames: time is cut into T equal slices.

A slice has a 1 where at least one event fell, or the number of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lehr.cameras import Events, Size
from lehr.errors import ToolMissing
from lehr.network import HIGHEST
from lehr.nodes import InputKind, Shape
from lehr.train.data.source import Values
from lehr.train.keys.transforms import Transform
from lehr.train.recipe import DataRecipe

Time = TypeVar("Time", np.int64, np.float64)

Integers = npt.NDArray[np.int64]


class CameraEvents(Events):
    """Recordings of an event camera, to be made frames of."""

    def frames(self, shape: Shape, steps: int, step_ms: float, most: int = 1) -> Values:
        """Frames uint8 `[steps, 2, rows, columns]` from time 0 on.

        Args:
            shape: 2, rows and columns of the frames, as `camera_shape` gives it.
            steps: number of frames.
            step_ms: length of each, in milliseconds.
            most: up to which events are counted, 1 to 255.
        """
        return frames(
            self.time / 1000,
            np.ravel_multi_index((self.polarity, self.y, self.x), shape),
            shape,
            steps,
            step_ms,
            most,
        )

    def transformed(self, transforms: tuple[Transform, ...]) -> CameraEvents:
        """Return the events that tonic's transforms leave.

        Raises:
            ToolMissing: when there are transforms, and tonic is not installed.
        """
        if not transforms:
            return self
        try:
            from tonic import transforms as tonic
        except ImportError:
            raise ToolMissing(
                "data.transforms are computed by tonic, which is not installed; pip install "
                "'lehr[tonic]'"
            ) from None
        events = np.zeros(len(self.time), [(name, np.int64) for name in "xytp"])
        events["x"], events["y"], events["t"], events["p"] = (
            self.x,
            self.y,
            self.time,
            self.polarity,
        )
        for transform in transforms:
            if len(events):  # they look for the largest coordinate
                events = getattr(tonic, transform.name)(**transform.model_dump(exclude={"name"}))(
                    events
                )
        return CameraEvents(events["t"], events["x"], events["y"], events["p"])

    def smaller(self, factor: int) -> CameraEvents:
        """Return the events of a camera whose pixels are `factor` times as wide and high."""
        return CameraEvents(self.time, self.x // factor, self.y // factor, self.polarity)


def camera_frames(events: CameraEvents, recipe: DataRecipe, size: Size) -> Values:
    """Return one sample's frames `[steps, 2, rows, columns]` as a recipe says.

    The camera has the rows and columns `size`.
    """
    assert recipe.steps is not None
    assert recipe.step_ms is not None
    kept = events.transformed(recipe.transforms).smaller(recipe.downsample)
    kept = replace(kept, time=since_origin(kept.time, recipe))
    return kept.frames(
        camera_shape(size, recipe.downsample), recipe.steps, recipe.step_ms, most_of(recipe)
    )


def camera_shape(size: Size, factor: int) -> Shape:
    """Return the shape of a frame of a camera of some rows and columns.

    Its pixels are each `factor` times as wide and high.
    """
    return (2, -(-size[0] // factor), -(-size[1] // factor))


def frames(
    time_ms: npt.NDArray[np.float64],
    address: Integers,
    shape: Shape,
    steps: int,
    step_ms: float,
    most: int = 1,
) -> Values:
    """Return frames uint8 `[steps, *shape]`: how many events fell, at most `most`.

    Events before 0 and after the last frame are left out.

    Args:
        time_ms: of each event, in milliseconds.
        address: of each event, in the flattened shape.
        shape: of a frame.
        steps: number of frames.
        step_ms: length of each, in milliseconds.
        most: up to which events are counted, 1 to 255; with 1 a frame tells where any fell.
    """
    size = int(np.prod(shape))
    step = np.floor(time_ms / step_ms)
    inside = (step >= 0) & (step < steps)
    place = step[inside].astype(np.int64) * size + address[inside]
    fallen = np.minimum(np.bincount(place, minlength=steps * size), most)
    return fallen.astype(np.uint8).reshape(steps, *shape)


def since_origin(time: npt.NDArray[Time], recipe: DataRecipe) -> npt.NDArray[Time]:
    """Return the times of a sample's events, any unit, from where the recipe says time 0 is."""
    return time - time.min() if recipe.origin == "first-event" and len(time) else time


def most_of(recipe: DataRecipe) -> int:
    """Return up to which a recipe counts the events of a frame."""
    return HIGHEST[kind_of(recipe)]


def kind_of(recipe: DataRecipe) -> InputKind:
    """Return what the values of event frames are, as in `lehr.network.Input`."""
    return "u8" if recipe.frames == "count" else "spikes"
