"""The README's lines of Python run as they stand, and its picture shows what the demo printed."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import lehr

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text("utf-8")
PICTURE = (TOP / "docs" / "line.svg").read_text("utf-8")


def test_the_picture_has_the_figures_of_the_demo_that_is_printed() -> None:
    demo = README.partition("## What the demo prints")[2].partition("\n## ")[0]
    printed = dict(re.findall(r"^    ([a-z ]+?) {2,}(\d+\.\d\d %)", demo, re.MULTILINE))
    assert f"float {printed['float weights']}<" in PICTURE
    assert f"annealed {printed['annealed and binarized']}<" in PICTURE
    assert f"integer {printed['integer']}<" in PICTURE
    assert f"reference {printed['reference simulator']}<" in PICTURE
    (values,) = set(re.findall(r"0 of ([\d,]+) membranes differ, 0 spikes", demo))
    assert f">0 of {values}<" in PICTURE


def test_the_wheel_that_is_named_is_of_this_version() -> None:
    assert set(re.findall(r"lehr-(\d\S*?)-py3", README)) == {lehr.__version__}


def test_a_demo_in_which_something_differs_is_no_picture() -> None:
    picture = runpy.run_path(str(TOP / "benchmarks" / "picture.py"))["picture"]
    pairs = {"C": {"values": 8, "membranes_differ": 1, "spikes_differ": 0}}
    stations = "float weights", "annealed and binarized", "integer", "reference simulator"
    summary = {
        "accuracy": dict.fromkeys(stations, 0.5),
        "compared_with_reference": pairs,
    }
    with pytest.raises(ValueError, match="no picture of lehr"):
        picture(summary)
    pairs["C"]["membranes_differ"] = 0
    assert ">0 of 8<" in picture(summary)


@pytest.mark.slow
def test_the_lines_of_python_run_as_they_stand(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) == 10
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "model.nir", "out", "report.html"}
