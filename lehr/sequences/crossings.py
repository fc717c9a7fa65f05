"""Codes that turn a sequence of values into events where it has changed.

With threshold d of a channel, at its sample t > 0:

delta           x[t] is compared with r, the value at which the channel had its last event, x[0] at
first: x[t] - r >= d is an event up, r - x[t] >= d one down, and r becomes x[t]
level-crossing  levels lie at all whole multiples of d; k is the number of the level last reached,
floor(x[0] / d + 1/2) at first: floor(x[t] / d) - k events up where that is above 0, else
k - ceil(x[t] / d) events down where that is, and k moves by as many; a level that was the last one
is not reached again, so that noise around it makes no events

Sources: Miskowicz 2006, "Send-on-delta concept: an event-based data reporting strategy", for delta
and for levels; Lichtsteiner, Posch & Delbruck 2008, "A 128x128 120 dB 15 us latency asynchronous
temporal contrast vision sensor", whose pixels have a channel up and one down.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lehr.compiled import compiled
from lehr.sequences.keys import Code
from lehr.sequences.wav import Floats

Events = npt.NDArray[np.int64]
MOST_LEVELS = 1 << 31
"""Levels between 0 and a value."""


def coded(values: Floats, thresholds: Floats, code: Code) -> Events:
    """Return how many events fall at each sample, int64 `[T, 2 * channels]`.

    Column 2 c counts those of channel c up, column 2 c + 1 those down.

    Args:
        values: `[T, channels]`, finite.
        thresholds: `[channels]`, above 0.
        code: how.

    Raises:
        ValueError: when a threshold is not above 0, or a value is 2^31 of them or more.
    """
    if not (thresholds > 0).all():
        channel = int(np.argmin(thresholds > 0))
        raise ValueError(f"the threshold of channel {channel} is {thresholds[channel]:g}, not > 0")
    far = np.abs(values).max(axis=0, initial=0) >= MOST_LEVELS * thresholds
    if far.any():
        channel = int(np.argmax(far))
        raise ValueError(
            f"channel {channel} has values of 2^31 thresholds of {thresholds[channel]:g} or more"
        )
    events = np.zeros((len(values), 2 * values.shape[1]), np.int64)
    kernel = _send_on_delta if code == "delta" else _level_crossings
    kernel(np.ascontiguousarray(values, np.float64), thresholds.astype(np.float64), events)
    return events


def gathered(events: Events, steps: int, step_samples: int, most: int) -> npt.NDArray[np.uint8]:
    """Return the events of each step, uint8 `[steps, places]`, at most `most` of a place.

    Args:
        events: `[T, places]`; samples after the last step are left out, steps after the last
            sample are empty.
        steps: number of steps.
        step_samples: samples of a step.
        most: up to which events are counted, 1 to 255.
    """
    kept = events[: steps * step_samples]
    starts = np.arange(0, len(kept), step_samples)
    counts = np.zeros((steps, events.shape[1]), np.uint8)
    counts[: len(starts)] = np.minimum(np.add.reduceat(kept, starts, axis=0), most)
    return counts


@compiled
def _send_on_delta(values: Floats, thresholds: Floats, events: Events) -> None:
    for channel in range(values.shape[1]):
        sent = values[0, channel]
        for t in range(1, values.shape[0]):
            change = values[t, channel] - sent
            if abs(change) >= thresholds[channel]:
                events[t, 2 * channel + (change < 0)] = 1
                sent = values[t, channel]


@compiled
def _level_crossings(values: Floats, thresholds: Floats, events: Events) -> None:
    for channel in range(values.shape[1]):
        level = np.floor(values[0, channel] / thresholds[channel] + 0.5)
        for t in range(1, values.shape[0]):
            place = values[t, channel] / thresholds[channel]
            up, down = np.floor(place) - level, level - np.ceil(place)
            if up > 0:
                events[t, 2 * channel] = int(up)
                level += up
            elif down > 0:
                events[t, 2 * channel + 1] = int(down)
                level -= down
