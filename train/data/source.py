"""Sources of samples: their labels, and a way to read those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.grown import Filed, Grown
from lehr.nodes import InputKind
from lehr.sequences.encoding import Encoding

Values = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
NONE = -1
"""The label of a step that has none."""

TEST_SHARE = 1 / 6
"""Of samples that their author did not split."""
VALIDATION_SHARE = 1 / 12
"""Of the official training data: 5,000 of MNIST's 60,000."""
IN_MEMORY = 1 << 30
"""Bytes of samples that are kept in memory; more lie in a file."""
BLOCK = 512
"""Samples that are read at a time where all are more than that."""
LEAST = 3
"""Samples to draw three splits from."""


@dataclass(frozen=True)
class Source:
    """Samples that are read when they are asked for.

    Event recordings take a hundred times their size once they are frames.

    Attributes:
        labels: of all samples, int64 `[N]`.
        read: gives the samples of some indices, uint8 `[n, *shape]` or `[n, T, *shape]`.
    """

    labels: Labels
    read: Callable[[Indices], Values]

    def pick(self, chosen: Indices) -> Source:
        """Return the samples `chosen`, in that order."""
        return Source(self.labels[chosen], lambda indices: self.read(chosen[indices]))


def together(parts: Iterable[Values], size: int) -> Values:
    """Put samples side by side.

    Args:
        parts: of them, in order.
        size: bytes of all. More than `IN_MEMORY` are written to a file without a name in the folder
            for temporary ones (TMPDIR), from which the array reads what is asked for.

    Raises:
        FileRefused: when the file does not take them.
    """
    kept = Filed[np.uint8]() if size > IN_MEMORY else Grown[np.uint8]()
    for part in parts:
        kept.add(part)
    return kept.array(writable=True)


def in_memory(x: Values, y: Labels) -> Source:
    """Return samples that are already arrays."""
    return Source(y, lambda indices: x[indices])


@dataclass(frozen=True)
class Sources:
    """Official parts of a data set, as a reader returns them.

    Attributes:
        classes: number of labels.
        validation: None where the data set has no such part.
        kind: what the values are, as in `lehr.network.Input`.
        steps: T of samples `[T, *shape]`; None where a sample is held for all steps.
        encoding: of sequences, with what was taken from the samples trained on; None for others.
    """

    train: Source
    test: Source
    classes: int
    validation: Source | None = None
    kind: InputKind = "u8"
    steps: int | None = None
    encoding: Encoding | None = None


def split_off(count: int, share: float, seed: int) -> tuple[Indices, Indices]:
    """Shuffle `count` indices by `seed` (numpy's PCG64) and cut.

    It returns the rest, and the last `share` of them, at least one.
    """
    order = np.random.default_rng(seed).permutation(count)
    cut = count - max(1, round(count * share))
    return order[:cut], order[cut:]
