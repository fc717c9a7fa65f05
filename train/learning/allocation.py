"""What the C library does with memory that training gives back."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""`M_TRIM_THRESHOLD` and `M_MMAP_MAX` of glibc's mallopt, as malloc.h numbers them."""
LARGEST = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory of tensors that are freed, for those of the next batch.

    glibc takes every large block from the kernel and gives it back when it is freed, so that each
    batch waits for the kernel to clear the same megabytes again, page by page. No result depends
    on where a tensor lies. Return whether the C library can be told so; others than glibc cannot.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, LARGEST))
