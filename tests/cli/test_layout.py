"""Tables and lines at a terminal and in a pipe, at four widths.

No word is cut, and no line is longer than there is room.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest
from commands import Lehr
from typer.main import get_command

from lehr import nirfile
from lehr.cli import layout
from lehr.cli.app import app
from lehr.cli.console import Output
from lehr.targets import registry
from lehr.targets.conformance.golden import example

WIDTHS = (60, 80, 120, 200)
NETWORKS = ("small", "synapse", "machine_reckon")
"""Golden networks with different columns in the table of states, and programs."""
COMMANDS = {
    "inspect": ("inspect", "NETWORK"),
    "structure": ("inspect", "NETWORK", "--structure"),
    "widths": ("widths", "NETWORK"),
    "check": ("check", "NETWORK"),
    "check c": ("check", "NETWORK", "--target", "c"),
    "simulate": ("simulate", "model.nir", "-i", "in.npz"),
    "quantize": (
        "quantize",
        "graph.nir",
        "--calibrate",
        "spikes.npz",
        "--dt",
        "1e-3",
        "-o",
        "q.nir",
    ),
    "build": ("build", "model.nir", "--target", "c", "-o", "built", "-n", "2"),
    "export": ("export", "run", "-o", "m.nir"),
    "export for": ("export", "model.nir", "--for", "norse", "-o", "float.nir"),
    "report": ("report", "out"),
    "recipes": ("recipes", "list"),
    "targets": ("targets", "list"),
    "target": ("targets", "show", "dynapcnn"),
    "operators": ("targets", "ops"),
    "doctor": ("doctor",),
}
"""Every command that prints a table, by a name; NETWORK is each of the golden networks."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def at_a_terminal(words: Sequence[str], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a command in this process, with a terminal as its stdout; return the terminal's lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    said = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 65536):
                said.extend(part)
        except OSError:  # the other end is closed
            pass

    reader = Thread(target=read)
    reader.start()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as terminal:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "__stdout__", terminal)
        with pytest.raises(SystemExit):
            get_command(app).main(list(words), prog_name="lehr")
    reader.join()
    os.close(ours)
    return ESCAPES.sub("", said.decode()).splitlines()


def words_of(lines: Sequence[str]) -> set[str]:
    """Return the words, without a table's lines and the signs of a line that goes on.

    The colon after a column's name in a block is left out, too.
    """
    words = {word.removesuffix(":") for line in lines for word in line.split()}
    return {word for word in words if set(word) - {"─", "\\"}}


def too_long(lines: Sequence[str], width: int) -> list[str]:
    return [line for line in lines if len(line) > width and " " in line.strip()]


@pytest.fixture(scope="session")
def golden(filled: Path) -> list[str]:
    """Add files of golden networks to the folder of the others."""
    c, networks = registry.get("c"), {}
    for name in NETWORKS:
        golden_network = example(c, name)
        assert not isinstance(golden_network, str), golden_network
        networks[f"{name}.nir"] = golden_network.net
    for name, net in networks.items():
        nirfile.write(net, filled / name)
    return list(networks)


def given(words: Sequence[str], golden: Sequence[str]) -> list[list[str]]:
    """Return the command on each golden network, or as it is."""
    if "NETWORK" not in words:
        return [list(words)]
    return [[path if word == "NETWORK" else word for word in words] for path in golden]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_is_cut_at_a_terminal(
    golden: list[str], here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for words in given(COMMANDS[name], golden):
        shown = {width: at_a_terminal(words, width, monkeypatch) for width in WIDTHS}
        whole = words_of(shown[WIDTHS[-1]])
        assert len(whole) > 10
        for width, lines in shown.items():
            assert not too_long(lines, width)
            assert not whole - words_of(lines), (width, words)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["inspect", "check", "simulate", "targets", "recipes"])
def test_no_word_is_cut_in_a_pipe(
    golden: list[str], here: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for words in given(COMMANDS[name], golden[:2]):
        whole = words_of(lehr(*words).out.splitlines())
        for width in WIDTHS:
            monkeypatch.setenv("COLUMNS", str(width))
            lines = lehr(*words).out.splitlines()
            monkeypatch.delenv("COLUMNS")
            assert not too_long([line for line in lines if line.startswith(" ")], width)
            assert not whole - words_of(lines), (width, words)


def test_a_terminal_of_its_own_process(here: Path) -> None:
    """Take the width from the terminal, not from a variable or from this process."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 66, 0, 0))
    command = [sys.executable, "-m", "lehr", "targets", "show", "c"]
    ran = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=True)
    os.close(theirs)
    lines = ESCAPES.sub("", os.read(ours, 1 << 16).decode()).splitlines()
    os.close(ours)
    assert ran.stderr == b""
    assert not too_long(lines, 66)
    assert max(map(len, lines)) == 66


def test_a_line_in_a_pipe_is_one_line(here: Path, lehr: Lehr) -> None:
    sentence = "Yosys and nextpnr"
    (line,) = [
        line for line in lehr("targets", "show", "fpga").out.splitlines() if sentence in line
    ]
    assert line.startswith("judged by: ")


def test_a_line_breaks_at_spaces_under_its_own_indentation() -> None:
    assert layout.wrapped("  add bias-of-the-layer 12 to v", 14) == [
        "  add",
        "    bias-of-the-layer",
        "    12 to v",
    ]
    assert layout.wrapped("as it is ", None) == ["as it is "]
    assert layout.wrapped("", 5) == [""]


def test_a_command_that_goes_on_is_one_to_a_shell(tmp_path: Path) -> None:
    text = "next: lehr build a-model.nir --target c -o a-folder"
    lines = layout.command(text, 30)
    assert max(map(len, lines)) <= 30
    ran = subprocess.run(
        ["bash", "-c", "echo " + "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"{text}\n"


ROWS = [["a longer text of several words", "1,000"], ["b", "12"]]


def test_a_row_that_reads_badly_becomes_a_block() -> None:
    content = layout.lines_of_table(("what it is", "bytes"), ROWS, 17)
    assert list(content) == [  # type: ignore[arg-type]
        "",
        "what it is: a",
        "    longer text",
        "    of several",
        "    words",
        "  bytes: 1,000",
        "",
        "what it is: b",
        "  bytes: 12",
        "",
    ]


def test_columns_give_way_where_there_is_room_for_their_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "26")
    Output(as_json=False).table(("what it is", "bytes"), ROWS)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "",
        " what it is         bytes",
        " " + "─" * 24,
        " a longer text of   1,000",
        " several words",
        " b                     12",
        "",
    ]
