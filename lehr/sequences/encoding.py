"""The numbers by which a sequence becomes spikes: all that a device has to be told of.

A run that was trained on sequences holds them, and new ones are encoded by the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator

from lehr.errors import FileRefused, UsageError
from lehr.runstate import AGAIN, read_state
from lehr.sequences.bands import HIGHEST_SHARE, band_edges, band_envelopes
from lehr.sequences.crossings import coded, gathered
from lehr.sequences.files import Sequence
from lehr.sequences.keys import Code, Coding
from lehr.sequences.wav import Floats
from lehr.strict import LIST, Count, Positive, Strict

MOST_VALUES = 1 << 28
"""Samples times channels, or steps times places, of a sequence that is encoded."""
KEY = "encoding"
"""Where a run's state has it."""


class Encoding(Strict):
    """How sequences of some rate and number of channels become spikes.

    Attributes:
        code: of changes, as in `Coding`.
        thresholds: of each channel that is coded, in the unit of its values.
        step_samples: samples of a step.
        steps: how many there are; as many as the sequence has if None.
        most: up to which the events of a step and channel are counted.
        channels: of a sequence.
        rate: of its samples, in hertz; None where files do not say.
        edges: of the bands into which each channel is parted, in hertz; None where it is not.
    """

    code: Code
    thresholds: Annotated[tuple[Positive, ...], LIST]
    step_samples: Count
    steps: Count | None
    most: Annotated[int, Field(ge=1, le=255)]
    channels: Count
    rate: Count | None
    edges: Annotated[tuple[Positive, ...], LIST, Field(min_length=2)] | None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bands, rate = len(self.edges or (0, 0)) - 1, self.rate
        if len(self.thresholds) != bands * self.channels:
            raise ValueError(f"{len(self.thresholds)} thresholds for {self.channels} channels")
        if self.edges is not None and (rate is None or self.edges[-1] >= rate / 2):
            raise ValueError("bands beyond half the rate of the samples")
        if self.edges is not None and (np.diff(self.edges) <= 0).any():
            raise ValueError("edges of bands that do not rise")
        return self

    @classmethod
    def of(cls, keys: Coding, like: Sequence, steps: int | None, most: int, key: str) -> Self:
        """Return the encoding that keys say, of sequences like one.

        Args:
            keys: with a code and a threshold, which every channel gets as it is.
            like: a sequence, whose rate and channels all have.
            steps: how many there are, as above.
            most: up to which events are counted.
            key: before the name of a key in messages, as "data.".

        Raises:
            UsageError: when bands do not go with the sequence.
        """
        assert keys.code is not None
        assert keys.threshold is not None
        edges = None if keys.bands is None else _edges(keys, like, key)
        channels = like.values.shape[1]
        return cls(
            code=keys.code,
            thresholds=(keys.threshold,) * (channels * (keys.bands or 1)),
            step_samples=keys.step_samples,
            steps=steps,
            most=most,
            channels=channels,
            rate=like.rate,
            edges=edges,
        )

    @classmethod
    def of_run(cls, folder: Path) -> Self:
        """Return the encoding of the sequences that a run was trained on.

        Raises:
            UsageError: when `folder` holds no run, or one of other data.
            FileRefused: when it is damaged.
        """
        state = read_state(folder)
        if KEY not in state:
            raise UsageError(
                f"{folder} says no encoding of sequences; give a run that was trained on data.name "
                "'series', or code and threshold"
            )
        try:
            return cls.model_validate(state[KEY])
        except ValidationError:
            raise FileRefused(
                f"{folder} says an encoding of sequences that is none; {AGAIN}"
            ) from None

    def scaled(self, factors: Floats) -> Self:
        """Return the encoding with its thresholds times `factors`, one for each."""
        thresholds = (np.array(self.thresholds) * factors).tolist()
        return self.model_copy(update={"thresholds": tuple(thresholds)})

    def coded_channels(self, sequence: Sequence, like: str) -> Floats:
        """Return what is coded, `[T, channels]`: the channels of the sequence, or their bands.

        Args:
            sequence: whose they are.
            like: what the encoding was made for, in messages.

        Raises:
            FileRefused: when it has another rate or other channels, or is too long.
            ToolMissing: when there are bands, and scipy is not installed.
        """
        for what, is_so, should in (
            ("a rate of {} Hz", sequence.rate, self.rate),
            ("{} channels", sequence.values.shape[1], self.channels),
        ):
            if is_so != should:
                has, others = (what.format("no" if n is None else n) for n in (is_so, should))
                raise FileRefused(
                    f"{sequence.name} has {has}, {like} has {others}; make all files alike"
                )
        if sequence.values.shape[0] * len(self.thresholds) > MOST_VALUES:
            raise FileRefused(
                f"{sequence.name} has {len(sequence.values):,} samples of {len(self.thresholds):,} "
                f"channels to be coded, more than {MOST_VALUES:,} values; cut it into pieces"
            )
        if self.edges is None:
            return sequence.values
        assert sequence.rate is not None
        return band_envelopes(sequence.values, sequence.rate, np.array(self.edges))

    def encode(
        self, sequence: Sequence, like: str = "what was trained on"
    ) -> npt.NDArray[np.uint8]:
        """Return the steps of a sequence, uint8 `[T, 2 * channels]`.

        Raises:
            FileRefused: as `coded_channels`; or when there are too many steps, or its values are
                too large for the thresholds.
        """
        samples = len(sequence.values)
        steps = self.steps or -(-samples // self.step_samples)
        if steps * 2 * len(self.thresholds) > MOST_VALUES:
            raise FileRefused(
                f"{sequence.name}: its {steps:,} steps are more than {MOST_VALUES:,} bytes as "
                "spikes; give fewer steps"
            )
        # what comes after the last step changes nothing before it
        first = sequence._replace(values=sequence.values[: steps * self.step_samples])
        values = self.coded_channels(first, like)
        try:
            events = coded(values, np.array(self.thresholds), self.code)
        except ValueError as error:
            raise FileRefused(f"{sequence.name}: {error}; raise the threshold") from None
        return gathered(events, steps, self.step_samples, self.most)


def _edges(keys: Coding, like: Sequence, key: str) -> tuple[float, ...]:
    """Return the edges of the bands in hertz."""
    assert keys.bands is not None
    if like.rate is None:
        raise UsageError(
            f"{key}bands is {keys.bands}, but {like.name} says no sampling rate; give WAV files, "
            "or leave it out"
        )
    highest = keys.highest_hz or HIGHEST_SHARE * like.rate
    if highest >= like.rate / 2:
        raise UsageError(
            f"{key}highest_hz is {highest:g}, but {like.name} has {like.rate} samples a second; "
            f"lower it below {like.rate / 2:g}"
        )
    if keys.lowest_hz >= highest:
        raise UsageError(
            f"{key}lowest_hz is {keys.lowest_hz:g}, but the highest edge is {highest:g}; lower it"
        )
    return tuple(band_edges(keys.bands, keys.lowest_hz, highest).tolist())
