"""Tools in environments of their own: installing, finding, running a script; simulators.

Simulators are built once.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr import ownership
from lehr.errors import NotBitExact, ToolMissing
from lehr.targets import environments, registry, simulators
from lehr.targets.environments import MARK, Environment

DOUBLE = """
import sys, numpy as np
given = np.load(sys.argv[1])
np.savez(sys.argv[2], doubled=2 * given["x"], count=np.array(len(sys.argv)))
"""
EMPTY = Environment("empty", "pip", ())
"""An environment that nothing is downloaded for."""


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEHR_TOOLS", str(tmp_path / "tools"))
    return tmp_path / "tools"


@pytest.fixture
def installed(tools: Path) -> Environment:
    """Return an environment as if `install` had been run, without pip."""
    (tools / "empty" / "bin").mkdir(parents=True)
    python = tools / "empty" / "bin" / "python"  # no link: Python would take itself for its base
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (tools / "empty" / MARK).write_text("")
    return EMPTY


def script(folder: Path, text: str) -> Path:
    (folder / "script.py").write_text(text)
    return folder / "script.py"


def test_a_tool_that_is_not_there_is_named_with_what_installs_it(tmp_path: Path) -> None:
    sentence = "empty is not on this machine; install it with 'lehr doctor --install empty'"
    assert EMPTY.missing() == sentence
    assert EMPTY.version() == ""
    with pytest.raises(ToolMissing, match=f"^{sentence}$"):
        EMPTY.run(tmp_path / "script.py", {}, "does not run")


def test_what_is_done_is_said_before(tools: Path) -> None:
    environment = Environment("one", "one", (("one==1.0", "numpy"), ("--no-deps", "two==2.0")))
    python = str(tools / "one" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    assert environment.plan() == [
        [sys.executable, "-m", "venv", "--clear", str(tools / "one")],
        [*pip, "one==1.0", "numpy"],
        [*pip, "--no-deps", "two==2.0"],
    ]


@pytest.mark.slow
def test_installing_makes_it_ready_and_failing_does_not(tools: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "no-such.whl"
    broken = Environment("broken", "broken", ((str(wheel),),))
    commands: list[str] = []
    with pytest.raises(
        ToolMissing,
        match=r"^broken cannot be installed: .*no-such\.whl.*; mend that, and install it again$",
    ):
        commands += broken.install()
    assert broken.missing() is not None
    assert [" ".join(command) for command in EMPTY.plan()] == list(EMPTY.install())
    assert EMPTY.missing() is None
    assert EMPTY.version()
    got = EMPTY.interpreter
    assert got == tools / "empty" / "bin" / "python"


@pytest.mark.slow
def test_a_failed_installation_leaves_what_was_there(
    installed: Environment, tools: Path, tmp_path: Path
) -> None:
    newer = Environment("empty", "pip", ((str(tmp_path / "no-such.whl"),),))
    with pytest.raises(ToolMissing):
        list(newer.install())
    assert installed.missing() is None
    assert sorted(path.name for path in tools.iterdir()) == ["empty"]


def test_an_interrupted_installation_leaves_what_was_there(
    installed: Environment, tools: Path
) -> None:
    newer = Environment("empty", "pip", (("pip==1",),)).install()
    assert next(newer).endswith(str(tools / "empty"))
    newer.close()
    assert installed.missing() is None


def test_what_is_installed_is_not_installed_again(
    installed: Environment, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(installed.install()) == []
    monkeypatch.setattr(registry, "environments", lambda: {"empty": installed})
    ran = lehr("doctor", "--install", "empty")
    assert ran.code == 0
    assert ran.out == (
        f"empty {installed.version()} is installed already, in {installed.folder}\n"
        "next: lehr targets list\n"
    )


def test_a_relative_folder_of_tools_works_from_anywhere(
    installed: Environment, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEHR_TOOLS", tools.name)
    assert installed.interpreter == tools / "empty" / "bin" / "python"
    assert installed.run(script(tmp_path, DOUBLE), {"x": np.arange(2)}, "does not run")[
        "doubled"
    ].tolist() == [0, 2]


def test_another_version_counts_as_missing(installed: Environment) -> None:
    assert installed.missing() is None
    assert Environment("empty", "pip", (("pip==1",),)).missing() is not None


def test_an_environment_that_others_can_write_is_not_used(
    installed: Environment, tools: Path
) -> None:
    (tools / "empty").chmod(0o777)
    assert installed.missing() is not None


def test_a_python_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Environment("old", "old", (), python="2.1")
    assert old.base() is None
    with pytest.raises(
        ToolMissing,
        match=r"^old needs Python 2\.1, which is not on this machine; install it, or put it on PATH$",
    ):
        old.plan()


def test_a_script_gets_and_gives_arrays(installed: Environment, tmp_path: Path) -> None:
    given = np.arange(6, dtype=np.int16).reshape(2, 3)
    got = installed.run(
        script(tmp_path, DOUBLE), {"x": given}, "does not run", (tmp_path / "more",)
    )
    assert got["doubled"].dtype == np.int16
    assert np.array_equal(got["doubled"], given * 2)
    assert int(got["count"]) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "raise ValueError('no room')",
            "empty does not run: ValueError: no room; build the artefact again",
        ),
        ("import sys; sys.exit(3)", "empty does not run: exit status 3; build the artefact again"),
        ("pass", "empty does not run: it gives no results"),
    ],
)
def test_a_script_that_fails_is_named(
    installed: Environment, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(NotBitExact, match=f"^{said}"):
        installed.run(script(tmp_path, text), {}, "does not run")


def test_a_script_that_does_not_end_is_ended(installed: Environment, tmp_path: Path) -> None:
    with pytest.raises(NotBitExact, match=r"^empty is not done after 0\.5 s; run fewer samples$"):
        installed.run(
            script(tmp_path, "import time; time.sleep(60)"), {}, "does not run", seconds=0.5
        )


def test_pythons_are_those_that_say_so() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert all(Path(python).exists() for python in environments.pythons(version))


@pytest.mark.slow
def test_doctor_installs_by_name(lehr: Lehr, monkeypatch: pytest.MonkeyPatch, tools: Path) -> None:
    monkeypatch.setattr(registry, "environments", lambda: {"empty": EMPTY})
    assert "empty" in lehr("doctor").out
    ran = lehr("doctor", "--install", "empty")
    assert ran.code == 0, ran.err
    first, second, *_ = ran.out.splitlines()
    assert first == f"empty is installed into {tools / 'empty'}, by:"
    assert second == f"  {sys.executable} -m venv --clear {tools / 'empty'}"
    refused = lehr("doctor", "--install", "emty")
    assert refused.code == 2
    assert (
        refused.err == "error: no tool is called 'emty'; did you mean 'empty'? use one of empty\n"
    )


# -------------------------------------------------------------------- simulators
def test_a_simulator_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = []

    def build(folder: Path) -> list[str]:
        built.append((folder / "source").read_bytes())
        (folder / "made").mkdir()
        (folder / "made" / "run").write_text("#!/bin/sh\n")
        return ["made/run", "--quiet"]

    def command(source: bytes, version: str = "1") -> list[str]:
        (tmp_path / "scratch").mkdir(exist_ok=True)
        return simulators.simulator({"source": source}, build, version, tmp_path / "scratch")

    first = command(b"a")
    assert Path(first[0]).read_text() == "#!/bin/sh\n"
    assert first[1:] == ["--quiet"]
    assert command(b"a") == first
    assert built == [b"a"]
    assert command(b"b") != first
    assert command(b"a", "2") != first
    assert built == [b"a", b"b", b"a"]
    Path(first[0]).chmod(0o777)  # others could have changed it
    command(b"a")
    assert len(built) == 4


def test_a_simulator_without_a_place_is_built_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "user_folder", lambda *_: None)

    def build(folder: Path) -> list[str]:
        (folder / "run").write_text("")
        return ["run"]

    assert simulators.simulator({"s": b""}, build, "1", tmp_path) == [str(tmp_path / "run")]
