"""Sources of reports: a run, its network, samples, and what is built of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run


@pytest.fixture(scope="session")
def built(line: Path) -> Path:
    """A folder built for C of the tiny network, on its first samples."""
    folder = line / "report-c"
    ran = run(
        "build", line / "model.nir", "--target", "c", "-i", line / "in.npz", "-o", folder, "-n", 6
    )
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture(scope="session")
def page_of_run(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the tiny run."""
    page = tmp_path_factory.mktemp("page") / "run.html"
    ran = run("report", line / "run", "-o", page)
    assert ran.code == 0, ran.err
    return page
