"""Help pages: an example on each, and lines that fit; tests/cli/test_next.py runs the examples."""

from __future__ import annotations

import pytest
from commands import Lehr
from pages import commands, examples
from typer.main import get_command

from lehr.cli.app import app
from lehr.cli.examples import EXAMPLES


def test_examples_are_those_of_commands_that_there_are() -> None:
    assert set(EXAMPLES) == set(commands())
    for command in commands():
        given = examples(command)
        assert given
        assert not command or any(" ".join(words).startswith(f"lehr {command}") for words in given)


def page(capsys: pytest.CaptureFixture[str], command: str) -> str:
    """Return a help page as wide as COLUMNS says; typer's own runner of tests has 80."""
    with pytest.raises(SystemExit):
        get_command(app).main([*command.split(), "--help"], prog_name="lehr")
    return capsys.readouterr().out


@pytest.mark.parametrize("command", list(commands()))
def test_a_help_page_breaks_at_spaces_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    whole = page(capsys, command)
    monkeypatch.setenv("COLUMNS", "60")
    narrow = page(capsys, command)
    assert max(map(len, whole.splitlines())) <= 80
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow != whole
    cut = [word for word in narrow.split() if word not in whole.split()]
    assert all(word.endswith("...") for word in cut)  # of what the commands of a group are about
    assert not cut or "\nCommands:" in narrow


def test_a_group_without_a_command_shows_its_page(lehr: Lehr) -> None:
    for group in ((), ("recipes",), ("targets",)):
        ran = lehr(*group)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == lehr(*group, "--help").out
