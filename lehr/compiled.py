"""Loops over arrays that numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(kernel: F) -> F:
    """Return the kernel as numba compiles it, kept beside its file where that can be written."""
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(kernel))
    except RuntimeError:  # neither beside its file nor in the user's home can a cache be written
        return cast(F, numba.njit(error_model="numpy")(kernel))
