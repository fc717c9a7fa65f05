"""Copies of the checkout, from which packages are built, and the commands for that."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("train", "export", "simulate", "targets")
PLAIN = {"PATH": "/usr/bin:/bin"}
"""An environment of nothing but the system's tools."""
WITHOUT_KERNELS = {**PLAIN, "LEHR_KERNELS": "0"}
"""The same for a build that compiles no kernels, which takes a minute of the processor."""


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, in an environment of nothing but the system's tools if none is given."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=env or PLAIN,
    )


def succeed(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command that is to succeed, and return what it printed."""
    ran = run(*command, cwd=cwd, env=env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def copy_checkout(to: Path) -> Path:
    """Return the files that a build reads, links as links."""
    to.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, to)
    for name in ("lehr", *FOLDERS):
        shutil.copytree(
            ROOT / name, to / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    return to
