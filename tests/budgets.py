"""How many examples a property test draws: few in the first tier, for which every change waits, and many in the second.

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
"""Whether this is a run of the second tier; conftest.py says so before any test is read."""


def in_both_tiers(test: Test) -> Test:
    """Mark a test that the second tier runs too, for a property that is drawn inside it."""
    return pytest.mark.slow(test) if second_tier else test


def budget(first: int, second: int) -> Callable[[Test], Test]:
    """State how many examples a property test draws in the first tier, and in the second; it stands above `given`.

    With 0 in the first tier it is a test of the second one alone.
    """

    def with_budget(test: Test) -> Test:
        large = second_tier or not first
        drawn = settings(max_examples=second if large else first)(test)
        return pytest.mark.slow(drawn) if large else drawn

    return with_budget
