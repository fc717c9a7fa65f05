"""Convolutions on few spikes as `kernels.runs` takes them: their runs of weights, and places."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast.kernels.field_sizes import Runs
from lehr.simulate.fast.plans.buffers import Buffer, flat_aligned, padded
from lehr.simulate.fast.plans.windows import Window, into_size, seen_by

Array = npt.NDArray[Any]
LANES = 16
"""Sums that are added to at once."""
ROW, EACH, RUN = 1500, 16, 4
"""What a row of spikes costs, each spike, and each vector of a run, as `fields.Cut.cost` counts."""


def runs_of(window: Window, source: Buffer, otherwise: int) -> tuple[Runs, Array, Array]:
    """Return field_sizes.Runs, the places of inputs and the runs of weights, see `runs.add_runs`.

    Args:
        window: the convolution.
        source: what it is made on.
        otherwise: what its sums of a step cost where spikes do not add runs.
    """
    out, channels, height, width = window.weight.shape
    sizes, (sy, sx) = into_size(window, source.maps), window.stride
    rows, columns = -(-height // sy), -(-width // sx)
    (y, top, bottom), (x, _, _) = (
        seen_by(window, axis, size, count)
        for axis, size, count in zip((0, 1), source.maps, sizes, strict=True)
    )
    first = x // sx - (columns - 1)
    beside = first[:, None] + np.arange(columns)
    taps = x[:, None] - beside * sx
    taps[(taps >= width) | (beside < 0) | (beside >= sizes[1])] = width  # whose weights are 0
    alike, which = np.unique(taps, axis=0, return_inverse=True)
    weights = np.zeros((out, channels, rows * sy, width + 1), np.int16)
    weights[:, :, :height, :width] = window.weight
    length, margin = padded(columns * out, LANES), padded((columns - 1) * out, LANES)
    runs = np.zeros((sy, len(alike), channels, rows, length), np.int16)
    by_row = weights[:, :, ::-1].reshape(out, channels, rows, sy, width + 1)[:, :, :, ::-1]
    side_by_side = by_row[..., alike]  # [out, channels, rows, sy, alike, columns]
    runs[..., : columns * out] = side_by_side.transpose(3, 4, 1, 2, 5, 0).reshape(
        *runs.shape[:4], -1
    )
    skipped = rows - 1 - (y - top * sy) // sy
    shape = *source.maps, channels
    kind = (y % sy * len(alike))[:, None] + which.reshape(-1)
    places = np.zeros((*shape, 3), np.int32)
    places[..., 0] = (margin + (top[:, None] * sizes[1] + first) * out)[..., None]
    places[..., 1] = ((kind[..., None] * channels + np.arange(channels)) * rows) * length
    places[..., 1] += (skipped * length)[:, None, None]
    places[..., 2] = (bottom - top)[:, None, None]
    vectors = rows * length // LANES
    few = max(0, (otherwise - ROW) // (EACH + RUN * vectors))
    line = sizes[1] * out
    return (
        Runs(source.row, few, length, line, sizes[0] * line, margin),
        places.reshape(-1),
        flat_aligned(runs),
    )
