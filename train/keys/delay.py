"""Axonal delays of a layer in a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lehr.strict import Positive, Strict

LR = 0.1
"""Learning rate of delays where the recipe gives none, in steps."""

UNTIL = 0.75
"""Share of phase A in which delays learn where the recipe gives none.

The weights need the rest to settle around the rounded ones.
"""


class DelayRecipe(Strict):
    """Axonal delays: each channel that arrives at a layer is held back by steps of its own.

    Attributes:
        max: the longest, in steps; the shortest is 1.
        learn: whether they are trained; else they stay at random whole numbers, drawn by the seed.
        lr: their learning rate, in steps; LR if None. It follows the schedule of all others.
        until: the share of phase A after which they are rounded to whole steps, and stay; UNTIL if
            None.
    """

    max: Annotated[int, Field(ge=2)]
    learn: bool = True
    lr: Positive | None = None
    until: Annotated[float, Field(gt=0, le=1)] | None = None
