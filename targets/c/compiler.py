"""The C compiler of this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from lehr.errors import NotBitExact, ToolMissing, UsageError


def compiler() -> list[str]:
    """`$CC` and its arguments, or `cc`.

    Raises:
        UsageError: when `$CC` is no command.
    """
    choice = os.environ.get("CC", "")
    try:
        return shlex.split(choice) or ["cc"]
    except ValueError:
        raise UsageError(
            f"CC is {choice!r}, which a shell does not take; close its quotes"
        ) from None


def missing(*others: str) -> str | None:
    """Return which of the compiler and `others` this machine lacks, with the way out, or None."""
    for tool in (compiler()[0], *others):
        if shutil.which(tool) is None:
            return (
                f"{tool} is not on this machine; install a C compiler and make (Debian: apt "
                "install gcc make), or set CC"
            )
    return None


def require(*others: str) -> None:
    """Raise ToolMissing unless the compiler and `others` are there."""
    lacking = missing(*others)
    if lacking is not None:
        raise ToolMissing(lacking)


def call(command: list[str], folder: Path, failure: str) -> str:
    """Run a tool in `folder` and return what it printed, errors included.

    QEMU prints a program's results there.

    Raises:
        NotBitExact: with its first error line, when it fails.
        ToolMissing: when the system does not run it.
    """
    # Without the variables of a make that may be running us, and with messages in English, where
    # errors are found.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    } | {"LC_ALL": "C"}
    nothing, pipe, same = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=nothing,
            stdout=pipe,
            stderr=same,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ToolMissing(
            f"{command[0]} does not start: {error.strerror}; call it by hand to see why"
        ) from None
    if done.returncode:
        lines = done.stdout.splitlines() or [f"exit status {done.returncode}"]
        reason = next((line for line in lines if "error" in line), lines[0])
        raise NotBitExact(f"the C code {failure}: {reason}; build the artefact again")
    return done.stdout
