"""Memory that training frees is there for its next batch."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from lehr.train.learning.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory() and keep_freed_memory()
def batch():
    kept = [torch.ones(1 << 24) for _ in range(2)]  # 64 MiB each
    return float(sum(each[-1] for each in kept))
for _ in range(5):
    batch()  # until every size has its place
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
assert batch() == 2
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 2 * (64 << 20) // (2 << 20)
"""Faults of a batch at the least, where the kernel gives pages of 2 MiB."""


def faults(which: str) -> int:
    """Return how often a later batch waits for a page from the kernel."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, which], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_later_batches_take_no_new_pages() -> None:
    assert faults("given back") >= PAGES
    assert faults("kept") < PAGES / 4
