"""A trained and exported tiny network, made once, through the command line itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Lehr, run
from tiny import tiny_toml


@pytest.fixture
def lehr() -> Lehr:
    return run


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.toml, run/, model.nir and in.npz."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "tiny.toml").write_text(tiny_toml())
    for command in (
        ("train", folder / "tiny.toml", "-o", folder / "run"),
        ("export", folder / "run", "-o", folder / "model.nir"),
        ("recipes", "samples", folder / "tiny.toml", "-o", folder / "in.npz"),
    ):
        ran = run(*command)
        assert ran.code == 0, ran.err
    return folder
