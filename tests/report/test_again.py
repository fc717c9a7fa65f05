"""The commands of a page that are said to make an artefact again do so, byte for byte."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

import lehr as api
from lehr.npz import npz_bytes
from lehr.report.facts import Facts


def build_command(facts: Facts) -> list[str]:
    """Return the words of the build."""
    (line,) = [each for each in facts.commands if each.startswith("lehr build ")]
    return shlex.split(line)[1:]


@pytest.mark.parametrize("inputs", ["in.npz", "", "others.npz"])
def test_a_build_that_is_named_makes_the_same_folder(
    line: Path, tmp_path: Path, lehr: Lehr, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(line / "model.nir", tmp_path)
    shutil.copy(line / "in.npz", tmp_path)
    x = np.load("in.npz")["input"]
    Path("others.npz").write_bytes(npz_bytes({"input": x[::-1]}))
    given = ["-i", inputs] if inputs else []
    ran = lehr("build", "model.nir", "--target", "c", *given, "-n", "5", "-o", "out")
    assert ran.code == 0, ran.err
    written = api.report("out", "in.npz", output=None, verify=False)
    words = build_command(written.facts)
    assert words[-2:] == ["-o", "out"]
    if inputs == "others.npz":
        assert "-n" not in words
        assert "samples that the folder does not name" in written.facts.lacking["again"]
        return
    assert "again" not in written.facts.lacking
    again = lehr(*words[:-1], "again")
    assert again.code == 0, again.err
    files = {path.relative_to("out") for path in Path("out").rglob("*") if path.is_file()}
    for name in files:
        assert (Path("again") / name).read_bytes() == (Path("out") / name).read_bytes(), name
