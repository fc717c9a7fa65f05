"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_verify_in_python(line: Path) -> None:
    command: list[str | Path] = [sys.executable, EXAMPLES / "verify_in_python.py", line / "model.nir", line / "in.npz", "onnx"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lif3: spike rate 0." in ran.stdout
    assert "onnx: 0 of 9,216 membranes and 0 spikes differ" in ran.stdout
