"""A recording of an event camera as a network's input: time cut into steps, a 1 where at least one event fell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from lehr.arithmetic import Int64
from lehr.cameras import FORMATS, Events
from lehr.errors import FileRefused, UsageError
from lehr.nodes import Shape
from lehr.samples import LARGEST, Samples, SpikeEvents, open_samples
from lehr.spelling import one_of
from lehr.undecoded import refuse_undecoded

_EARLIEST = -(1 << 62)
_DIGITS = 18
"""Of a number in `--frames`, at most: 64 bits hold it."""
_HELP = "say how long a step is, as --frames step_us=1000"


@dataclass(frozen=True)
class Frames:
    """How time and pixels of a recording become steps and places.

    Attributes:
        step_us: microseconds in a step.
        start_us: where the first step begins; with the first event if None.
        steps: how many there are; up to the last event if None.
        downsample: how many pixels of the camera, across and down, are one of the network's.
    """

    step_us: int
    start_us: int | None = None
    steps: int | None = None
    downsample: int = 1


def frames(text: str) -> Frames:
    """What the option `--frames` says, as `step_us=1000,downsample=4`.

    Raises:
        UsageError: when it does not.
    """
    keys, told = [field.name for field in fields(Frames)], {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        number = value.isascii() and value.isdecimal() and (value.strip("0") or key == "start_us")
        if key not in keys or key in told or not number:
            way_out = one_of("" if key in keys else key, keys, "give KEY=NUMBER, once each, of")
            raise UsageError(f"--frames: {part.strip()!r} tells nothing; {way_out}")
        if len(value) > _DIGITS:
            raise UsageError(f"--frames: {key} has {len(value):,} digits; give at most {_DIGITS}")
        told[key] = int(value)
    if "step_us" not in told:
        raise UsageError(f"--frames {text}: no step_us; {_HELP}")
    return Frames(**told)


def open_inputs(path: Path, shape: Shape, told: str | None) -> Samples:
    """Inputs of a network, to be read in pieces: of an `.npz` file, or of a recording, which is one sample.

    Args:
        path: of the file; the end of its name tells which it is.
        shape: of the network's input.
        told: how a recording is cut into frames, see `frames`.

    Raises:
        UsageError: when there is no such file, or `told` is missing or not for it.
        FileRefused: when the file is not what it should be, or does not fit the network.
    """
    if path.suffix.lower() in FORMATS and path.is_file():
        if told is None:
            raise UsageError(f"{path} is a recording of events; {_HELP}")
        return Recording(path, shape, frames(told))
    refuse_undecoded(path, ", ".join(FORMATS))
    if told is not None:
        raise UsageError(
            f"--frames is for recordings ({', '.join(FORMATS)}), and {path} is none; leave it out"
        )
    return open_samples(path)


class Recording(SpikeEvents):
    """One sample: spikes `[1, T, 2, rows, columns]`, darker before brighter, made of the events when they are asked for.

    Args:
        path: of the file.
        shape: of the network's input, 2, rows and columns.
        cut: how it becomes frames.

    Raises:
        FileRefused: when the file is damaged or has no event in these frames, or an event or the
            shape does not fit.
    """

    def __init__(self, path: Path, shape: Shape, cut: Frames) -> None:
        self.path, self.labels, self._whole, self._cut = path, None, None, cut
        if len(shape) != 3 or shape[0] != 2:
            told = f"the network takes {list(shape)}"
            raise FileRefused(
                f"{path} is a recording of two polarities, [2, rows, columns], but {told}; give "
                "inputs as an .npz file"
            )
        self.shape = (1, cut.steps or 0, *shape)
        first = self._first()
        self._start = first if cut.start_us is None else cut.start_us
        last = cut.steps or max(
            (int(step[-1]) + 1 for step, _ in self._steps() if len(step)), default=0
        )
        if not last:
            raise FileRefused(
                f"{path} has no event from {self._start:,} us on; give an earlier start_us"
            )
        self.shape = (1, last, *shape)
        if (size := math.prod(self.shape)) > LARGEST:
            raise FileRefused(
                f"{path}: its {last:,} steps are {size:,} bytes as spikes, the limit is "
                f"{LARGEST:,}; give steps, or a longer one"
            )

    def _decoded(self) -> Iterator[Events]:
        return FORMATS[self.path.suffix.lower()](self.path)

    def _first(self) -> int:
        for events in self._decoded():
            if len(events.time):
                return int(events.time[0])
        raise FileRefused(f"{self.path} holds no event; give another recording")

    def _steps(self) -> Iterator[tuple[Int64, Int64]]:
        """Steps from the first frame on, and places, of all events that are not before it."""
        cut, (rows, columns), last = self._cut, self.shape[3:], _EARLIEST
        for events in self._decoded():
            way_out = "give the network's own camera, or downsample=N in --frames"
            events.require_inside(
                self.path, rows * cut.downsample, columns * cut.downsample, way_out
            )
            step = (events.time - self._start) // cut.step_us
            if len(back := np.flatnonzero(np.diff(step, prepend=last) < 0)):
                told = f"goes back in time to {events.time[back[0]]:,} us, an earlier step than that of the event before"
                raise FileRefused(f"{self.path} {told}; sort the events by time")
            last = int(step[-1]) if len(step) else last
            kept = int(np.searchsorted(step, 0))
            x, y = events.x[kept:] // cut.downsample, events.y[kept:] // cut.downsample
            yield step[kept:], (events.polarity[kept:] * rows + y) * columns + x

    def _blocks(self, start: int) -> Iterator[tuple[Int64, Int64]]:
        for step, place in self._steps() if start == 0 else ():
            end = int(np.searchsorted(step, self.shape[1]))
            yield step[:end], place[:end]
            if end < len(step):
                return
