"""Intervals of few runs, against scipy's own tests."""

from __future__ import annotations

import pytest
from intervals import interval, spread
from scipy import stats

FIRST = (97.25, 96.5, 98.0, 97.75, 95.5)
SECOND = (95.0, 95.75, 96.25, 97.75, 95.0)


def test_the_interval_of_differences_is_that_of_scipys_paired_test() -> None:
    paired = stats.ttest_rel(FIRST, SECOND).confidence_interval(0.95)
    centre, reach = interval([a - b for a, b in zip(FIRST, SECOND, strict=True)])
    assert reach is not None
    assert centre - reach == pytest.approx(paired.low, abs=1e-12)
    assert centre + reach == pytest.approx(paired.high, abs=1e-12)


def test_the_interval_of_a_mean_is_that_of_scipys_test_of_one_sample() -> None:
    whole = stats.ttest_1samp(FIRST, 0).confidence_interval(0.95)
    centre, reach = interval(FIRST)
    assert reach is not None
    assert (centre - reach, centre + reach) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_a_single_run_has_no_interval() -> None:
    assert interval([97.0]) == (97.0, None)
    assert spread([97.0], " %") == "97.00 %"
    assert spread([1.0, 2.0], sign="+") == "+1.50 +- 6.35"  # t is 12.706 with one degree of freedom
    assert spread([-1.0, -2.0], sign="+") == "-1.50 +- 6.35"
