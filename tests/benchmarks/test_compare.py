"""Two runs of the benchmarks beside each other: what became slower is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compare import facts, main, slower
from typer import Typer
from typer.testing import CliRunner, Result

RATIOS = {"shd": {"plain": 100.0, "tidy": 20.0}, "dvs": {"plain": 50.0}}


def written(path: Path, **changed: Any) -> Path:
    """Write what conftest.py adds to the JSON of a run."""
    added = {
        "processor": "one",
        "python": "3.11.7",
        "versions": {"numpy": "2.0"},
        "digest": "00",
        "ratios": RATIOS,
    }
    path.write_text(json.dumps({"benchmarks": [], "lehr": {**added, **changed}}))
    return path


def compared(*words: object) -> Result:
    app = Typer()
    app.command()(main)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_what_lost_more_than_five_percent_is_named(tmp_path: Path) -> None:
    new = {"shd": {"plain": 95.1, "tidy": 18.9}, "dvs": {"plain": 60.0}}
    assert slower(RATIOS, new, 5) == [("shd", "tidy")]
    old_file, new_file = (
        written(tmp_path / "old.json"),
        written(tmp_path / "new.json", ratios=new, processor="another"),
    )
    ran = compared(old_file, new_file)
    assert ran.exit_code == 1
    assert ran.output.splitlines()[0] == "processor: one -> another"
    assert "| shd | tidy | 20.0 | 18.9 | **slower** |" in ran.output
    assert ran.output.endswith("shd: more than 5 % slower beside tidy\n")
    assert compared(old_file, new_file, "--over", 6).exit_code == 0


def test_what_was_not_run_is_told(tmp_path: Path) -> None:
    ran = compared(
        written(tmp_path / "old.json"),
        written(tmp_path / "new.json", ratios={"shd": RATIOS["shd"]}),
    )
    assert ran.exit_code == 0
    assert "| dvs | plain | 50.0 |  | not run |" in ran.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "cannot be read"), ('{"benchmarks": []}', "is no run"), ("[]", "is no")],
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    ran = compared(path, path)
    assert ran.exit_code == 2
    assert reason in " ".join(ran.output.replace("│", " ").split())
    assert facts(written(tmp_path / "right.json"))["digest"] == "00"
