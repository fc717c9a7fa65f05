"""Output of `lehr train` while it trains: a line an epoch in a pipe, a bar at a terminal.

The bar keeps its figures at any width.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commands import Lehr
from tiny import tiny_recipe, tiny_toml

from lehr.train.data import load_dataset
from lehr.train.learning.loop import train
from lehr.train.recipefile import parse
from lehr.train.runs.pace import Pace, duration, epochs

WIDTHS = (60, 80, 120, 200)
PASSED, LEFT = r"\d:\d\d:\d\d", r"(\d:\d\d|-:--):(\d\d|--)"
LINE = re.compile(
    r"training: phase (?P<phase>[ABC]), epoch (?P<epoch>\d+)/(?P<epochs>\d+): loss \d+\.\d{4}, "
    r"validation \d+\.\d\d %, thresholds (?P<low>[\d.]+)\.\.(?P<high>[\d.]+)"
    r"(?P<way> \(\d+ % of their way\))?, \d+\.\d s an epoch, (?P<left>\d:\d\d:\d\d) left"
)


def test_a_pipe_gets_a_line_an_epoch(lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    lines = [match for line in ran.err.splitlines() if (match := LINE.fullmatch(line))]
    shown = [(m["phase"], int(m["epoch"]), int(m["epochs"])) for m in lines]
    assert shown == [("A", 1, 3), ("A", 2, 3), ("A", 3, 3), ("B", 1, 1), ("C", 1, 1)]
    assert [m["way"] is not None for m in lines] == [True] * 3 + [False] * 2
    assert lines[2]["way"] == " (60 % of their way)"
    assert lines[-1]["left"] == "0:00:00"
    for match, entry in zip(lines, ran.facts["runs"][0]["metrics"], strict=True):
        assert float(match["low"]) == pytest.approx(min(entry["thresholds"]), rel=1e-3)
        assert float(match["high"]) == pytest.approx(max(entry["thresholds"]), rel=1e-3)
    assert "\x1b" not in ran.err


def _entry(phase: str, epoch: int) -> dict[str, Any]:
    return {
        "phase": phase,
        "epoch": epoch,
        "loss": 0.5,
        "validation_accuracy": 0.25,
        "thresholds": [0.75, 0.9, 2.0],
    }


def test_the_time_left_is_the_mean_of_the_epochs_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 140.0, 144.0])
    monkeypatch.setattr("lehr.train.runs.pace.time.monotonic", lambda: next(clock))
    pace = Pace(tiny_recipe())
    assert (pace.remaining, pace.left) == (5, None)
    assert pace.line(_entry("A", 1)) == (
        "phase A, epoch 1/3: loss 0.5000, validation 25.00 %, thresholds 0.75..2 (50 % of their "
        "way), 10.0 s an epoch, 0:00:40 left"
    )
    assert pace.line(_entry("A", 2)).endswith("30.0 s an epoch, 0:01:00 left")
    # phase A may end early
    assert pace.line(_entry("B", 1)).endswith("thresholds 0.75..2, 4.0 s an epoch, 0:00:15 left")
    assert pace.remaining == 1
    assert pace.left == pytest.approx(44 / 3)


def test_held_thresholds_have_no_way_and_floats_no_later_phases() -> None:
    recipe = parse(tiny_toml(), "tiny", ("train.thresholds=start", "network.weights=float"))
    assert epochs(recipe) == {"A": 3, "B": 0, "C": 0}
    assert "thresholds 0.75..2, " in Pace(recipe).line(_entry("A", 3))
    assert Pace(recipe).remaining == 3


def test_floats_are_followed_by_no_export(lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    short = ("train", tmp_path / "tiny.toml", "--set", "train.epochs=1", "--json")
    floats = lehr(*short, "-o", tmp_path / "f", "--set", "network.weights=float")
    assert (floats.code, floats.facts.get("next")) == (0, None)
    integers = lehr(*short, "-o", tmp_path / "i")
    assert integers.facts["next"] == f"lehr export {tmp_path / 'i'} -o model.nir"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (65.4, "0:01:05"), (90_000, "1 day, 1:00:00")]
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_python_gets_the_same_lines() -> None:
    recipe = parse(tiny_toml(), "tiny", ("train.epochs=1",))
    pace, lines = Pace(recipe), list[str]()
    train(recipe, load_dataset(recipe.data, None), lambda entry: lines.append(pace.line(entry)))
    assert [f"training: {line}" for line in lines if LINE.fullmatch(f"training: {line}")]
    assert len(lines) == 3


SCRIPT = """
import fcntl, struct, sys, termios
from tiny import tiny_recipe
from lehr.cli.training import epochs_shown
from lehr.train.data import load_dataset
from lehr.train.learning.loop import train

data = load_dataset(tiny_recipe().data, None)
for columns in map(int, sys.argv[1:]):
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    print("width", columns, file=sys.stderr)
    with epochs_shown(tiny_recipe()) as report:
        train(tiny_recipe(), data, report)
"""


def _at_a_terminal(script: str, *arguments: object) -> str:
    """Return what a script writes to a terminal as stderr, without what steers it."""
    ours, theirs = pty.openpty()
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=environment | {"TERM": "xterm"},
        cwd=Path(__file__).parent.parent,
    )
    os.close(theirs)
    parts: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # the terminal's last process has ended
            while part := os.read(ours, 1 << 16):
                parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(300) == 0
    reader.join()
    os.close(ours)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", b"".join(parts).decode())


@pytest.mark.slow
def test_a_terminal_keeps_epoch_time_and_time_left() -> None:
    _, *shown = re.split(r"width (\d+)", _at_a_terminal(SCRIPT, *WIDTHS))
    widths = dict(zip(map(int, shown[::2]), shown[1::2], strict=True))
    assert tuple(widths) == WIDTHS
    for columns, text in widths.items():
        lines = [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
        assert lines
        assert max(map(len, lines)) <= columns
        for line in lines:
            assert re.fullmatch(rf"training.* epoch \d/5 {PASSED} {LEFT} left", line), line
        assert any(" epoch 5/5 " in line for line in lines)
        whole = re.compile(r"training: phase A, loss \d\.\d{4}, validation [\d.]+ % ")
        assert any(map(whole.match, lines)) == (columns >= 120)
