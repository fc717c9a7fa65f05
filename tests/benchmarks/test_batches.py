"""The time of a batch in several arms: each trains its own network, and is compared with the first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import batches
import pytest
from tiny import tiny_toml


def test_every_arm_trains_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    turns: list[tuple[str, int]] = []
    measured = batches.Arm.seconds

    def seconds(self: Any, count: int, first: int) -> float:
        before = self.phase.model.layers[0].weight.weight.detach().clone()
        turns.append((self.phase.model.layers[0].weight.quantizer.kind, first))
        assert measured(self, count, first) > 0
        assert not before.equal(self.phase.model.layers[0].weight.weight)
        return {"binary": 0.3, "ternary": 0.6}[turns[-1][0]] / len(turns)

    monkeypatch.setattr(batches.Arm, "seconds", seconds)
    batches.main(
        str(tmp_path / "tiny.toml"), ["plain=", "zeros=network.weights=ternary"], None, 3, 2
    )
    assert turns == [(kind, first) for first in (0, 3, 6) for kind in ("binary", "ternary")]
    rows = re.findall(r"\| (\w+) \| ([\d.]+) \| ([\d.]+) \|", capsys.readouterr().out)
    assert rows == [("plain", "20.0", "1.00"), ("zeros", "33.3", "1.67")]
