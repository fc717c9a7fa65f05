"""Large tensors lie in large pages, where Linux has them and nobody has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
FAULTS = """
import resource
import lehr.train
import torch
torch.ones(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(1 << 25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    """Page faults that a tensor of 128 MiB costs in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if key != "THP_MEM_ALLOC_ENABLE"}
    ran = subprocess.run([sys.executable, "-c", FAULTS], env=clean | environment, capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(not PAGES.exists() or "[madvise]" not in PAGES.read_text(), reason="Linux does not give large pages on request here")
def test_large_tensors_lie_in_large_pages() -> None:
    assert faults() < faults(THP_MEM_ALLOC_ENABLE="0") / 2
