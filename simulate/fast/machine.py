"""Machine code of kernels: where it is kept, and how it is loaded, by LLVM and without numba.

A file holds one kernel for one combination of types, one processor and one numba, as an object
file, behind a digest of it, of its name and of the kernels' source. What does not fit its digest,
because it is damaged or a kernel has changed, is compiled again and replaced.
A digest keeps nobody out: code is run only from files and folders that nobody can write to but
those whose Python code is run as well.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from lehr import ownership
from lehr.atomic import write_bytes
from lehr.errors import FileRefused

KERNELS = Path(__file__).with_name("kernels")
"""The folder of the files that kernels are made of: all of them, so that none is forgotten."""
C_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.py_object)
"""It takes a kernel's arguments as one tuple, and gives up Python's lock while it runs."""


def function(file: str, name: str, kinds: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], None]:
    """Return a kernel for arguments of some kinds.

    Args:
        file: of the folder of kernels, in which this one stands.
        name: of the kernel.
        kinds: of each argument the dtype of its elements, or the length of a tuple.
    """
    label = ",".join(map(str, kinds))
    library = (
        llvm.JITLibraryBuilder()
        .add_object_img(object_file(file, name, kinds, label))
        .add_current_process()
        .export_symbol(name)
    )
    linked = library.link(_linker(), f"{name} {label}")
    made: Any = C_FUNCTION(linked[name])
    made.library = linked  # the code is there as long as this is
    return made  # type: ignore[no-any-return]


def object_file(file: str, name: str, kinds: tuple[Any, ...], label: str) -> bytes:
    """Return the object file of a kernel: from where it is kept, or compiled and kept now."""
    place = folder()
    if place is None or not ownership.only_ours(
        place
    ):  # its rights may have changed since it was chosen
        return _compiled(file, name, kinds)
    path = (
        place
        / f"{name}-{_digest(repr((label, *processor(), *_installed())).encode()).hex()[:16]}.o"
    )
    known = made_of() + path.name.encode()
    with suppress(OSError), path.open("rb") as stream:
        data = stream.read() if ownership.is_ours(os.fstat(stream.fileno())) else b""
        digest, code = data[:32], data[32:]
        if digest == _digest(known, code):
            return code
    code = _compiled(file, name, kinds)
    with suppress(FileRefused):  # what a full disk does not take is compiled again next time
        write_bytes(path, _digest(known, code) + code, mode=0o644)
    return code


def _compiled(file: str, name: str, kinds: tuple[Any, ...]) -> bytes:
    _say_that_it_takes_a_while()
    return bytes(target_machine().emit_object(module(file, name, kinds)))


@cache
def _say_that_it_takes_a_while() -> None:
    """Tell, once in a process, who listens to lehr's log: the command line does."""
    kept = "once" if folder() else "nothing keeps them for the next run: see 'lehr doctor'"
    logging.getLogger("lehr").info("compiling kernels (%s)", kept)


def module(file: str, name: str, kinds: tuple[Any, ...]) -> llvm.ModuleRef:
    """Return a kernel in LLVM's intermediate code, its function `name` as C_FUNCTION says."""
    compiled = importlib.import_module("lehr.simulate.fast.kernels.compiled")
    return compiled.module(
        getattr(importlib.import_module(f"lehr.simulate.fast.kernels.{file}"), name), name, kinds
    )


# -------------------------------------------------------------------- the processor
def processor() -> tuple[str, str]:
    """Return name and features of the processor, as LLVM calls them.

    numba's variables override them.
    """
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else _features()
    return name or llvm.get_host_cpu_name(), features


@cache
def _features() -> str:
    return str(llvm.get_host_cpu_features().flatten())


def target_machine() -> llvm.TargetMachine:
    """Return what makes machine code for the processor, as numba sets it up."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = processor()
    relocation = "static" if platform.machine() in ("x86_64", "AMD64") else "default"
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc=relocation, codemodel="jitdefault", jit=True
    )


@cache
def _linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(target_machine())


# -------------------------------------------------------------------- where it is kept
@cache
def folder() -> Path | None:
    """Return the first place that only we can write to; None where there is none."""
    for named in _places():
        with suppress(OSError):
            place = named.resolve()  # no link is left in it that could be led elsewhere
            missing_ones = [each for each in (place, *place.parents) if not each.exists()]
            for missing in reversed(missing_ones):
                missing.mkdir(0o755, exist_ok=True)
            if os.access(place, os.W_OK) and ownership.only_ours(place):
                return place
    return None


def _places() -> Iterator[Path]:
    """NUMBA_CACHE_DIR, or else the folder beside this file and the one in the user's home."""
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(told) / "lehr"
        return
    yield Path(__file__).with_name("__pycache__")
    home = ownership.home()
    if told := os.environ.get("XDG_CACHE_HOME"):
        yield Path(told) / "lehr"
    elif home is not None:
        yield home / ".cache" / "lehr"


@cache
def made_of() -> bytes:
    """Return a digest of the kernels' files."""
    return _digest(*(path.read_bytes() for path in sorted(KERNELS.glob("*.py"))))


@cache
def _installed() -> tuple[object, ...]:
    """Name what machine code depends on besides the processor.

    These are numba, LLVM, and how Python and numpy lay out objects.
    """
    numba = find_spec(
        "numba"
    )  # not imported to be asked its version, and importlib.metadata takes longer than all of this
    assert numba
    assert numba.origin
    return (
        Path(numba.origin).stat().st_mtime_ns,
        llvmlite.__version__,
        sys.implementation.cache_tag,
        np.__version__,
    )


def _digest(*parts: bytes) -> bytes:
    told = hashlib.sha256()
    for part in parts:
        told.update(part)
    return told.digest()
