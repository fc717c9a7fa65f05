"""Transforms of an event camera's recordings before they become frames.

These are tonic's transforms, by tonic's names.

Only those that draw nothing by chance and leave the camera's size as it is. What they compute is
tonic's, version by version; a recipe without them needs no tonic, and its frames are the same with
and without it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lehr.strict import Strict

Microseconds = Annotated[int, Field(ge=1)]


class Denoise(Strict):
    """Drops an event if none of its four neighbours had one within `filter_time` us before it.

    Attributes:
        filter_time: in microseconds.
    """

    name: Literal["Denoise"]
    filter_time: Microseconds


class RefractoryPeriod(Strict):
    """Drops an event if its pixel had one in the `delta` microseconds before it.

    Attributes:
        delta: in microseconds.
    """

    name: Literal["RefractoryPeriod"]
    delta: Microseconds


class DropPixel(Strict):
    """Drops pixels with events more often than `hot_pixel_frequency`, in hertz, on average.

    The average is over the recording.

    Attributes:
        hot_pixel_frequency: in hertz.
    """

    name: Literal["DropPixel"]
    hot_pixel_frequency: Annotated[float, Field(gt=0)]


Transform = Annotated[Denoise | RefractoryPeriod | DropPixel, Field(discriminator="name")]
