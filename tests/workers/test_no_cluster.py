"""A cluster that is not there, and a Ray that is not installed: one sentence, exit code 6."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from commands import Lehr


def refused(lehr: Lehr, line: Path, tmp_path: Path, workers: str) -> str:
    output = tmp_path / "out.npz"
    ran = lehr(
        *("simulate", line / "model.nir", "-i", line / "in.npz", "-o", output),
        *("--workers", workers),
    )
    assert (ran.code, ran.last) == (6, "FAIL"), ran.err
    assert not output.exists()
    said = [each for each in ran.err.splitlines() if each.startswith("error: ")]
    assert len(said) == 1, ran.err
    return " ".join(ran.err.split())


def test_a_cluster_that_is_not_there(lehr: Lehr, line: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:  # nobody listens at a port that is only bound
        taken.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{taken.getsockname()[1]}"
        said = refused(lehr, line, tmp_path, address)
    assert address in said or address.removeprefix("ray://") in said


def test_without_ray(
    lehr: Lehr, line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "lehr.workers.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(lehr, line, tmp_path, "ray")
    assert "pip install 'lehr[cluster]'" in said
