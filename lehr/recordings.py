"""Recordings of an event camera as a network's input.

Time is cut into steps. An input of spikes gets a 1 where at least one event fell, one of bytes how
many fell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.cameras import NAMES, SUFFIXES, Events, Unit, camera_size, decoded
from lehr.cameras.records import UNITS
from lehr.errors import FileRefused, UsageError
from lehr.network import HIGHEST, Input
from lehr.npz import Archive
from lehr.samples import LARGEST, SHAPE, Samples, SensorEvents
from lehr.sequences.files import ENDS
from lehr.shards import HDF5, STORED, Shards, shards_of, stored
from lehr.spelling import one_of
from lehr.undecoded import RECORDS, refuse_undecoded

_EARLIEST = -(1 << 62)
_DIGITS = 18
"""Digits of a number in `--frames`, at most: 64 bits hold it."""
_HELP = "say how long a step is, as --frames step_us=1000"
RUN = "run="
"""Before a run's folder in `--frames`: a sequence is encoded as the run's data was."""


@dataclass(frozen=True)
class Frames:
    """Frames of a recording: its time in steps, its pixels in places.

    Attributes:
        step_us: microseconds in a step.
        start_us: where the first step begins; with the first event if None.
        steps: how many there are; up to the last event if None.
        downsample: how many pixels of the camera, across and down, are one of the network's.
        most: up to which the events of a step and place are counted; as far as the network's input
            goes if None, which is 1 in spikes and 255 in bytes.
        unit: of the file's times, where its format does not say it.
    """

    step_us: int
    start_us: int | None = None
    steps: int | None = None
    downsample: int = 1
    most: int | None = None
    unit: Unit = "us"


def frames(text: str) -> Frames:
    """Read the option `--frames`, as `step_us=1000,downsample=4`.

    Raises:
        UsageError: when it does not.
    """
    keys = [field.name for field in fields(Frames) if field.name != "unit"]
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key == "unit" and key not in values:
            if value not in UNITS:
                raise UsageError(f"--frames: unit is {value!r}; {one_of(value, UNITS)}")
            values[key] = value
            continue
        number = value.isascii() and value.isdecimal() and (value.strip("0") or key == "start_us")
        if key not in keys or key in values or not number:
            way_out = one_of("" if key in keys else key, keys, "give KEY=NUMBER, once each, of")
            raise UsageError(f"--frames: {part.strip()!r} tells nothing; {way_out}, or unit=UNIT")
        if len(value) > _DIGITS:
            raise UsageError(f"--frames: {key} has {len(value):,} digits; give at most {_DIGITS}")
        values[key] = int(value)
    if "step_us" not in values:
        raise UsageError(f"--frames {text}: no step_us; {_HELP}")
    if values.get("most", 1) > HIGHEST["u8"]:
        raise UsageError(
            f"--frames: most is {values['most']}, but a place of the input is a byte; give at most "
            f"{HIGHEST['u8']}"
        )
    return Frames(**values)


def open_inputs(path: Path, entry: Input, framing: str | None) -> Samples:
    """Open inputs of a network, to be read in pieces.

    They are of an `.npz`, `.tar` or HDF5 file, of a recording or a sequence, which is one sample,
    or of several of these, shards.

    Args:
        path: of the file, whose end of its name tells which it is; or, of shards, of the folder
            that holds them or, as `@LIST.txt`, of a list of them.
        entry: the network's input. Where it is bytes, events are counted.
        framing: how a recording is cut into frames, see `frames`, or how a sequence becomes spikes,
            `lehr.sequences.samples`.

    Raises:
        UsageError: when there is no such file, or `framing` is missing or not for it.
        FileRefused: when the file is not what it should be, or does not fit the network.
    """
    suffix = path.suffix.lower()
    if framing is not None and suffix in ENDS and path.is_file() and is_of_sequences(framing):
        from lehr.sequences.samples import SequenceSample

        return SequenceSample(path, entry, framing)
    if suffix in SUFFIXES and path.is_file() and not _holds_inputs(path, framing):
        if framing is None:
            raise UsageError(f"{path} is a recording of events; {_HELP}")
        return Recording(path, entry, frames(framing))
    if suffix in (".wav", ".csv") and path.is_file() and (framing is None or suffix == ".wav"):
        records = "" if suffix == ".wav" else f"; if it holds events, {RECORDS}"
        raise UsageError(
            f"{path} is a sequence of samples; say how it becomes spikes, as --frames "
            f"code=delta,threshold=0.5 or, as a run's data did, --frames run=RUN{records}"
        )
    refuse_undecoded(path, NAMES)
    if several := shards_of(path, {*STORED, *SUFFIXES, *ENDS}):
        named, shards = several
        return Shards(named, [open_inputs(each, entry, framing) for each in shards])
    if framing is not None:
        raise UsageError(
            f"--frames is for recordings ({', '.join(SUFFIXES)}) and sequences "
            f"({', '.join(ENDS)}), and {path} is none; leave it out"
        )
    return stored(path, entry.highest)


def _holds_inputs(path: Path, framing: str | None) -> bool:
    """Return whether a file is of inputs, not of a recording, where its name may be of both."""
    suffix = path.suffix.lower()
    if framing is None:
        return suffix in (".npz", *HDF5)
    if suffix != ".npz":
        return False
    with Archive(path) as archive:
        return "input" in archive or SHAPE in archive


def is_of_sequences(framing: str) -> bool:
    """Return whether `framing` is for a sequence, by the keys that it cannot do without."""
    return framing.startswith(RUN) or any(
        part.strip().partition("=")[0] == "code" for part in framing.split(",")
    )


class Recording(SensorEvents):
    """One sample: spikes or counts `[1, T, 2, rows, columns]`, darker before brighter.

    They are made of the events when they are asked for.

    Args:
        path: of the file.
        entry: the network's input, of 2, rows and columns. Where it is bytes, events are counted.
        cut: how it becomes frames.

    Raises:
        UsageError: when more is to be counted than the input takes.
        FileRefused: when the file is damaged or has no event in these frames, or an event or the
            shape does not fit.
    """

    def __init__(self, path: Path, entry: Input, cut: Frames) -> None:
        self.path, self.labels, self._whole, self._cut = path, None, None, cut
        shape, self._most = entry.shape, cut.most or entry.highest
        if self._most > entry.highest:
            raise UsageError(
                f"--frames: most is {cut.most}, but the input is spikes, 0 and 1; leave most out, "
                "or give --full-scale where a graph takes counts"
            )
        if len(shape) != 3 or shape[0] != 2:
            raise FileRefused(
                f"{path} is a recording of two polarities, [2, rows, columns], but the network "
                f"takes {list(shape)}; give inputs as an .npz file"
            )
        self.shape = (1, cut.steps or 0, *shape)
        self._start = self._first() if cut.start_us is None else cut.start_us
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
        return decoded(self.path, self._cut.unit)

    def _first(self) -> int:
        for events in self._decoded():
            if len(events.time):
                return int(events.time[0])
        raise FileRefused(
            f"{self.path} holds no event; give another recording, or start_us and steps in "
            "--frames for a silent one"
        )

    def _way_out(self) -> str:
        """Return what to do about an event outside of the network's pixels."""
        _, rows, columns = self.shape[2:]
        if (size := camera_size(self.path)) is None:
            return "give the network's own camera, or downsample=N in --frames"
        factor = max(-(-size[0] // rows), -(-size[1] // columns))
        return (
            f"its camera has {size[1]}x{size[0]}: give downsample={factor} in --frames, or the "
            "network's own camera"
        )

    def _steps(self) -> Iterator[tuple[Int64, Int64]]:
        """Yield steps from the first frame on, and places, of all events that are not before it."""
        cut, (rows, columns), last = self._cut, self.shape[3:], _EARLIEST
        for events in self._decoded():
            events.require_inside(
                self.path, rows * cut.downsample, columns * cut.downsample, self._way_out
            )
            step = (events.time - self._start) // cut.step_us
            if len(back := np.flatnonzero(np.diff(step, prepend=last) < 0)):
                raise FileRefused(
                    f"{self.path} goes back in time to {events.time[back[0]]:,} us, an earlier "
                    "step than that of the event before; sort the events by time"
                )
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
