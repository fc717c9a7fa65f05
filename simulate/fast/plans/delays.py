"""Values that are held back, all by one number of steps, or each by its own."""

from __future__ import annotations

import numpy as np

from lehr.network import Delay
from lehr.simulate.fast.plans.buffers import WORD, Buffer, order_of
from lehr.simulate.fast.plans.ops import Array, Hold


def held_back(node: Delay, source: Buffer, into: Buffer, lag: int) -> Hold:
    """Return the operation of a delay, from where its values are to where they are read."""
    if isinstance(node.steps, int):
        return Hold(source, into, lag, ((node.steps, None),))
    steps = node.spread(into.shape).reshape(-1)[order_of(into.shape)]
    return Hold(
        source,
        into,
        lag,
        tuple((int(late), _elements(steps == late, into)) for late in np.unique(steps)),
    )


def _elements(which: Array, into: Buffer) -> Array:
    """Elements of a row, as a row has them."""
    row = np.zeros(into.row * WORD if into.bits else into.row, np.uint8)
    row[: which.size] = which
    return (
        np.packbits(row, bitorder="little").view(np.uint64) if into.bits else row.astype(np.bool_)
    )
