"""Augmentation: training samples are changed at random, here images, moved and mirrored.

No epoch shows the network the same ones. `lehr.train.learning.augment_events` changes events.

Pixels stay the integers that they are, and nothing is interpolated. Validation and test images are
never touched.
"""

from __future__ import annotations

import numpy as np

from lehr.train.data.source import Values
from lehr.train.keys.augment import Augment


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
