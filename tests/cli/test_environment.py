"""The machine's part: machine code that is kept, a folder of data sets, extras and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest
from commands import Lehr

from lehr.extras import EXTRAS

COMPILING = "compiling kernels (once)\n"


def simulated(kept: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Simulate in a process of its own, which keeps machine code in `kept`."""
    command = [sys.executable, "-m", "lehr", "simulate", "model.nir", "-i", "in.npz", *options]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(kept)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_compiling_is_said_once_where_it_takes_time(here: Path, tmp_path: Path) -> None:
    first = simulated(tmp_path / "kept", "--json")
    assert first.stderr == COMPILING
    second = simulated(tmp_path / "kept", "--json")
    assert second.stderr == ""
    assert json.loads(second.stdout) == json.loads(first.stdout)


@pytest.mark.slow
def test_machine_code_that_cannot_be_kept_is_said(here: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        said = simulated(tmp_path / "file").stderr
        assert (
            said == "compiling kernels (nothing keeps them for the next run: see 'lehr doctor')\n"
        )


@pytest.mark.parametrize("command", ["train", "recipes samples"])
def test_a_folder_of_data_sets_stands_in_for_data(
    here: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    words = (*command.split(), "fashion-mnist-short", "-o", "made")
    short = ("--set", "train.epochs=1", "--set", "finetune.epochs=1")
    missing = lehr(*words, *short)
    assert missing.code == 2
    assert missing.err == (
        "error: data set fashion-mnist is read from its official files; give their folder with "
        "--data DIR, or in LEHR_DATA\n"
    )
    monkeypatch.setenv("LEHR_DATA", "nowhere")
    wrong = lehr(*words, *short)
    assert wrong.code == 2
    assert "data folder nowhere does not exist; give the folder that holds the " in wrong.err
    assert "--data DIR, or in LEHR_DATA" in wrong.err
    given = lehr(*words, *short, "--data", "data")  # which counts for more
    assert given.code == 0, given.err
    monkeypatch.setenv("LEHR_DATA", "data")
    other = lehr(*words[:-1], "other", *short)
    assert other.code == 0, other.err
    if command != "train":
        assert Path("made").read_bytes() == Path("other").read_bytes()


def test_help_names_the_variable(lehr: Lehr) -> None:
    for command in ("train", "recipes samples"):
        page = lehr(*command.split(), "--help").out
        assert "[env var: LEHR_DATA]" in " ".join(page.split())


def test_doctor_lists_every_extra_and_program(lehr: Lehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lehr.cli.machine._version", lambda name: "missing" if name == "onnx" else "1"
    )
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    facts = lehr("doctor", "--json").facts
    declared = set(metadata("lehr").get_all("Provides-Extra") or ())
    assert set(facts["extras"]) == declared - {"all"} | set(EXTRAS)
    line = "pip install 'lehr[onnx]'"
    assert facts["extras"]["onnx"] == {"installed": False, "missing": ["onnx"], "install": line}
    assert facts["extras"]["train"]["installed"] is True
    assert {"cc", "iverilog", "verilator", "yosys", "arm-none-eabi-gcc"} <= set(facts["tools"])
    assert facts["tools"]["iverilog"] == {
        "installed": False,
        "version": "",
        "install": "install Icarus Verilog (Debian: apt install iverilog)",
    }
    page = lehr("doctor").out
    assert line in page
    assert "apt install iverilog" in page
    assert "lehr doctor --install sanafe" in page
