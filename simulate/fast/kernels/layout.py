"""What the planner and the kernels agree on: numbers that stand for choices, and sizes of what is computed together."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

TOWARD_ZERO, FLOOR, NEAREST_EVEN = range(3)
MULTIPLY, SHIFT, KEEP = range(3)
FREE, SATURATE, WRAP = range(3)
NO_RESET, SUBTRACT, ZERO = range(3)
FIELDS: tuple[str, ...] = ("leak", "factor", "shift", "rounding", "overflow", "lowest", "highest", "fraction", "reset", "late", "fires")
LEAK, FACTOR, PLACES, ROUNDING, OVERFLOW, LOWEST, HIGHEST, FRACTION, RESET, LATE, FIRES = range(len(FIELDS))
"""Places in the array of numbers that tells a kernel how neurons compute."""
LINE = 256
"""Outputs, each a bit, whose columns are counted together."""
OUTPUTS = 4
"""Outputs whose matches are counted together."""
GROUP = 6
"""Bits whose sums of weights are looked up together."""
BYTES = 64
"""Bytes of an input that become bits together."""
EDGE = np.repeat(np.array((0, 255), np.uint8), BYTES)
"""From its `n`-th byte on there is a line of BYTES of which all but the last `n` are 0."""
POSITIONS = np.array([([k for k in range(8) if byte >> k & 1] + [0] * 8)[:8] for byte in range(256)], np.uint16)
"""For each byte the places of its bits that are set, in a row of 8."""


@cache
def scaled_positions(scale: int) -> npt.NDArray[np.uint16]:
    """POSITIONS times `scale`, which is below 2**13, flat: what `strips.list_spikes` lists by."""
    return (POSITIONS * np.uint16(scale)).reshape(-1)
