"""The inputs of an `in.npz`, whole or in pieces.

They are stored as they are fed, or as the events of a recording.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.npz import Archive, Stream, checked_samples, exactly, read_labels

SHAPE, FIRST, STEP, PLACE = "event.shape", "event.first", "event.step", "event.place"
LARGEST, LARGEST_AT_ONCE = 1 << 40, 1 << 33
"""Bytes of spikes that a file of events may stand for, and that are made of it at once."""
INPUTS_AT_ONCE, INPUTS_RATIO = 1 << 28, 128
"""Bytes of inputs that are read whole, and their factor of packed bytes beyond that.

The first are read whatever they were packed to.
"""
BLOCK = 1 << 20
"""Events, or bytes to get past, that are read at a time."""


def open_samples(path: Path, most: int = 1) -> Samples:
    """Return the inputs of an `in.npz`, to be read in pieces.

    Args:
        path: of the file.
        most: up to which the events of a step and place are counted, if it holds events: 1 for
            spikes, 255 for counts, which is `highest` of a network's input.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz, or an array in it is not what it should be.
    """
    with Archive(path) as archive:
        return EventSamples(archive, most) if SHAPE in archive else Samples(archive)


def read_samples(
    path: Path, most: int = 1
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    """Read all inputs and, if there, labels of an `in.npz`.

    They are uint8 `[N, *shape]` or `[N, T, *shape]`, and int64 `[N]`; `most` is as for
    `open_samples`.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is no .npz, or an array in it is not what it should be.
    """
    samples = open_samples(path, most)
    return samples.whole(), samples.labels


class Samples:
    """The inputs of an `in.npz`, stored as they are fed, and its labels, if there.

    Args:
        archive: the file, open; it is opened anew for each reading.

    Attributes:
        path: of the file.
        shape: of all inputs, samples first.
        labels: int64 `[N]`, or None.

    Raises:
        FileRefused: when an array in it has not the type it should.
    """

    def __init__(self, archive: Archive) -> None:
        self.path = archive.path
        header, self.labels = checked_samples(archive)
        self.shape = header.shape
        self._whole: npt.NDArray[np.uint8] | None = None
        self._limit: int = inputs_limit(archive, "input")
        if header.by_column:  # not to be read piece by piece
            self._whole = archive.read("input", self._limit)

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of all files that are read."""
        return (self.path,)

    def require_classes(self, classes: int) -> None:
        """Refuse labels that are none of so many classes.

        Raises:
            FileRefused: naming the first.
        """
        if self.labels is None:
            return
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= classes))
        if len(wrong):
            raise FileRefused(
                f"{self.path}: the label of sample {wrong[0]:,} is {self.labels[wrong[0]]}, but "
                f"there are {classes} classes, from 0 on;"
                " leave out samples that have no class, or all labels"
            )

    def whole(self) -> npt.NDArray[np.uint8]:
        """Read all samples at once.

        Raises:
            FileRefused: when they are too many for that.
        """
        if (size := math.prod(self.shape)) > self._limit:
            raise FileRefused(
                f"{self.path} holds {size:,} bytes, more than {self._limit:,} at once; give fewer "
                "samples or steps"
            )
        return (
            np.require(next(self.pieces(self.shape[0])), requirements="W")
            if self._whole is None
            else self._whole
        )

    def first(self, count: int) -> npt.NDArray[np.uint8]:
        """Return the first samples, so many of them or all; no others are read."""
        return np.require(
            next(self.pieces(count), np.zeros((0, *self.shape[1:]), np.uint8)), requirements="W"
        )

    def pieces(self, size: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the samples from `start` on, `size` at a time.

        A piece is in memory only while it is used.
        """
        count = self.shape[0]
        return self._read(
            start,
            ((min(size, count - first), *self.shape[1:]) for first in range(start, count, size)),
        )

    def chunks(self, steps: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the samples from `start` on, one after the other, `[1, steps, *shape]`.

        They come at most so many steps at a time.
        """
        count, every, *shape = self.shape
        return self._read(
            start,
            (
                (1, min(steps, every - t), *shape)
                for _ in range(start, count)
                for t in range(0, every, steps)
            ),
        )

    def _read(
        self, start: int, shapes: Iterable[tuple[int, ...]]
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the bytes from sample `start` on, cut into arrays of these shapes."""
        at = start * math.prod(self.shape[1:])
        if self._whole is not None:
            flat = self._whole.reshape(-1)
            for shape in shapes:
                size = math.prod(shape)
                yield flat[at : at + size].reshape(shape)
                at += size
            return
        with self._numbers() as stream:
            _skip(stream, at)
            for shape in shapes:
                yield np.frombuffer(exactly(stream, math.prod(shape)), np.uint8).reshape(shape)

    @contextmanager
    def _numbers(self) -> Iterator[Stream]:
        """Open the bytes of all samples."""
        with Archive(self.path) as archive, archive.numbers("input") as stream:
            yield stream


def inputs_limit(archive: Archive, name: str) -> int:
    """Return the bytes that the inputs of that name may take if they are read whole."""
    return min(LARGEST_AT_ONCE, archive.limit(name, INPUTS_AT_ONCE, INPUTS_RATIO))


def event_arrays(x: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.integer[Any]]]:
    """Return spikes or counts uint8 `[N, T, *shape]` as arrays of events, as many as are counted.

    `EventSamples` reads them.
    """
    flat = x.reshape(*x.shape[:2], -1)
    filled = np.nonzero(flat)
    sample, step, place = (np.repeat(axis, flat[filled]) for axis in filled)
    first = np.searchsorted(sample, np.arange(len(x) + 1))
    return {
        SHAPE: np.array(x.shape[1:]),
        FIRST: first,
        STEP: step.astype(np.uint32),
        PLACE: place.astype(np.uint32),
    }


def count_events(counts: npt.NDArray[np.uint8], places: Int64, most: int) -> None:
    """Add events at flat places to their counts, none of which becomes more than `most`."""
    held, events = np.unique(places, return_counts=True)
    counts[held] = np.minimum(counts[held] + events, most)


class SensorEvents(Samples, ABC):
    """Recordings as events, which are counted for each step and place when they are asked for."""

    _limit = LARGEST_AT_ONCE
    _most: int
    """Where counting stops: at 1 in spikes."""

    def _read(
        self, start: int, shapes: Iterable[tuple[int, ...]]
    ) -> Iterator[npt.NDArray[np.uint8]]:
        width, at = math.prod(self.shape[2:]), start * self.shape[1]
        blocks = self._blocks(start)
        step, place = (np.zeros(0, np.int64) for _ in range(2))
        for shape in shapes:
            dense = np.zeros(math.prod(shape), np.uint8)
            end = at + len(dense) // width
            while True:
                here = np.searchsorted(step, end)
                count_events(dense, (step[:here] - at) * width + place[:here], self._most)
                step, place = step[here:], place[here:]
                if len(step) or (block := next(blocks, None)) is None:
                    break
                step, place = block
            yield dense.reshape(shape)
            at = end

    @abstractmethod
    def _blocks(self, start: int) -> Iterator[tuple[Int64, Int64]]:
        """Yield steps and places of the events from sample `start` on.

        Steps are counted through all samples and never descend.
        """


class EventSamples(SensorEvents):
    """Recordings in an archive of events.

    It holds `event.shape` (steps, then the shape of the network's input), `event.first` (where each
    sample's events begin, and where the last one's end), and for every event `event.step` and
    `event.place`, its flat index in the shape. Within a sample, steps do not descend.

    Args:
        archive: the file, open; it is opened anew for each reading.
        most: up to which the events of a step and place are counted.

    Attributes:
        path: of the file.
        shape: `(N, T, *shape)`.
        labels: int64 `[N]`, or None.

    Raises:
        FileRefused: when the arrays do not fit each other.
    """

    def __init__(self, archive: Archive, most: int) -> None:
        self.path, self._whole, self._most = archive.path, None, most
        path = self.path
        held = [_length(archive, name) for name in (STEP, PLACE)]
        shape, first = archive.read(SHAPE), archive.read(FIRST) if FIRST in archive else np.zeros(0)
        if shape.dtype.kind not in "iu" or shape.ndim != 1 or len(shape) < 2 or (shape < 1).any():
            raise FileRefused(
                f"{path}: {SHAPE} is {shape.tolist()}; give the number of steps and the shape of "
                "the network's input"
            )
        if not _ascending(first) or held != [int(first[-1])] * 2:
            raise FileRefused(
                f"{path}: {FIRST} does not divide {STEP} and {PLACE}; give where the events of "
                "each sample begin, from 0 on, and last their number"
            )
        if (size := math.prod(map(int, shape)) * (len(first) - 1)) > LARGEST:
            raise FileRefused(
                f"{path}: its events are {size:,} bytes as spikes, the limit is {LARGEST:,}; give "
                "fewer samples or steps"
            )
        self._first: Int64 = first.astype(np.int64)
        self.shape = (len(first) - 1, *map(int, shape))
        self.labels = read_labels(archive, "labels", len(first) - 1)

    def _blocks(self, start: int) -> Iterator[tuple[Int64, Int64]]:
        steps, width = self.shape[1], math.prod(self.shape[2:])
        done, total, last = int(self._first[start]), int(self._first[-1]), start * steps
        with (
            Archive(self.path) as archive,
            archive.numbers(STEP) as of_steps,
            archive.numbers(PLACE) as of_places,
        ):
            columns = [
                (of_steps, self._type(archive, STEP)),
                (of_places, self._type(archive, PLACE)),
            ]
            for stream, dtype in columns:
                _skip(stream, done * dtype.itemsize)
            while done < total:
                count = min(BLOCK, total - done)
                read = [
                    np.frombuffer(exactly(stream, count * dtype.itemsize), dtype)
                    for stream, dtype in columns
                ]
                step, place = (values.astype(np.int64) for values in read)
                sample = (
                    np.searchsorted(self._first, np.arange(done, done + count), side="right") - 1
                )
                for name, values, limit in ((STEP, read[0], steps), (PLACE, read[1], width)):
                    if values.min() < 0 or values.max() >= limit:
                        worst = int(values.min() if values.min() < 0 else values.max())
                        raise FileRefused(
                            f"{self.path}: {name} holds {worst}, but there are {limit:,}; count "
                            "from 0"
                        )
                through = sample * steps + step
                back = np.flatnonzero(np.diff(through, prepend=last) < 0)
                if len(back):
                    raise FileRefused(
                        f"{self.path}: event {done + int(back[0]):,} is of an earlier step than "
                        "the one before it; sort the events of each sample by step"
                    )
                last, done = int(through[-1]), done + count
                yield through, place

    def _type(self, archive: Archive, name: str) -> np.dtype[Any]:
        """Return the type of the integers in a list."""
        dtype = archive.header(name).dtype
        if dtype.kind not in "iu":
            raise FileRefused(
                f"{self.path}: the events are {dtype}; give steps and places as integers"
            )
        return dtype


def _ascending(first: npt.NDArray[np.generic]) -> bool:
    """Return whether these are integers that ascend from 0."""
    if first.dtype.kind not in "iu" or first.ndim != 1 or len(first) < 2:
        return False
    return bool(first[0] == 0 and (first[1:] >= first[:-1]).all())  # type: ignore[operator]


def _length(archive: Archive, name: str) -> int | None:
    """Return the length of a list in the archive; None if there is none."""
    if name not in archive:
        return None
    shape = archive.header(name).shape
    return shape[0] if len(shape) == 1 else None


def _skip(stream: Stream, count: int) -> None:
    """Get past so many bytes; if they are compressed, there is no other way than reading."""
    while count > 0:
        count -= len(exactly(stream, min(count, BLOCK)))
