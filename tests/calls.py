"""Functions that tests call in a process of their own (lehr.targets.limited)."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lehr.errors import UsageError


class Own(UsageError):
    """An error of somebody's target."""


def add(a: int, b: int) -> int:
    """Return a result, after chatter that is none of it."""
    sys.stdout.write("chatter\n")
    os.write(1, b"chatter\n")
    return a + b


def temporary() -> str:
    """Leave a file in the temporary folder."""
    folder = tempfile.mkdtemp()
    (Path(folder) / "left").touch()
    return folder


def refuse(kind: str) -> None:
    """Fail."""
    if kind == "usage":
        raise UsageError("no \x1b such thing; give another")
    if kind == "own":
        raise Own("not mine; give another")
    if kind == "memory":
        raise MemoryError
    if kind == "disk":
        raise OSError(errno.ENOSPC, "No space left on device", "out")
    if kind == "package":
        raise ModuleNotFoundError("No module named 'onnx.helper'", name="onnx.helper")
    if kind == "killed":
        os.kill(os.getpid(), 9)
    if kind == "exit":
        os._exit(7)
    raise ZeroDivisionError("by zero")


def never_end(folder: str, deaf: bool = False) -> None:
    """Start a process that starts another, and wait for ever.

    `folder` gets a file for each, called by its number.
    """
    note = f"import os, pathlib; pathlib.Path({folder!r}, str(os.getpid())).touch()"
    child = (
        f"{note}; import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', "
        f"{note + '; import time; time.sleep(999)'!r}])"
    )
    Path(folder, str(os.getpid())).touch()
    subprocess.Popen([sys.executable, "-c", f"{child}; time.sleep(999)"])
    while deaf:
        try:
            time.sleep(999)
        except KeyboardInterrupt:
            continue
    time.sleep(999)
