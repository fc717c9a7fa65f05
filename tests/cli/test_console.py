"""Printed text: no file can steer the terminal, forge a line, or fill the screen."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from commands import Lehr

from lehr import nirfile
from lehr.cli.console import session
from lehr.errors import FileRefused

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b1m\u202eb\r\nPASS\x00"
SHOWN = "a?]0;owned??[2J?1m?b??PASS?"


def test_what_steers_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def tell() -> None:
        with session(as_json=False) as out:
            out.say(f"origin: {HOSTILE}")
            out.table((HOSTILE, "value"), [(HOSTILE, 1)], HOSTILE)
            raise FileRefused(f"{HOSTILE}: no")

    with pytest.raises(typer.Exit) as ended:
        tell()
    assert ended.value.exit_code == 5
    shown = capsys.readouterr()
    assert shown.err == f"error: {SHOWN}: no\n"
    first, *rest, last = shown.out.splitlines()
    assert first == f"origin: {SHOWN}"
    assert last == "FAIL"
    assert "PASS" not in [line.strip() for line in rest]
    assert "\n".join(rest).count(SHOWN) == 3
    assert all(line.isprintable() for line in shown.out.splitlines())


def test_json_holds_what_was_said_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit), session(as_json=True) as out:
        out.facts["name"] = HOSTILE
    shown = capsys.readouterr().out
    assert json.loads(shown)["name"] == HOSTILE
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_word_without_an_end_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), session(as_json=False):
        raise FileRefused(f"{'x' * 5000} is none; {'many words ' * 100}")
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {'x' * 40}...{'x' * 40} is none; many words ")
    assert shown.count("many words") == 100


def test_the_origin_in_a_stranger_s_file_is_shown_on_one_line(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    nirfile.write(
        nirfile.read(line / "model.nir"), tmp_path / "x.nir", {"command": "a\x1b[2J\nPASS"}
    )
    ran = lehr("inspect", tmp_path / "x.nir")
    assert ran.code == 0
    assert "origin, command: a" in ran.out
    assert all(shown.isprintable() for shown in ran.out.splitlines())
    assert "PASS" not in ran.out.splitlines()


def test_the_report_of_a_stranger_steers_no_terminal(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert lehr("build", line / "model.nir", "--target", "c", "-o", out, "-n", 1).code == 0
    path = out / "report" / "estimate.json"
    figures = json.loads(path.read_bytes())
    for change, reason in (
        (
            {"name": "\x1b]0;owned\x07"},
            r"text '\x1b]0;owned\x07' is too long, or would steer a terminal",
        ),
        ({"value": float("nan")}, "NaN is no number"),
        ({"value": 10**400}, "a number has 401 digits"),
        ({"value": "1e400"}, "'1e400' is no number"),
        ({"value": True}, "True is no number"),
    ):
        path.write_text(json.dumps([figures[0] | change, *figures[1:]]))
        ran = lehr("report", out)
        assert ran.code == 5
        assert reason in ran.err
        assert len(ran.err.splitlines()) == 1
        assert ran.err.rstrip().isprintable()
    path.unlink()
    os.mkfifo(path)
    ran = lehr("report", out)
    assert (ran.code, ran.err) == (
        5,
        f"error: {path} is a pipe, no regular file; build the artefact again\n",
    )


TOO_LONG = ("x" * 5000, "x" * 300, "/".join(["x" * 200] * 30))


@pytest.mark.slow
@pytest.mark.parametrize("path", TOO_LONG, ids=["5000 letters", "a name of 300", "many folders"])
def test_paths_that_no_system_has(
    line: Path, lehr: Lehr, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, inputs = line / "model.nir", line / "in.npz"
    commands = (
        ("inspect", path),
        ("report", path),
        ("check", path, "--target", "c"),
        ("widths", model, "-o", path),
        ("quantize", model, "--calibrate", path, "-o", "q.nir"),
        ("simulate", model, "-i", path),
        ("simulate", model, "-i", inputs, "--compare", f"{path}.npz"),
        ("simulate", model, "-i", inputs, "-o", path),
        ("build", model, "--target", "c", "-o", path),
        ("verify", path),
        ("export", path, "-o", "m.nir"),
        ("export", line / "run", "-o", path),
        ("train", path),
        ("train", line / "tiny.toml", "-o", path),
        ("train", line / "tiny.toml", "--set", "data.name=mnist", "--data", path, "-o", "run"),
        ("recipes", "copy", "digits", path),
        ("demo", "-o", path),
    )
    for command in commands if path == TOO_LONG[0] else commands[:2]:
        ran = lehr(*command)
        assert ran.code == 2, (command, ran.err)
        assert ran.err.startswith("error: path ")
        assert ran.err.endswith(": File name too long; give another one\n")
        assert len(ran.err) < 400
        assert ran.last == "FAIL"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["state.json", "checkpoint.safetensors"])
def test_runs_that_hold_no_files(line: Path, lehr: Lehr, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(line / "run", run)
    for put, what in ((os.mkfifo, "pipe"), (lambda path: path.symlink_to("/dev/zero"), "device")):
        (run / name).unlink()
        put(run / name)
        ran = lehr("export", run, "-o", tmp_path / "m.nir")
        assert (ran.code, ran.err) == (
            5,
            f"error: {run / name} is a {what}, no regular file; copy it anew from where it was "
            "trained, or train it again\n",
        )
    assert not (tmp_path / "m.nir").exists()


def test_recipes_that_are_no_files(lehr: Lehr, line: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    os.mkfifo(recipe)
    ran = lehr("train", recipe)
    assert (ran.code, ran.err) == (
        2,
        f"error: recipe {recipe} is a pipe, no regular file; give a recipe, a TOML file in UTF-8\n",
    )
    recipe.unlink()
    tiny = (line / "tiny.toml").read_text()
    for text, reason in (
        ("x = " + "[" * 100_000, "nests deeper than a recipe does; correct it there"),
        (
            "#" * (1 << 20 | 1),
            "has 1,048,577 bytes, the limit is 1,048,576; give a recipe, a TOML file in UTF-8",
        ),
        (tiny.replace("lr = ", "lr = inf #", 1), "'train.lr' is inf; give a finite number"),
        (
            tiny.replace('name = "', 'name = "\\u001b[2J', 1),
            r"'name' is '\x1b[2Jtiny', which cannot be printed; use letters, digits and signs",
        ),
    ):
        recipe.write_text(text)
        ran = lehr("train", recipe)
        assert ran.code == 2
        assert reason in ran.err
    ran = lehr("train", line / "tiny.toml", "--set", "train.lr=" + "[" * 100_000)
    assert ran.code == 2
    assert "'train.lr' is '[[" in ran.err
    assert len(ran.err) < 400
