"""Rows of values that are cleared or moved, whatever they hold: as words of 64 bits."""

from __future__ import annotations

from typing import Any

from lehr.simulate.fast.kernels.compiled import compiled
from lehr.simulate.fast.kernels.layout import HoldSizes, MoveSizes, Rows
from lehr.simulate.fast.kernels.vector import data, peek, poke, read


@compiled
def clear(into: Any, sizes: Any, rows: Any) -> None:
    """Set rows to zero.

    Args:
        into: uint64, rows of words.
        sizes: layout.MoveSizes.
        rows: layout.Rows of `into`.
    """
    words, s, at = data(into), read(MoveSizes, sizes, 0), read(Rows, rows, 0)
    for n in range(s.samples):
        for t in range(s.steps):
            row = (at.first + n * at.sample + t * at.step) * s.words
            for w in range(s.words):
                poke(words, row + w, 0)


@compiled
def keep(within: Any, sizes: Any, rows: Any) -> None:
    """Copy rows to earlier places of the same array, first to last.

    Args:
        within: uint64, rows of words; changed.
        sizes: layout.MoveSizes.
        rows: layout.Rows of what is copied, and of where to.
    """
    words, s = data(within), read(MoveSizes, sizes, 0)
    here, there = read(Rows, rows, 0), read(Rows, rows, 3)
    for n in range(s.samples):
        for t in range(s.steps):
            row = (here.first + n * here.sample + t * here.step) * s.words
            target = (there.first + n * there.sample + t * there.step) * s.words
            for w in range(s.words):
                poke(words, target + w, peek(words, row + w))


@compiled
def hold(source: Any, into: Any, steps: Any, which: Any, sizes: Any, rows: Any) -> None:
    """Hold values back, each by a number of steps.

    Args:
        source: uint64, rows of words.
        into: uint64, rows of words, as many steps later; changed.
        steps: int64, numbers of steps.
        which: uint64 `[steps, words]`: for each number, all bits of what it holds back.
        sizes: layout.HoldSizes.
        rows: layout.Rows of `source` and, without being held back, of `into`.
    """
    values, held, chosen = data(source), data(into), data(which)
    s, here, there = read(HoldSizes, sizes, 0), read(Rows, rows, 0), read(Rows, rows, 3)
    for k in range(steps.size):
        for n in range(s.samples):
            for t in range(s.steps):
                row = (here.first + n * here.sample + t * here.step) * s.source
                target = (there.first + n * there.sample + t * there.step) * s.into
                target += peek(data(steps), k) * s.into
                for w in range(s.into):
                    mask, before = peek(chosen, k * s.into + w), peek(held, target + w)
                    poke(held, target + w, (before & ~mask) | (peek(values, row + w) & mask))
