"""Registers as sums of earlier values: what was added and taken away again leaves no trace.

Xylo's v + (decay(v) - v + i) is decay(v) + i: bounds of each addend by itself do not tell.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from lehr.arithmetic import Int64

Terms = dict[int, Int64]
ONE = 0
"""The value 1: its factor is what is added as a number."""
MOST_TERMS, MOST_FACTOR = 12, 2**30
_values = count(1)


class Sums:
    """Registers as sums of values times whole numbers.

    Attributes:
        terms: by register, the factor of each value, `[rows]`; no entry where nothing is known.
        values: bounds of each value, `[2, rows]`.
    """

    def __init__(
        self, terms: dict[str, Terms] | None = None, values: dict[int, Int64] | None = None
    ) -> None:
        self.terms, self.values = terms or {}, values or {}

    def forget(self, x: str) -> None:
        """Forget what was known of a register."""
        self.terms.pop(x, None)

    def take(self, index: Int64) -> Sums:
        """Return the sums of some of the rows."""
        terms = {
            x: {value: factor[index] for value, factor in known.items()}
            for x, known in self.terms.items()
        }
        used = set().union(*terms.values()) if terms else set()
        return Sums(
            terms,
            {value: bounds[:, index] for value, bounds in self.values.items() if value in used},
        )

    def of(self, x: str, bounds: Int64) -> Terms:
        """Return a register's terms; itself, of these bounds, where nothing is known."""
        if x not in self.terms:
            self.terms[x] = {self.value(bounds): np.ones(bounds.shape[-1], np.int64)}
        return self.terms[x]

    def value(self, bounds: Int64) -> int:
        """Return a new value of these bounds."""
        number = next(_values)
        self.values[number] = bounds
        return number

    def add(self, x: str, own: Terms, other: Terms, factor: Int64) -> None:
        """Make a register the sum of `own` and `factor` times `other`.

        It is forgotten if the sum is long or near overflowing.
        """
        total = dict(own)
        for value, times in other.items():
            total[value] = total.get(value, 0) + factor * times
        total = {value: times for value, times in total.items() if times.any()}
        if len(total) > MOST_TERMS or any(
            np.abs(times).max() > MOST_FACTOR for times in total.values()
        ):
            self.forget(x)
        else:
            self.terms[x] = total

    def bounds(self, x: str, shape: tuple[int, ...]) -> Int64 | None:
        """Return the bounds of a register by its terms.

        They are None if nothing is known of it, or values are too large to be added up.
        """
        if x not in self.terms:
            return None
        total = np.zeros(shape, np.int64)
        for value, factor in self.terms[x].items():
            if value == ONE:
                total += factor
                continue
            bounds = self.values[value]
            if np.abs(bounds).max() > 2**62 // (MOST_TERMS * max(1, int(np.abs(factor).max()))):
                return None
            ends = bounds * factor
            total += np.where(factor < 0, ends[::-1], ends)
        return total
