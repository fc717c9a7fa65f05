"""The result of a run from those of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.simulate.result import Layer, Result, Trace

Value = TypeVar("Value", bound=np.generic)


def joined(parts: Sequence[Result]) -> Result:
    """Join the results of a run's samples.

    Its trace has the samples of the parts that traced any.
    """
    counts, scores, prediction = (
        np.concatenate(part)
        for part in zip(*((p.counts, p.scores, p.prediction) for p in parts), strict=True)
    )
    return Result(counts, scores, prediction, _layers(parts), _events(parts), _trace(parts, 0))


def continued(net: Network, parts: Sequence[Result]) -> Result:
    """Join the results of steps of `net`, some after others, on the same samples."""
    counts = np.asarray(np.sum([part.counts for part in parts], axis=0), np.int32)
    scores = [part.scores for part in parts]
    match net.readout:
        case "membrane_last_argmax_lowest":
            score = scores[-1]
        case "membrane_max_argmax_lowest":
            score = reduce(np.maximum, scores)
        case _:
            score = np.asarray(np.sum(scores, axis=0), np.int64)
    return Result(
        counts,
        score,
        score.argmax(axis=1).astype(np.int64),
        _layers(parts),
        _events(parts),
        _trace(parts, 1),
    )


def _layers(parts: Sequence[Result]) -> dict[str, Layer]:
    layers = {}
    for name in parts[0].layers:
        same = [part.layers[name] for part in parts]
        spikes = np.asarray(np.sum([layer.spikes for layer in same], axis=0), np.int64)
        lowest, highest = min(layer.lowest for layer in same), max(layer.highest for layer in same)
        layers[name] = Layer(
            spikes,
            lowest,
            highest,
            sum(layer.saturations for layer in same),
            sum(layer.instants for layer in same),
        )
    return layers


def _events(parts: Sequence[Result]) -> Int64:
    return np.asarray(np.sum([part.events for part in parts], axis=0), np.int64)


def _trace(parts: Sequence[Result], axis: int) -> Trace:
    return Trace(
        _side_by_side([p.trace.spikes for p in parts], axis),
        _side_by_side([p.trace.membranes for p in parts], axis),
    )


def _side_by_side(
    parts: Sequence[Mapping[str, npt.NDArray[Value]]], axis: int
) -> dict[str, npt.NDArray[Value]]:
    traced = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate([part[name] for part in parts if name in part], axis)
        for name in traced
    }
