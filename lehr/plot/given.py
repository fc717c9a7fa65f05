"""What a plot takes: traces and labels, as lehr's objects or as arrays, checked before anything is drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.simulate.result import Result, Trace
from lehr.spelling import one_of

Place = str | os.PathLike[str]
"""A path."""
Spikes = Result | Trace | Mapping[str, npt.ArrayLike]
"""A run with a trace, a trace, or spikes alone, `[N, T, *shape]` by layer."""


def trace_of(given: Spikes) -> Trace:
    """Return the trace of a run; of arrays a trace without membranes.

    Raises:
        UsageError: when nothing was traced, or an array is no `[N, T, *shape]`.
    """
    if isinstance(given, Result):
        given = given.trace
    if not isinstance(given, Trace):
        given = Trace({name: np.asarray(spikes) for name, spikes in given.items()})
    if not given.spikes:
        raise UsageError("the run has no trace; simulate with trace='all'")
    for name, spikes in given.spikes.items():
        if spikes.ndim < 3:
            raise UsageError(
                f"{name} holds spikes of shape {spikes.shape}; give [N, T, *shape], samples and "
                "steps first"
            )
    return given


def layer_in(known: Mapping[str, Any], name: str, what: str = "was not traced") -> str:
    """Return a layer's name.

    Raises:
        UsageError: when it is not among those that are known.
    """
    if name not in known:
        raise UsageError(f"{name!r} {what}; {one_of(name, known)}")
    return name


def sample_in(samples: int, number: int) -> int:
    """Return a sample's number, counted from the end where it is negative.

    Raises:
        UsageError: when there is no such sample.
    """
    if not -samples <= number < samples:
        raise UsageError(f"there is no sample {number}; give 0 to {samples - 1}")
    return number % samples


def classes_of(given: npt.ArrayLike, what: str) -> npt.NDArray[np.int64]:
    """Return classes, one a sample, as int64 `[N]`.

    Raises:
        UsageError: when they are no whole numbers from 0 on, or there are none.
    """
    values = np.asarray(given)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu" or values.min() < 0:
        raise UsageError(
            f"{what} are {values.dtype} of shape {values.shape}; give a class, 0 or more, for each "
            "sample"
        )
    return values.astype(np.int64)


def pair_of(
    first: npt.NDArray[np.int64], what: str, labels: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """Return the labels of as many samples.

    Raises:
        UsageError: when there are more or fewer of them.
    """
    known = classes_of(labels, "labels")
    if len(known) != len(first):
        raise UsageError(
            f"{len(first):,} {what} meet {len(known):,} labels; give those of the same samples"
        )
    return known
