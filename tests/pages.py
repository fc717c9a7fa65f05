"""The commands that there are, and their help pages, as a shell sees them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from commands import run
from typer.main import get_command

from lehr.cli.app import app

SLOW = {"", "demo", "train", "search", "conformance", "export", "verify", "convert"}
"""Commands whose examples take more than two seconds."""


def commands() -> Iterator[str]:
    """Yield the words after `lehr` of each command and group; those of the root are none."""

    def below(command: Any, words: str) -> Iterator[str]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            if not inner.hidden:
                yield from below(inner, f"{words} {name}".strip())

    yield from below(get_command(app), "")


def cases() -> list[Any]:
    """Return every command, in the tier that its examples take."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [], id=name or "lehr")
        for name in commands()
    ]


def examples(command: str) -> list[list[str]]:
    """Read the examples out of a help page, each as the words that a shell makes of it."""
    page = run(*command.split(), "--help").out
    section = page.partition("\nExamples:\n")[2].replace("\\\n", "")
    return [shlex.split(line) for line in section.splitlines() if line.startswith("  lehr ")]
