"""Magnitude pruning: its schedule, which weights go, and that they stay away.

A run that is taken up again prunes the same ones.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from stopping import stopped_and_resumed
from tiny import tiny_toml

from lehr.train.data import load_dataset
from lehr.train.floats.layers import QuantizedLinear
from lehr.train.floats.prune import Pruner, share_at, smallest
from lehr.train.floats.quantize import Signs
from lehr.train.learning.loop import train
from lehr.train.recipefile import parse

RECIPE = parse(tiny_toml(), "tiny", ("train.prune=0.6", "network.weights=int4"))


def test_the_share_rises_by_the_cube_of_what_is_left() -> None:
    assert [share_at(0.8, t) for t in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.8 * 7 / 8, 0.8])
    shares = [share_at(0.5, t / 10) for t in range(11)]
    assert all(a < b for a, b in pairwise(shares))


def test_the_smallest_of_those_left_go() -> None:
    latent, kept = torch.tensor([0.3, -0.1, 0.2, -0.4, 0.05]), torch.tensor([0.0, 1, 1, 1, 1])
    assert smallest(latent, torch.ones(5), 0.45).tolist() == [1, 0, 1, 1, 0]
    assert smallest(latent, kept, 0.1).tolist() == kept.tolist()  # not one whole weight
    assert smallest(latent, kept, 0.4).tolist() == [
        0,
        1,
        1,
        1,
        0,
    ]  # what was pruned before counts, however large it is


def test_what_is_pruned_stays_pruned_up_to_the_final_share() -> None:
    torch.manual_seed(0)
    layer = QuantizedLinear(Signs(), 20, 10)
    pruner = Pruner([layer], 0.7, 6)
    before = torch.ones(10, 20)
    for _ in range(6):
        torch.nn.init.normal_(layer.weight)  # as if training had moved every weight
        pruner.step()
        kept = layer.quantizer.kept
        assert kept is not None
        assert bool((kept <= before).all())
        assert float(kept.sum()) < float(before.sum())
        before = kept.clone()
    assert float(before.mean()) == pytest.approx(0.3)
    assert int((layer.quantizer.levels(layer.weight) == 0).sum()) == 140


def test_without_a_share_nothing_happens() -> None:
    layer = QuantizedLinear(Signs(), 4, 3)
    pruner = Pruner([layer], None, 2)
    pruner.step()
    assert layer.quantizer.kept is None
    assert "quantizer.kept" not in layer.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_run_that_is_taken_up_again_prunes_the_same_weights(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lehr.train.runs.progress.SHARE", 1)
    data = load_dataset(RECIPE.data, None)
    folder = tmp_path / "run.unfinished"
    resumed, whole = (
        stopped_and_resumed(RECIPE, data, folder, after),
        train(RECIPE, data),
    )
    assert resumed.network is not None
    assert resumed.network == whole.network
    assert all(np.mean(node.weight == 0) >= 0.59 for node in resumed.network.weighted.values())
