"""Help pages: an example on each, and lines that fit; tests/cli/test_next.py runs the examples."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import Lehr
from pages import commands, examples
from typer import Typer
from typer.main import get_command

from lehr.cli.app import app
from lehr.cli.commands import COMMANDS, GROUPS, application
from lehr.cli.examples import EXAMPLES


def test_examples_are_those_of_commands_that_there_are() -> None:
    assert set(EXAMPLES) == set(commands())
    for command in commands():
        given = examples(command)
        assert given
        assert not command or any(" ".join(words).startswith(f"lehr {command}") for words in given)


def page(capsys: pytest.CaptureFixture[str], command: str, of: Typer = app) -> str:
    """Return a help page as wide as COLUMNS says; typer's own runner of tests has 80."""
    with pytest.raises(SystemExit):
        get_command(of).main([*command.split(), "--help"], prog_name="lehr")
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [name for name in commands() if name])
def test_a_command_that_is_made_alone_has_the_page_that_it_has_among_all(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    alone = application(command.split()[0])
    assert len(alone.registered_commands) + len(alone.registered_groups) == 1
    assert page(capsys, command, alone) == page(capsys, command)


def test_every_command_is_made_where_none_is_named() -> None:
    names = {command.split()[0] for command in commands() if command}
    assert names == {*COMMANDS, *GROUPS}


def test_a_command_imports_no_other() -> None:
    script = """
import sys
from lehr.cli import main
sys.argv = ["lehr", "targets", "list"]
try:
    main()
except SystemExit:
    pass
print(*sorted(name for name in sys.modules if name.startswith("lehr.cli.")), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "fpga" in ran.stdout
    modules = set(ran.stderr.split())
    assert "lehr.cli.targets" in modules
    assert not modules & {"lehr.cli.app", "lehr.cli.training", "lehr.cli.simulating"}


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
