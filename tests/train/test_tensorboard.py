"""TensorBoard events: one point an epoch, also over --resume.

A clean refusal where TensorBoard is missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Lehr

ENTRY = {
    "phase": "A",
    "loss": 1.0,
    "train_accuracy": 0.0,
    "validation_accuracy": 0.0,
    "thresholds": [],
    "rates": [],
}


def _curves(folder: Path) -> dict[str, list[Any]]:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed",
    )
    read = accumulator.EventAccumulator(str(folder))
    read.Reload()
    return {name: read.Scalars(name) for name in read.Tags()["scalars"]}


@pytest.mark.slow
def test_events_hold_the_metrics(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    ran = lehr(
        "train",
        line / "tiny.toml",
        "-o",
        tmp_path / "run",
        "--tensorboard",
        tmp_path / "events",
        "--json",
    )
    assert ran.code == 0, ran.err
    metrics = [json.loads(row) for row in (line / "run" / "metrics.jsonl").read_text().splitlines()]
    assert ran.facts["runs"][0]["metrics"] == metrics
    curves = _curves(tmp_path / "events")
    assert len(curves) == 3 + 3 * 3
    for name, key in (
        ("loss", "loss"),
        ("accuracy/train", "train_accuracy"),
        ("accuracy/validation", "validation_accuracy"),
    ):
        assert [point.step for point in curves[name]] == [1, 2, 3, 4, 5]
        assert [point.value for point in curves[name]] == pytest.approx(
            [entry[key] for entry in metrics]
        )
    assert [point.value for point in curves["rate/lif2"]] == pytest.approx(
        [entry["rates"][1] for entry in metrics]
    )
    assert [point.value for point in curves["threshold/lif3"]] == pytest.approx(
        [entry["thresholds"][2] for entry in metrics[:3]]
    )
    assert [point.step for point in curves["integer threshold/lif3"]] == [4, 5]


def test_what_is_learned_beside_weights_has_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from lehr.train.runs.tensorboard import Events

    learned = {
        "delays": {"layer 2": {"mean": 3.5, "spread": 0.5}},
        "decays": {"layer 1": {"beta": {"mean": 0.75, "spread": 0.0}}},
    }
    events = Events(tmp_path, 0)
    events.add({**ENTRY, **learned})
    events.close()
    curves = {name: points[0].value for name, points in _curves(tmp_path).items()}
    assert curves["delay/layer 2"] == 3.5
    assert curves["beta/layer 1"] == 0.75


def test_points_after_the_resumed_epoch_are_dropped(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from lehr.train.runs.tensorboard import Events

    for start, losses in ((0, [5.0, 4.0, 3.0]), (2, [2.0])):
        events = Events(tmp_path, start)
        for loss in losses:
            events.add({**ENTRY, "loss": loss})
        events.close()
    assert [(point.step, point.value) for point in _curves(tmp_path)["loss"]] == [
        (1, 5.0),
        (2, 4.0),
        (3, 2.0),
    ]


def test_where_it_is_missing(
    line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ran = lehr(
        "train", line / "tiny.toml", "-o", tmp_path / "run", "--tensorboard", tmp_path / "events"
    )
    assert ran.code == 6
    assert "TensorBoard is not installed; get it with: pip install 'lehr[tensorboard]'" in ran.err
    assert not list(tmp_path.iterdir())


def test_a_folder_within_the_run(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ran = lehr("train", line / "tiny.toml", "-o", run, "--tensorboard", run / "events")
    assert ran.code == 2
    assert (
        f"--tensorboard {run}/events lies in {run}, which holds a run alone; give a folder beside "
        "it" in ran.err
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    (tmp_path / "file").write_text("")
    ran = lehr(
        "train", line / "tiny.toml", "-o", tmp_path / "run", "--tensorboard", tmp_path / "file"
    )
    assert ran.code == 5
    assert "file cannot be written: " in ran.err
    assert "; choose another folder for --tensorboard" in ran.err
    assert not (tmp_path / "run").exists()
