"""Augmentation: training samples are changed at random, here images, moved and mirrored.

No epoch shows the network the same ones. `lehr.train.learning.augment_events` changes events.

Pixels stay the integers that they are, and nothing is interpolated. Validation and test images are
never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lehr.strict import Strict

Values = npt.NDArray[np.uint8]

_OF_CHANNELS = ("drop_channels", "shift_channels")


class Augment(Strict):
    """Changes that may happen to a training sample.

    Attributes:
        shift: an image moves by up to so many pixels in each direction, all distances as likely;
            what it leaves is filled with 0.
        mirror: the chance that left and right of an image change places.
        drop: the chance that an event is dropped.
        drop_steps: a stretch of up to so many steps, all numbers as likely, loses its events.
        drop_channels: up to so many channels, neighbours, lose their events; of samples that are a
            line of channels in each step.
        shift_steps: a sample moves by up to so many steps, earlier or later, all distances as
            likely; what it leaves is filled with 0.
        shift_channels: it moves so along its channels; of the same samples.
        mix: the chance that a sample gets a stretch of up to half its steps from another sample of
            the same class in the batch.
    """

    shift: Annotated[int, Field(ge=0)] = 0
    mirror: Annotated[float, Field(ge=0, le=1)] = 0.0
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_steps: Annotated[int, Field(ge=0)] = 0
    drop_channels: Annotated[int, Field(ge=0)] = 0
    shift_steps: Annotated[int, Field(ge=0)] = 0
    shift_channels: Annotated[int, Field(ge=0)] = 0
    mix: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _does_something(self) -> Augment:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError(
                "'augment' is given, but changes nothing; give it 'shift' or another change, or "
                "leave it out"
            )
        return self

    @property
    def of_images(self) -> bool:
        """Whether rows and columns change."""
        return bool(self.shift or self.mirror)

    @property
    def of_events(self) -> dict[str, float]:
        """The changes of events that may happen, by key."""
        return {
            name: value
            for name in (*_OF_CHANNELS, "drop", "drop_steps", "shift_steps", "mix")
            if (value := getattr(self, name))
        }

    def contradictions(
        self, shape: tuple[int, ...], steps: int | None, *, by_step: bool
    ) -> Iterator[str]:
        """Say which changes the samples of a data set do not take, in sentences.

        Args:
            shape: of a sample, or of one step of it.
            steps: T of training samples; None where they are held.
            by_step: whether each step has a label of its own.
        """
        line = len(shape) == 1 or (len(shape) == 3 and shape[1] == 1)
        if self.of_images and (len(shape) != 3 or line):
            yield (
                f"train.augment moves images, but a sample has shape {shape}, without rows and "
                "columns; leave it out"
            )
        for name, value in self.of_events.items():
            key = f"train.augment.{name} is {value:g}"
            if steps is None:
                yield (
                    f"{key}, but a sample is held for all steps, and has no events; leave it out, "
                    "or set data.encoding"
                )
            elif name in _OF_CHANNELS and not line:
                yield (
                    f"{key}, but a step of a sample has shape {shape}, no line of channels; "
                    "leave it out"
                )
            elif name == "shift_steps" and value >= steps:
                yield f"{key}, but a sample has {steps} steps; lower it"
            elif name == "mix" and by_step:
                yield (
                    f"{key}, but labels are given for each step, and a sample is of no one class; "
                    "leave it out"
                )


def augmented(x: Values, augment: Augment, random: np.random.Generator) -> Values:
    """Return images, moved and mirrored; a sample of several steps moves as a whole.

    Args:
        x: uint8 `[N, ..., rows, columns]`; it stays as it is.
        augment: what may happen.
        random: where the chances come from, drawn sample by sample.
    """
    images = x
    if augment.mirror:
        turned = random.random(len(x)) < augment.mirror
        images = np.where(turned.reshape(-1, *[1] * (x.ndim - 1)), images[..., ::-1], images)
    if augment.shift:
        room = [(0, 0)] * (x.ndim - 2) + [(augment.shift, augment.shift)] * 2
        wide, (rows, columns) = np.pad(images, room), x.shape[-2:]
        corners = random.integers(0, 2 * augment.shift + 1, (len(x), 2))
        images = np.stack(
            [
                image[..., top : top + rows, left : left + columns]
                for image, (top, left) in zip(wide, corners, strict=True)
            ]
        )
    return images
