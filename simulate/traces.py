"""Traces that are taken in part by part: in memory, or, where they are large, in files.

traces = Traces(expected)
for part in parts:
    traces.add(part.trace)
trace = traces.trace()
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lehr.grown import Filed, Grown
from lehr.npz import BLOCK, Archive, exactly
from lehr.samples import LARGEST_AT_ONCE
from lehr.simulate.result import Trace

Value = TypeVar("Value", bound=np.generic)
IN_MEMORY = 1 << 28
"""Bytes of a run's traces that are kept in memory; larger ones lie in files."""


class Traces:
    """Traces of a run's parts, side by side.

    Args:
        expected: bytes of all of them; more than `IN_MEMORY` are written to files.
        axis: along which parts are joined: 0, samples, or 1, steps of one sample.
    """

    def __init__(self, expected: int = 0, axis: int = 0) -> None:
        self._axis, self._filed = axis, expected > IN_MEMORY
        self._spikes: dict[str, Grown[np.uint8]] = {}
        self._membranes: dict[str, Grown[np.int32]] = {}

    def add(self, trace: Trace) -> None:
        """Take in a part, which may have traced nothing.

        Raises:
            FileRefused: when a file does not take it.
        """
        self._add(self._spikes, trace.spikes)
        self._add(self._membranes, trace.membranes)

    def _add(
        self, all_parts: dict[str, Grown[Value]], part: Mapping[str, npt.NDArray[Value]]
    ) -> None:
        kind: type[Grown[Value]] = Filed if self._filed else Grown
        for name, array in part.items():
            if name not in all_parts:
                all_parts[name] = kind(self._axis)
            all_parts[name].add(array)

    def trace(self, samples: int | None = None) -> Trace:
        """Return everything taken in, or of the first samples; what lies in files is not writable.

        A part that was being taken in when an interrupt came is left out by their number.
        """
        if samples == 0:
            return Trace()
        return Trace(
            {name: parts.array(samples) for name, parts in self._spikes.items()},
            {name: parts.array(samples) for name, parts in self._membranes.items()},
        )


def read_trace(archive: Archive, name: str, limit: int) -> npt.NDArray[Any]:
    """Read an array of a result, a trace maybe: into memory, or, where it is large, into a file.

    Args:
        archive: the result.
        name: of an array that is there.
        limit: bytes that it may have.

    Raises:
        FileRefused: when it is none, has more, or a file does not take it.
    """
    header = archive.header(name)
    if not IN_MEMORY < header.nbytes <= limit or header.by_column:
        return archive.read(name, min(limit, LARGEST_AT_ONCE))
    filed = Filed[Any]()
    row = math.prod(header.shape[1:])
    with archive.numbers(name) as stream:
        for first in range(0, header.shape[0], step := max(1, BLOCK // row)):
            shape = (min(step, header.shape[0] - first), *header.shape[1:])
            data = exactly(stream, math.prod(shape) * header.dtype.itemsize)
            filed.add(np.frombuffer(data, header.dtype).reshape(shape))
    return filed.array()
