"""The keys that say how sequences become events: of `data` in a recipe, and of `--frames`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lehr.strict import Count, Positive, Strict

Code = Literal["delta", "level-crossing"]


class Coding(Strict):
    """How sequences become events.

    Attributes:
        code: how sequences become events: `delta`, one where a value is `threshold` away from that
            of its channel's last event, or `level-crossing`, one for each multiple of `threshold`
            that is reached; either has a channel for up and one for down.
        threshold: of `code`, in units of `threshold_in`.
        threshold_in: what `threshold` counts: the values' own unit (`value`), or the standard
            deviation of each channel over the samples trained on (`spread`).
        step_samples: samples of a sequence that are a step.
        bands: into how many a sound is parted before it is coded; it is coded as it is if None.
        lowest_hz: where the first band begins, in hertz.
        highest_hz: where the last band ends, in hertz; 0.45 of the sampling rate if None.
    """

    code: Code | None = None
    threshold: Positive | None = None
    threshold_in: Literal["value", "spread"] = "value"
    step_samples: Count = 1
    bands: Annotated[int, Field(ge=1, le=700)] | None = None
    lowest_hz: Positive = 100.0
    highest_hz: Positive | None = None

    def edges_without_bands(self, prefix: str) -> Iterator[str]:
        """Say which edges are given without bands, in sentences; keys begin with `prefix`."""
        for key in ("lowest_hz", "highest_hz"):
            value = getattr(self, key)
            if self.bands is None and value != Coding.model_fields[key].default:
                yield (
                    f"{prefix}{key} is {value:g}, but {prefix}bands is not given; add it, or leave "
                    f"{key} out"
                )
