"""The examples run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr.targets.c.compiler import missing

DATA = os.environ.get("LEHR_DATA")
MISSING = missing("make")
EXAMPLES = Path(__file__).parent.parent / "examples"


def test_verify_in_python(line: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        EXAMPLES / "verify_in_python.py",
        line / "model.nir",
        line / "in.npz",
        "onnx",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lif3: spike rate 0." in ran.stdout
    assert "onnx: 0 of 9,216 membranes and 0 spikes differ" in ran.stdout


@pytest.mark.slow
def test_own_model() -> None:
    command: list[str | Path] = [sys.executable, EXAMPLES / "own_model.py", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = (
        float(share) for share in re.findall(r"^binarized.*: (.*)%$", ran.stdout, re.MULTILINE)
    )
    assert after > before + 30
    assert re.search(r"'lif1': 0\.[0-9]+, 'lif2': 0\.[0-9]+", ran.stdout)


@pytest.mark.slow
def test_export_own_model(lehr: Lehr, tmp_path: Path) -> None:
    """Compare with the trained model: not one spike differs.

    The file is as accurate as it says of itself.
    """
    script, samples, model = (
        EXAMPLES / "export_own_model.py",
        tmp_path / "in.npz",
        tmp_path / "model.nir",
    )
    subprocess.run([sys.executable, script, samples], check=True)
    ran = lehr(
        "export",
        f"{script}:trained",
        "-i",
        samples,
        "--steps",
        8,
        "--full-scale",
        16,
        "-o",
        model,
        "--json",
    )
    assert ran.code == 0, ran.err
    assert ran.facts["exact"] is True
    assert ran.facts["spikes_differ"] == 0
    assert ran.facts["values"] == 300 * 8 * (128 + 10)
    assert all(0 < rate < 1 for rate in ran.facts["rates"].values())
    assert lehr("simulate", model, "-i", samples, "--json").facts["accuracy"] > 0.8


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="LEHR_DATA names no folder with the official MNIST files")
@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_brevitas_mnist(tmp_path: Path) -> None:
    """A few hundred images; the integer network and the C program agree on all of them."""
    pytest.importorskip("brevitas", reason="Brevitas is not installed")
    assert DATA is not None
    words = ("-o", tmp_path / "out", "--train-count", "2000", "--test-count", "300")
    command: list[str | Path] = [
        sys.executable,
        EXAMPLES / "brevitas_mnist.py",
        Path(DATA) / "mnist",
        *words,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    shares = dict(re.findall(r"^(\w+).*?([0-9.]+)%", ran.stdout, re.MULTILINE))
    assert list(shares) == ["float", "Brevitas", "integer", "C"]
    assert all(float(share) > 75 for share in shares.values()), ran.stdout
    assert shares["integer"] == shares["C"]
    assert abs(float(shares["integer"]) - float(shares["Brevitas"])) <= 1
    assert "0 of 3000 counts differ" in ran.stdout


@pytest.mark.slow
def test_paper_lif(lehr: Lehr, tmp_path: Path) -> None:
    """Compare the steps in which the integer neuron spikes with those in the NIR paper."""
    graph, samples, model, out = (
        tmp_path / name for name in ("lif.nir", "lif.npz", "model.nir", "out.npz")
    )
    subprocess.run([sys.executable, EXAMPLES / "paper_lif.py", graph, samples], check=True)
    assert lehr("quantize", graph, "--calibrate", samples, "--dt", 1e-4, "-o", model).code == 0
    assert lehr("simulate", model, "-i", samples, "-o", out, "--trace", "all").code == 0
    with np.load(out) as traced:
        (name,) = (key for key in traced.files if key.startswith("spikes."))
        assert np.flatnonzero(traced[name]).tolist() == [460, 510, 710, 760]
