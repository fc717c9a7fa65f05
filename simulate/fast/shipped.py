"""Kernels as LLVM's intermediate code, which come with the wheel: numba need not be there.

A zip archive holds one member for each kernel and combination of types, compiled for a processor
that every machine of 64 bits can stand in for, and a member that says of what. Machine code for
the processor at hand is made of it at first use, by llvmlite alone.
`python -m lehr.simulate.fast.shipping` writes the archive; a checkout has none.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

ARCHIVE = Path(__file__).with_name("kernels.zip")
ABOUT = "about.json"
DAMAGED = OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error
"""What reading an archive raises that is not whole, or lacks a member."""


def about(digest: bytes) -> dict[str, object]:
    """Return what has to be the same where kernels are made and where they are used.

    Args:
        digest: of the kernels' source.
    """
    return {"llvm": llvm.llvm_version_info[0], "kernels": digest.hex()}


def member(name: str, label: str) -> str:
    """Return the name of a kernel's member in the archive."""
    return f"{name} {label}.bc"


def bitcode(name: str, label: str, digest: bytes) -> bytes | None:
    """Return a kernel's intermediate code, or None where the archive has none.

    Args:
        name: of the kernel.
        label: its types, as `lehr.simulate.fast.machine.function` writes them.
        digest: of the kernels' source that is at hand.
    """
    if reason(digest):
        return None
    with suppress(*DAMAGED), zipfile.ZipFile(ARCHIVE) as archive:
        return archive.read(member(name, label))
    return None


def reason(digest: bytes) -> str:
    """Say why the archive as a whole is of no use here; nothing where it is.

    Args:
        digest: of the kernels' source that is at hand.
    """
    shipped, here = about_archive(), about(digest)
    if not shipped:
        if ARCHIVE.exists():
            return f"{ARCHIVE} is damaged; install lehr again"
        return "no compiled kernels came with this installation"
    if shipped.get("llvm") != here["llvm"]:
        return (
            f"the kernels that came with this installation are of LLVM {shipped.get('llvm')}, and "
            f"llvmlite {llvmlite.__version__} is of LLVM {here['llvm']}"
        )
    if shipped != here:
        return "the kernels' source is not what the compiled ones came from"
    return ""


@cache
def about_archive() -> Mapping[str, object]:
    """Return what the archive says of itself; nothing where there is none, or a damaged one."""
    with suppress(*DAMAGED), zipfile.ZipFile(ARCHIVE) as archive:
        said = json.loads(archive.read(ABOUT))
        return said if isinstance(said, dict) else {}
    return {}
