"""Functions in a process of their own: results, errors, and nothing left of one that is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Children

from lehr.errors import LehrError, UsageError
from lehr.targets.limited import NoAnswer, TimeIsUp, call_within

LONG = 600.0


def running(folder: Path) -> list[str]:
    """Return the processes that noted themselves in a folder and are still there."""
    return [path.name for path in folder.iterdir() if _state(path.name) not in ("", "Z")]


def _state(number: str) -> str:
    try:
        return (Path("/proc") / number / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(folder: Path, count: int) -> None:
    """Wait until so many processes have noted themselves, or so many of those that did are left."""
    for _ in range(3000):
        if len(list(folder.iterdir())) == 3 and len(running(folder)) == count:
            return
        time.sleep(0.02)
    pytest.fail(f"{running(folder)} of {sorted(path.name for path in folder.iterdir())}")


def test_a_result_comes_back_and_what_is_printed_is_no_part_of_it(
    capfd: pytest.CaptureFixture[str], children: Children
) -> None:
    assert call_within(LONG, "calls:add", {"a": 2, "b": 3}) == 5
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == "chatter\n" * 2
    assert not children()


def test_temporary_files_are_removed() -> None:
    assert not Path(call_within(LONG, "calls:temporary", {})).exists()


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("usage", UsageError, "no \x1b such thing; give another"),
        ("own", UsageError, "not mine; give another"),
        ("memory", MemoryError, ""),
        ("disk", OSError, "[Errno 28] No space left on device: 'out'"),
        ("package", ImportError, "No module named 'onnx.helper'"),
        ("killed", NoAnswer, "SIGKILL"),
        ("exit", NoAnswer, "exit status 7"),
        ("other", RuntimeError, "ZeroDivisionError: by zero"),
    ],
)
def test_errors_come_back_as_they_are(
    kind: str, error: type[Exception], message: str, children: Children
) -> None:
    with pytest.raises(error) as caught:
        call_within(LONG, "calls:refuse", {"kind": kind})
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert getattr(caught.value, "name", None) == ("onnx.helper" if kind == "package" else None)
    assert isinstance(caught.value, LehrError) == (error is UsageError)
    assert not children()


@pytest.mark.parametrize("deaf", [False, True])
def test_when_the_time_is_up_everything_has_ended(
    tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    seen: list[str] = []

    def communicate(
        self: subprocess.Popen[bytes], timeout: float | None = None
    ) -> tuple[bytes, bytes]:
        if not seen:  # the time is up as soon as all three are there
            until(tmp_path, 3)
            seen.extend(running(tmp_path))
        return waiting(self, timeout=0.01 if timeout == LONG or deaf else timeout)

    waiting = subprocess.Popen.communicate
    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
    with pytest.raises(TimeIsUp):
        call_within(LONG, "calls:never_end", {"folder": str(tmp_path), "deaf": deaf})
    assert len(seen) == 3
    until(tmp_path, 0)
    assert not children()


@pytest.mark.few(1)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_caller_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    # a shell that starts the tests in the background lets them ignore SIGINT
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from lehr.targets.limited import call_within; call_within(600, 'calls:never_end', {{'folder': {str(tmp_path)!r}}})"
    places = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parents[2])))
    # where a killed caller leaves its folder
    environment = os.environ | {"PYTHONPATH": places, "TMPDIR": str(tmp_path.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL
    ) as caller:
        until(tmp_path, 3)
        caller.send_signal(ending)
    until(tmp_path, 0)
