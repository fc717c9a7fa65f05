"""The examples of the help pages run, and each prints the next command, which can be given."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from commands import Lehr
from pages import cases, examples
from typer.main import get_command

from lehr.cli.app import app

LAST = {"report"}
"""Commands after which nothing comes."""
MARK = "next: "


def read(words: list[str]) -> None:
    """Let typer read a command line, without running it."""
    command: Any = get_command(app)
    name, *rest = words
    assert name == "lehr"
    context = None
    while hasattr(command, "commands"):
        context = command.make_context(name, rest, parent=context)
        name, command, rest = command.resolve_command(
            context, [*context._protected_args, *rest[1:]]
        )
    command.make_context(name, rest, parent=context)


@pytest.mark.few(6)
@pytest.mark.parametrize("command", cases())
def test_the_examples_of_a_help_page_run(here: Path, lehr: Lehr, command: str) -> None:
    for _, *words in examples(command):
        ran = lehr(*words)
        if ran.code == 6:
            pytest.skip(ran.err)
        assert ran.code == 0, (words, ran.err)
        following_lines = [line for line in ran.out.splitlines() if line.startswith(MARK)]
        if "--json" in words:
            assert following_lines == []
            assert ran.facts["next"].startswith("lehr ")
            continue
        if words[0] in LAST or "--for" in words or words == ["recipes", "schema"]:
            assert following_lines == []
            continue
        (line,) = following_lines
        after = ran.out.splitlines()[ran.out.splitlines().index(line) + 1 :]
        assert after in ([], ["PASS"])
        following = shlex.split(line.removeprefix(MARK))
        read(following)
        files = [
            word
            for before, word in pairwise(following)
            if before != "-o" and ("." in word or "/" in word) and word.islower()
        ]
        assert all(Path(file).exists() for file in files if words[0] != "train"), line


def test_json_has_it_as_a_field(here: Path, lehr: Lehr) -> None:
    ran = lehr("build", "model.nir", "--target", "c", "-o", "my folder", "-n", 1, "--json")
    assert ran.facts["next"] == "lehr verify 'my folder'"
    assert MARK not in ran.out + ran.err


def test_nothing_comes_after_a_failure(here: Path, lehr: Lehr) -> None:
    for words in (
        ("check", "model.nir", "--target", "odin"),
        ("simulate", "model.nir"),
        ("verify", "run"),
    ):
        ran = lehr(*words)
        assert ran.code != 0
        assert MARK not in ran.out
        assert "next" not in lehr(*words, "--json").facts


def test_check_names_a_target_that_takes_the_network(here: Path, lehr: Lehr) -> None:
    assert "next: lehr build model.nir --target c -o c-model" in lehr("check", "model.nir").out
    named = lehr("check", "model.nir", "--target", "fpga")
    assert "next: lehr build model.nir --target fpga -o fpga-model" in named.out
