"""Exponential annealing against its closed form."""

from __future__ import annotations

import pytest
import torch

from lehr.train.anneal import Annealer
from lehr.train.recipe import Threshold


def test_each_step_closes_the_same_share_of_the_gap() -> None:
    moving, held = torch.tensor(5.0), torch.tensor(7.0)
    annealer = Annealer([moving, held], [Threshold(start=5.0, final=50.0, rate=5e-3), Threshold(start=7.0)])
    for step in range(1, 301):
        annealer.step()
        assert float(moving) == pytest.approx(50 - 45 * (1 - 5e-3) ** step, rel=1e-5)
    assert float(held) == 7.0


def test_final_is_where_it_goes_not_an_offset() -> None:
    threshold = torch.tensor(11.666)
    annealer = Annealer([threshold], [Threshold(start=11.666, final=15.983, rate=0.5)])
    for _ in range(100):
        annealer.step()
    assert float(threshold) == pytest.approx(15.983)
