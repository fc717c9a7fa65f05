"""Commands of the pages of chips, from a recipe to the vendor's tool, with short training."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lehr.targets import registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("akida", "hiaer", "loihi", "reckon", "spinnaker2")
"""Pages whose commands, run one after another, need nothing but the target's tool."""
COMMANDS = {"train", "export", "recipes", "build", "verify"}


def commands(page: str) -> list[list[str]]:
    """Return what a page types behind `lehr`, with what a shell sets before.

    What installs tools is left aside.
    """
    lines = [
        shlex.split(line, comments=True)
        for line in (DOCS / f"{page}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    ]
    typed = [words[words.index("lehr") + 1 :] for words in lines if "lehr" in words[:2]]
    return [words for words in typed if words[0] != "doctor"]


def shorter(words: list[str]) -> list[str]:
    """Return a command with less training and fewer samples."""
    if words[0] == "train":
        changes = (
            "train.epochs=1",
            "data.train_samples=300",
            "finetune.epochs=1",
            "finetune.frozen_epochs=1",
        )
        return [*words, *(part for change in changes for part in ("--set", change))]
    if words[0] == "verify":
        number = words.index("-n") if "-n" in words else len(words)
        return [*words[:number], *words[number + 2 :], "-n", "2"]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_it_goes_from_a_recipe_to_the_tool(page: str) -> None:
    assert {words[0] for words in commands(page)} >= COMMANDS


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_its_commands_work(page: str, tmp_path: Path) -> None:
    runner = registry.get(page).runner()
    assert runner is not None
    if missing := runner.missing():
        pytest.skip(missing)
    printed = ""
    for words in commands(page):
        command = [sys.executable, "-m", "lehr", *shorter(words)]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"lehr {' '.join(words)}: {ran.stdout}{ran.stderr}"
        printed = ran.stdout
    assert "PASS" in printed
    assert "0 spikes differ" in printed or "of the machine itself differ" in printed
