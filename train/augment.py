"""Augmentation: training images are moved and mirrored at random.

No epoch shows the network the same ones.

Pixels stay the integers that they are, and nothing is interpolated. Validation and test images are
never touched.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

Values = npt.NDArray[np.uint8]


class Augment(BaseModel):
    """Changes that may happen to a training image.

    Attributes:
        shift: it moves by up to so many pixels in each direction, all distances as likely; what it
            leaves is filled with 0.
        mirror: the chance that left and right change places.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shift: Annotated[int, Field(ge=0)] = 0
    mirror: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _does_something(self) -> Augment:
        if not self.shift and not self.mirror:
            raise ValueError(
                "'augment' is given, but changes nothing; give it 'shift' or 'mirror', or leave it "
                "out"
            )
        return self


def augmented(x: Values, augment: Augment, random: np.random.Generator) -> Values:
    """Images as `told` wants them; a sample of several steps moves as a whole.

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
