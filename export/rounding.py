"""Real numbers rounded to levels of one step: the step that loses the least, found exactly.

The loss of a step s is the sum of `(m - s * level)**2` over the magnitudes m, where `level` is
m / s rounded to a whole number, at most the greatest level. With given levels the best step is
`sum(m * level) / sum(level**2)`, and it leaves `sum(m**2) - sum(m * level)**2 / sum(level**2)`.
As a step shrinks, a level goes up by one at `m / (level - 1/2)` and nowhere else, so that all
levels which any step gives can be looked at in order, each from the one before. For a greatest
level of 1 that is the optimum which Li and Liu 2016, "Ternary weight networks", Eq. 3 to 6,
approximate by a threshold of 0.7 of the mean.
"""

from __future__ import annotations

import numpy as np

from lehr.export.fold import Float

AT_ONCE = 2**22
"""Number of changes of a level, about, that are looked at together.

It bounds the memory, some 200 MB, and not the result.
"""


def least_loss_step(magnitudes: Float, greatest: int) -> float:
    """Return the step of least loss; of several, the greatest.

    Args:
        magnitudes: finite, none below 0 and not all 0, `[weights]`.
        greatest: level, at least 1.
    """
    highest = float(magnitudes.max())
    m = np.sort(magnitudes / highest)[::-1]
    per_unit = _most_steps_per_unit(m, greatest)
    level, product, square = np.zeros(len(m), np.int64), 0.0, 0
    least, step = 0.0, 0.0
    for now in np.linspace(0, per_unit, 2 + int(per_unit * m.sum()) // AT_ONCE)[1:]:
        risen = np.minimum(np.rint(m * now), greatest).astype(np.int64)
        rises = risen - level
        if not rises.any():
            continue
        own = np.repeat(m, rises)
        # odd is level**2 - (level - 1)**2
        odd = 2 * (np.arange(len(own)) + np.repeat(level - np.cumsum(rises) + rises, rises)) + 1
        order = np.argsort(odd / own, kind="stable")
        products, squares = product + np.cumsum(own[order]), square + np.cumsum(odd[order])
        kept = products * products / squares
        best = int(kept.argmax())
        if kept[best] > least:
            least, step = float(kept[best]), float(products[best] / squares[best])
        level, product, square = risen, float(products[-1]), int(squares[-1])
    return highest * step


def _most_steps_per_unit(m: Float, greatest: int) -> float:
    """Return 1 / s of a step s below which none can win.

    What such steps cut off alone is more than 1 / greatest loses in all.

    Args:
        m: magnitudes from 1 down.
        greatest: level.
    """
    known = float(np.sum((m - np.rint(m * greatest) / greatest) ** 2))
    counts, sums, squares = np.arange(1, len(m) + 1), np.cumsum(m), np.cumsum(m * m)
    more = np.flatnonzero(squares - 2 * m * sums + counts * m * m >= known)  # cut to m
    over = int(more[0]) if len(more) else len(m)
    if not over:
        return greatest
    count, total, left = counts[over - 1], sums[over - 1], squares[over - 1] - known
    # count * cut**2 - 2 * total * cut + left = 0
    cut = left / (total + np.sqrt(max(0.0, total * total - count * left)))
    return float(greatest / cut) * (1 + 1e-9)
