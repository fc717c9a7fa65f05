"""The state of a width analysis: rows with bounds of every register.

Each row is one path that a neuron can be on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lehr.analysis.sums import Sums
from lehr.arithmetic import Int64

Where = npt.NDArray[np.bool_]
LOW, HIGH = 0, 1
REACH = 2**60
"""End of all bounds: a value that comes to it can leave 64 bits, and is not followed further."""


class Rows:
    """Paths side by side.

    Attributes:
        at: the neuron that each row is about, `[rows]`.
        bounds: by register, lowest and highest, int64 `[2, rows]`; in a loop over events `[2, 2,
            rows]` for the registers that it writes: those of the value, and those of the value
            without the events so far (lehr.analysis.loop).
        sums: what is known of registers as sums of earlier values; None where the program has no
            use for it.
    """

    def __init__(self, at: Int64, bounds: dict[str, Int64], sums: Sums | None = None) -> None:
        self.at, self.bounds, self.sums = at, bounds, sums
        self._given: dict[str, Int64] = {}

    def __len__(self) -> int:
        return len(self.at)

    def of(self, x: str) -> Int64:
        """Return the bounds of a register's value, `[2, rows]`."""
        bounds = self.bounds[x]
        return bounds if bounds.ndim == 2 else bounds[0]

    def given(self, name: str, values: Int64) -> Int64:
        """Return a parameter of each row, from the values of all neurons."""
        if name not in self._given:
            self._given[name] = values[..., self.at]
        return self._given[name]

    def put(self, x: str, bounds: Int64) -> None:
        """Give a register bounds of which nothing else is known."""
        self.bounds[x] = bounds
        if self.sums is not None:
            self.sums.forget(x)

    def take(self, index: Int64) -> Rows:
        """Return some of the rows, any of them several times."""
        bounds = {x: b[..., index] for x, b in self.bounds.items()}
        return Rows(self.at[index], bounds, None if self.sums is None else self.sums.take(index))

    def only(self, names: Sequence[str]) -> Rows:
        """Return the same rows with some of the registers."""
        return Rows(self.at, {name: self.bounds[name] for name in names})


def together(parts: Iterable[Rows]) -> Rows:
    """Return the rows of several, which have the same registers."""
    first, *rest = parts
    if not rest:
        return first
    names = first.bounds
    bounds = {
        x: np.concatenate([first.bounds[x], *(r.bounds[x] for r in rest)], axis=-1) for x in names
    }
    return Rows(np.concatenate([first.at, *(r.at for r in rest)]), bounds)


def codes(rows: Rows, keys: Sequence[str]) -> Int64:
    """Return codes, equal for rows that belong together.

    They are those of one neuron whose registers `keys` are the same in being 0, above it, or
    either.
    """
    code = rows.at.copy()
    for key in keys:
        low, high = rows.of(key)
        code *= 3
        code += np.where(low > 0, 1, np.where((low == 0) & (high == 0), 0, 2))
    return code


def joined(rows: Rows, code: Int64) -> tuple[Rows, Int64]:
    """Join the rows of each code into one, with bounds that hold for all of them.

    Returns the rows, and the codes, ascending.
    """
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if len(starts) == len(order):
        taken = Rows(rows.at[order], {x: b[..., order] for x, b in rows.bounds.items()})
        return taken, ordered
    bounds = {}
    for x, b in rows.bounds.items():
        sorted_bounds = b[..., order]
        out = np.empty((*b.shape[:-1], len(starts)), np.int64)
        np.minimum.reduceat(sorted_bounds[..., LOW, :], starts, axis=-1, out=out[..., LOW, :])
        np.maximum.reduceat(sorted_bounds[..., HIGH, :], starts, axis=-1, out=out[..., HIGH, :])
        bounds[x] = out
    return Rows(rows.at[order][starts], bounds), ordered[starts]
