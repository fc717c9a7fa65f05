"""Runs of every kind of layer and option, stopped after each of their epochs, go on to the same.

`tests/cli/test_resume.py` kills processes; here it is what a run has to keep.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from stopping import stopped_and_resumed
from training_kinds import KINDS, recipe

from lehr.simulate import simulate
from lehr.train.data import load_dataset
from lehr.train.learning.loop import Trained, train
from lehr.train.runs import progress as module


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_after_each_epoch(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 1)
    asked = recipe(kind)
    data = load_dataset(asked.data, None)
    whole = train(asked, data)
    assert whole.network is not None
    rates = simulate(whole.network, data.test.x).rates
    firing = [rate for name, rate in rates.items() if name.startswith("lif")]
    assert all(0 < rate < 1 for rate in firing)
    assert len(whole.metrics) > 4
    for after in range(1, len(whole.metrics)):
        folder = tmp_path / f"{after}.unfinished"
        _require_same(stopped_and_resumed(asked, data, folder, after), whole)


def _require_same(resumed: Trained, whole: Trained) -> None:
    assert resumed.metrics == whole.metrics
    assert resumed.network == whole.network
    assert resumed.twin is not None
    assert whole.twin is not None
    assert resumed.twin.weights.keys() == whole.twin.weights.keys()
    for name, weight in whole.twin.weights.items():
        assert weight.equal(resumed.twin.weights[name]), name
