"""Augmentation in a recipe: what may happen to training samples, and to which it cannot.

`lehr.train.learning.augment` moves and mirrors images, `lehr.train.learning.augment_events` changes
events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from lehr.strict import Strict

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
