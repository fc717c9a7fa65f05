"""Fixtures of the tests of commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filled import fill


@pytest.fixture(scope="session")
def filled(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the examples of the help pages name; not to be written to."""
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, line)
    return folder


@pytest.fixture
def here(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test runs."""
    folder = tmp_path / "here"
    shutil.copytree(filled, folder)
    monkeypatch.chdir(folder)
    return folder
