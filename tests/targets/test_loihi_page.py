"""The commands of docs/loihi.md, from a recipe to Lava, with as little training as there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lehr.targets.loihi import LoihiRunner

PAGE = Path(__file__).resolve().parents[2] / "docs" / "loihi.md"
SHORTER = {
    "train": ["--set", "train.epochs=1", "--set", "finetune.epochs=1", "--set", "finetune.frozen_epochs=1"],
    "verify": ["-n", "2"],
}


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path) -> None:
    if missing := LoihiRunner().missing():
        pytest.skip(missing)
    block = PAGE.read_text("utf-8").partition("## From a recipe to Lava\n")[2].partition("\nTraining")[0]
    commands = re.findall(r"^    lehr (.+)$", block, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "export", "recipes", "build", "verify"]
    told = ""
    for command in commands:
        words = command.split()
        ran = subprocess.run(
            [sys.executable, "-m", "lehr", *words, *SHORTER.get(words[0], [])], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"lehr {command}: {ran.stdout}{ran.stderr}"
        told = ran.stdout
    assert "PASS" in told
    assert "0 spikes" in told
