"""Samples of several files as those of one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.samples import LARGEST_AT_ONCE, Samples


class Shards(Samples):
    """Samples of several files, those of the first before those of the second.

    Args:
        path: of the folder or the list that names them.
        shards: the samples of each; one at least.

    Raises:
        FileRefused: when their samples have not all one shape, or some have labels and others not.
    """

    def __init__(self, path: Path, shards: Sequence[Samples]) -> None:
        self.path, self._whole, self._shards = path, None, shards
        first = shards[0]
        for each in shards:
            if each.shape[1:] != first.shape[1:]:
                raise FileRefused(
                    f"{each.path} holds samples of {list(each.shape[1:])}, and {first.path} of "
                    f"{list(first.shape[1:])}; give shards of one shape (recordings get one length "
                    "by steps in --frames)"
                )
            if (each.labels is None) != (first.labels is None):
                bare, other = (each, first) if each.labels is None else (first, each)
                raise FileRefused(
                    f"{bare.path} has no labels, and {other.path} has; give labels with all "
                    "shards, or with none"
                )
        counts = [each.shape[0] for each in shards]
        self._first = [0, *accumulate(counts)]
        self.shape = (sum(counts), *first.shape[1:])
        labels = [each.labels for each in shards if each.labels is not None]
        self.labels = np.concatenate(labels) if labels else None
        self._limit = min(LARGEST_AT_ONCE, sum(each._limit for each in shards))

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of all shards."""
        return tuple(path for each in self._shards for path in each.files)

    def require_classes(self, classes: int) -> None:
        """Refuse labels that are none of so many classes.

        Raises:
            FileRefused: naming the first, its shard and its number there.
        """
        for each in self._shards:
            each.require_classes(classes)

    def pieces(self, size: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the samples from `start` on, `size` at a time, through all shards.

        A piece is in memory only while it is used.
        """
        held: list[npt.NDArray[np.uint8]] = []
        room = size
        for shard, at in self._from(start):
            for piece in shard.pieces(size, at):
                while len(piece):
                    held.append(piece[:room])
                    room, piece = room - len(held[-1]), piece[room:]
                    if not room:
                        yield _joined(held)
                        held, room = [], size
        if held:
            yield _joined(held)

    def chunks(self, steps: int, start: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the samples from `start` on, one after the other, `[1, steps, *shape]`.

        They come at most so many steps at a time.
        """
        for shard, at in self._from(start):
            yield from shard.chunks(steps, at)

    def _from(self, start: int) -> Iterator[tuple[Samples, int]]:
        """Yield shards, and in each the sample to begin with, from sample `start` on."""
        number = bisect_right(self._first, start) - 1
        for shard in self._shards[number:]:
            yield shard, max(0, start - self._first[number])
            number += 1


def _joined(parts: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
