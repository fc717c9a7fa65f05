"""How kernels are compiled and where the machine code is kept: numba, beside the source, until a file of KERNELS changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
INLINED: dict[str, Any] = {**OPTIONS, "forceinline": True, "no_cpython_wrapper": True}
"""Nothing here is called from C, and what only kernels call not from Python: to leave out such ways in saves a fifth of compiling."""
KERNELS = ("compiled", "counting", "events", "lanes", "neurons", "packing", "scatter", "strips", "vector")
"""The files that kernels are made of."""


def _stamp() -> str:
    """A digest of them all."""
    told = hashlib.sha256()
    for name in KERNELS:
        told.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return told.hexdigest()


STAMP = _stamp()


def compiled(kernel: F) -> F:
    """Compile a function of this folder when it is first called, without holding Python's lock while it runs.

    numba keeps machine code by the processor's features and the age of the function's own file. A kernel is made of functions in
    several files here: what stands in all of them counts, or a changed helper would go on running as it was.
    """
    try:
        made = numba.njit(cache=True, **OPTIONS)(kernel)
    except RuntimeError:  # neither beside this file nor in the user's home can a cache be written
        return cast(F, numba.njit(**OPTIONS)(kernel))
    cache: Any = getattr(made, "_cache", None)
    file = getattr(cache, "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = STAMP
    if hasattr(cache, "save_overload"):
        cache.save_overload = _if_there_is_room(cache.save_overload)
    return cast(F, made)


def _if_there_is_room(save: Callable[..., None]) -> Callable[..., None]:
    """Machine code that a full disk does not take is compiled again next time; the run that compiled it goes on."""

    def kept(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    return kept


def inlined(kernel: F) -> F:
    """Compile a function that kernels call; its machine code is kept as part of theirs."""
    return cast(F, numba.njit(**INLINED)(kernel))
