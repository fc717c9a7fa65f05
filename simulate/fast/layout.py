"""What the planner and the kernels agree on: numbers that stand for choices, and sizes of what is computed together."""

from __future__ import annotations

import numpy as np

TOWARD_ZERO, FLOOR, NEAREST_EVEN = range(3)
MULTIPLY, SHIFT, KEEP = range(3)
FREE, SATURATE, WRAP = range(3)
NO_RESET, SUBTRACT, ZERO = range(3)
FIELDS: tuple[str, ...] = ("leak", "factor", "shift", "rounding", "overflow", "lowest", "highest", "fraction", "reset", "late", "fires")
LEAK, FACTOR, PLACES, ROUNDING, OVERFLOW, LOWEST, HIGHEST, FRACTION, RESET, LATE, FIRES = range(len(FIELDS))
"""Places in the array of numbers that tells a kernel how neurons compute."""
LINE = 512
"""Outputs, each a bit, whose columns are counted together."""
OUTPUTS = 16
"""Outputs whose matches are counted together."""
POSITIONS = np.array([([k for k in range(8) if byte >> k & 1] + [0] * 8)[:8] for byte in range(256)], np.uint8).reshape(-1)
"""For each byte the places of its bits that are set, in a row of 8."""
