"""Values that are held back, all by one number of steps, or each by its own."""

from __future__ import annotations

import numpy as np

from lehr.network import Delay
from lehr.simulate.fast.plans.buffers import WORD, Buffer, order_of
from lehr.simulate.fast.plans.ops import Array, Hold


def held_back(node: Delay, source: Buffer, into: Buffer, lag: int) -> Hold:
    """Return the operation of a delay, from where its values are to where they are read."""
    if isinstance(node.steps, int):
        words = np.full((1, into.row if into.bits else into.row * into.width // 8), -1)
        return Hold(source, into, lag, np.array((node.steps,)), words.view(np.uint64))
    each = node.spread(into.shape).reshape(-1)[order_of(into.shape)]
    steps = np.unique(each).astype(np.int64)
    which = np.stack([_elements(each == late, into) for late in steps])
    return Hold(source, into, lag, steps, which)


def _elements(which: Array, into: Buffer) -> Array:
    """Return all bits of some elements, as a row has them."""
    row = np.zeros(into.row * WORD if into.bits else into.row, np.uint8)
    row[: which.size] = which
    if into.bits:
        return np.packbits(row, bitorder="little").view(np.uint64)
    return np.repeat(row * np.uint8(255), into.width).view(np.uint64)
