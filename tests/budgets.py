"""The number of examples that a property test draws.

It is small in the first tier, for which every change waits, and large in the second.

A property test belongs to both tiers: a run of the second one (`pytest -m slow`) marks it slow, and
draws the larger number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., Any])

second_tier = False
"""True in a run of the second tier; conftest.py sets it before any test is read."""


def in_both_tiers(test: Test) -> Test:
    """Mark a test that the second tier runs too, for a property that is drawn inside it."""
    return pytest.mark.slow(test) if second_tier else test


def budget(first: int, second: int) -> Callable[[Test], Test]:
    """Set the number of examples of a property test in the first tier, and in the second.

    It stands above `given`.

    With 0 in the first tier it is a test of the second one alone.
    """

    def with_budget(test: Test) -> Test:
        large = second_tier or not first
        drawn = settings(max_examples=second if large else first)(test)
        return pytest.mark.slow(drawn) if large else drawn

    return with_budget
