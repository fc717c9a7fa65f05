"""`torchrun -m lehr train`: one command in several processes, which prints and fails as one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from commands import Lehr
from together import torchrun

from lehr.launched import Launched
from lehr.train.runs.progress import progress_folder

EPOCHS = 20
LONG = ("--set", f"train.epochs={EPOCHS}", "--set", "network.layers.2.threshold.rate=0.01")


def ended(*arguments: object) -> tuple[str, str, int]:
    """Run in two processes, and return stdout, stderr and the launcher's exit code."""
    with torchrun(2, *arguments) as started:
        out, err = started.communicate(timeout=600)
    return out, err, started.returncode


def errors(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("error:")]


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) == 10
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def whole(line: Path) -> tuple[Path, str, str]:
    """Return the run of two processes that nothing stops, and what they print."""
    run = line / "pair"
    out, err, code = ended("train", line / "tiny.toml", "-o", run, *LONG)
    assert code == 0, err
    return run, out, err


@pytest.mark.slow
def test_it_prints_as_one(whole: tuple[Path, str, str], lehr: Lehr, tmp_path: Path) -> None:
    run, out, err = whole
    lines = out.splitlines()
    assert lines[-2:] == [f"wrote {run}", f"next: lehr export {run} -o model.nir"]
    assert len(lines) == len(set(lines))
    assert not errors(err)
    shown = [each for each in err.splitlines() if each.startswith("training: phase")]
    assert len(shown) == len(set(shown)) == EPOCHS + 2
    assert json.loads((run / "state.json").read_text("utf-8"))["processes"] == 2
    exported = lehr("export", run, "-o", tmp_path / "model.nir")
    assert exported.code == 0, exported.err
    assert "0 of" in exported.out


def _kill(launcher: int, which: int, how: signal.Signals) -> None:
    """Send a signal to a process of the launcher, or to the launcher itself, which has number 2."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text("utf-8").split()
    assert len(children) == 2
    os.kill([*map(int, children), launcher][which], how)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "how", "sentence"),
    [
        (0, signal.SIGKILL, "another process of this training was ended"),
        (1, signal.SIGKILL, "another process of this training was ended"),
        (2, signal.SIGINT, "interrupted; the result was not written"),
        (2, signal.SIGTERM, "another process of this training was ended, or the launcher was"),
    ],
)
def test_one_sentence_ends_it_and_it_goes_on_to_the_same_bits(
    whole: tuple[Path, str, str],
    line: Path,
    tmp_path: Path,
    which: int,
    how: signal.Signals,
    sentence: str,
) -> None:
    run = tmp_path / "run"
    command = ("train", line / "tiny.toml", "-o", run, *LONG)
    with torchrun(2, *command) as started:
        while not (progress_folder(run) / "progress.json").exists() and started.poll() is None:
            time.sleep(0.01)
        _kill(started.pid, which, how)
        _, err = started.communicate(timeout=600)
    assert started.returncode != 0
    assert len(errors(err)) == 1, err
    assert sentence in errors(err)[0]
    assert not run.exists()
    out, err, code = ended(*command, "--resume")
    assert code == 0, err
    assert f"wrote {run}" in out
    assert contents(run) == contents(whole[0])


@pytest.mark.slow
def test_what_is_refused_is_refused_once(line: Path, tmp_path: Path) -> None:
    for setting, sentence in (
        ("train.lrr=1", "unknown key 'train.lrr'"),  # before torch is there
        ("train.init_from=nowhere", "train.init_from is 'nowhere'"),  # once they have met
    ):
        out, err, code = ended("train", line / "tiny.toml", "-o", tmp_path / "x", "--set", setting)
        assert code == 1
        assert out == "FAIL\n"
        assert len(errors(err)) == 1, err
        assert sentence in errors(err)[0]
        assert "exitcode  : 2" in err  # which the launcher reports, and does not return


def test_workers_of_several_processes_are_refused(
    line: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ran = lehr("train", line / "tiny.toml", "--seeds", 2, "--workers", 3, "-o", line / "never")
    assert ran.code == 2
    assert " ".join(ran.err.split()) == (
        "error: --workers 3 in each of 2 processes that a launcher has started; leave --workers "
        "out to train by all of them, or the launcher to spread seeds"
    )


@pytest.mark.slow
def test_seeds_are_trained_one_after_the_other_by_all(line: Path, tmp_path: Path) -> None:
    out, err, code = ended(
        "train", line / "tiny.toml", "-o", tmp_path / "run", "--seeds", 2, "--json"
    )
    assert code == 0, err
    facts = json.loads(out)
    assert [(run["seed"], run["processes"]) for run in facts["runs"]] == [(5, 2), (6, 2)]
    assert facts["accuracy"].keys() == {"phase A", "integer"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"WORLD_SIZE": "2"},
            "WORLD_SIZE is 2 in the environment, as torchrun sets it, but there is no RANK, "
            "MASTER_ADDR, MASTER_PORT; start with torchrun, or unset WORLD_SIZE",
        ),
        (
            {"WORLD_SIZE": "two"},
            "WORLD_SIZE is 'two' in the environment, and no number; start with torchrun, or unset "
            "WORLD_SIZE",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
            "RANK is 2 in the environment, but WORLD_SIZE is 2; start with torchrun, or unset "
            "WORLD_SIZE",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "x"},
            "the 2 processes of this training do not meet at localhost:x (invalid literal for "
            "int() with base 10: 'x'); start all of them with torchrun",
        ),
    ],
)
def test_half_an_environment_is_refused(
    given: dict[str, str], sentence: str, line: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ran = lehr("train", line / "tiny.toml", "-o", line / "never")
    assert ran.code == 2
    assert " ".join(ran.err.split()) == f"error: {sentence}"


def test_one_process_of_a_launcher_is_alone(
    line: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    ran = lehr("train", line / "tiny.toml", "-o", tmp_path / "run", "--set", "train.epochs=3")
    assert ran.code == 0, ran.err
    assert contents(tmp_path / "run") == contents(line / "run")


class _Store:
    """torch's store in one process."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.done: list[str] = []

    def add(self, key: str, amount: int) -> int:
        self.numbers[key] = self.numbers.get(key, 0) + amount
        return self.numbers[key]

    def set(self, key: str, value: str) -> None:
        self.done.append(key + value)

    def wait(self, keys: list[str], timeout: timedelta) -> None:
        assert keys == self.done
        assert timeout < timedelta(minutes=1)


def test_the_first_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store()
    processes = [Launched(rank, 3, rank, store) for rank in range(3)]
    said: Callable[[int], bool] = lambda rank: processes[rank].fail()  # noqa: E731
    assert [said(1), said(0), said(1), said(2)] == [True, False, True, False]
    for rank in (1, 0, 2):
        processes[rank].explained()
    assert store.done == ["lehr/explained"]
    slept: list[float] = []
    monkeypatch.setattr("lehr.launched.time.sleep", slept.append)
    # before they have met, the first one says it at once, and any other unless it is ended
    assert Launched(0, 3).fail()
    assert not slept
    assert Launched(2, 3).fail()
    assert slept == [5.0]
